"""Runs of several conditions, each over seeds, in one folder: trained side by side, every one in a folder of its own.

OUT/config.json, scores.json, report.md, figures/     of all of them
OUT/runs/CONDITION-seedS/                             one run folder each; see ``runs.one_run``
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ..models.devices import check_device
from ..models.torch_state import one_thread
from .control import AFRESH, UNWATCHED, Restart, Watch
from .engine import check_seeds
from .folder import RunDir
from .opening import RUNS, opened
from .workers import STOP_FILE, processes, side_by_side

TRAINING = "training"  # the stage that is reported

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")


class Runner(Protocol[R_co]):
    """Trains one run in its folder."""

    def __call__(self, folder: Path, *, restart: Restart, watch: Watch) -> R_co: ...


@dataclass(frozen=True)
class Job(Generic[R]):
    """One run. ``run`` travels to another process: a ``functools.partial`` of a function of a module."""

    condition: str
    seed: int
    run: Runner[R]


def run_conditions(
    conditions: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    runner: Callable[[Any, int], Runner[R]],
    *,
    about: Mapping[str, Any],
    also: Mapping[str, Any] | None = None,
    device: str = "cpu",
    workers: int | None = None,
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> tuple[dict[str, list[R]], RunDir]:
    """Train every condition, a dataclass of settings, over ``seeds`` in ``out``, as ``run_all`` does; the runs of each
    condition in the order of the seeds, and the folder. ``runner(settings, seed)``: what trains one run. ``about`` and
    ``also``: what config.json says before and after device, conditions and seeds.

    Raises as ``run_all``, and ValueError for no conditions, repeated seeds or a device that is not there.
    """
    if not conditions:
        raise ValueError("no conditions are left to run: leave --only out")
    check_seeds(seeds)
    check_device(device)
    jobs = [Job(name, seed, runner(settings, seed)) for seed in seeds for name, settings in conditions.items()]
    config = {
        **about,
        "device": device,
        "conditions": {name: dataclasses.asdict(settings) for name, settings in conditions.items()},
        "seeds": list(seeds),
        **(also or {}),
    }
    runs, folder = run_all(jobs, config, out, device=device, workers=workers, restart=restart, watch=watch)
    return {name: [runs[name, seed] for seed in seeds] for name in conditions}, folder


def run_all(
    jobs: Sequence[Job[R]],
    config: Mapping[str, Any],
    out: Path,
    *,
    device: str = "cpu",
    workers: int | None = None,
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> tuple[dict[tuple[str, int], R], RunDir]:
    """Run ``jobs`` in ``out``, ``workers`` at a time with one thread each (None: as many as CPUs; on CUDA one after the
    other); what they return by condition and seed, and the folder, which holds ``config``.

    Raises ValueError for a folder in use, before anything is written; FloatingPointError when a run diverges;
    Interrupted, with every run saved, when ``watch`` asks to stop.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"jobs must be at least 1; got {workers}")
    todo = [(job, out / RUNS / f"{job.condition}-seed{job.seed}") for job in jobs]
    with opened(out, config, restart, runs=[path for _, path in todo]) as folder:
        (out / RUNS).mkdir(exist_ok=True)
        count = 1 if device == "cuda" else min(len(todo), processes(workers))
        if count == 1:
            return _alone(todo, restart, watch), folder
        return _side_by_side(todo, restart, count, watch), folder


def _alone(todo: Sequence[tuple[Job[R], Path]], restart: Restart, watch: Watch) -> dict[tuple[str, int], R]:
    results = {}
    for number, (job, path) in enumerate(todo):

        def progress(_: str, fraction: float, number: int = number) -> None:
            watch.report(TRAINING, (number + fraction) / len(todo))

        with one_thread():
            results[job.condition, job.seed] = job.run(path, restart=restart, watch=Watch(progress, watch.stop))
    return results


def _side_by_side(
    todo: Sequence[tuple[Job[R], Path]], restart: Restart, count: int, watch: Watch
) -> dict[tuple[str, int], R]:
    works = [(job.condition, partial(job.run, path.absolute(), restart=restart)) for job, path in todo]
    results: dict[tuple[str, int], R] = {}
    for place, result in side_by_side(works, count, todo[0][1].parent / STOP_FILE, watch):
        job = todo[place][0]
        results[job.condition, job.seed] = result
        watch.report(TRAINING, len(results) / len(todo))
    return results
