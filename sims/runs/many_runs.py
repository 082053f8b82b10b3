"""Runs of several conditions, each over seeds, in one folder: trained side by side, every one in a folder of its own.

OUT/config.json, scores.json, report.md, figures/     of all of them
OUT/runs/CONDITION-seedS/                             one run folder each; see ``runs.one_run``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ..disk.lock import locked
from ..models.torch_state import one_thread
from .folder import RunDir
from .stopping import Interrupted, StopRequest, announced, stop_on_signals
from .take_up import take_up
from .workers import dead_workers, processes

RUNS, STOP_FILE = "runs", ".stop"

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")
Progress = Callable[[float], None]


class Runner(Protocol[R_co]):
    """Trains one run in its folder; called with the options of ``run_all``, ``on_progress`` and ``stop``."""

    def __call__(self, folder: Path, **options: Any) -> R_co: ...


@dataclass(frozen=True)
class Job(Generic[R]):
    """One run. ``run`` travels to another process: a ``functools.partial`` of a function of a module."""

    condition: str
    seed: int
    run: Runner[R]


def run_all(
    jobs: Sequence[Job[R]],
    config: Mapping[str, Any],
    out: Path,
    *,
    device: str = "cpu",
    workers: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: float | None = None,
    on_progress: Progress | None = None,
    stop: StopRequest | None = None,
) -> tuple[dict[tuple[str, int], R], RunDir]:
    """Run ``jobs`` in ``out``, ``workers`` at a time with one thread each (None: as many as CPUs; on CUDA one after the
    other); what they return by condition and seed, and the folder, which holds ``config``.

    Raises ValueError for a folder in use, before anything is written; FloatingPointError when a run diverges;
    Interrupted, with every run saved, when ``stop`` asks.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"jobs must be at least 1; got {workers}")
    todo = [(job, out / RUNS / f"{job.condition}-seed{job.seed}") for job in jobs]
    for path in (out, *(folder for _, folder in todo)):
        RunDir.check(path, overwrite=overwrite or resume)
    options = {"resume": resume, "overwrite": overwrite, "checkpoint_every": checkpoint_every}
    with ExitStack() as held:
        held.enter_context(locked(out))
        folder = _open_folder(out, config, overwrite, resume)
        (out / RUNS).mkdir(exist_ok=True)
        (out / RUNS / STOP_FILE).unlink(missing_ok=True)
        count = 1 if device == "cuda" else min(len(todo), processes(workers))
        report = on_progress or (lambda fraction: None)
        if count == 1:
            return _alone(todo, options, report, stop), folder
        return _side_by_side(todo, options, count, report, stop), folder


def _open_folder(out: Path, config: Mapping[str, Any], overwrite: bool, resume: bool) -> RunDir:
    if resume and take_up(RunDir(out), config):
        return RunDir(out)
    for path in sorted((out / RUNS).glob("*-seed*")) if overwrite else []:
        RunDir.remove(path)
    return RunDir.create(out, config, overwrite=overwrite or resume)


def _alone(
    todo: Sequence[tuple[Job[R], Path]], options: Mapping[str, Any], report: Progress, stop: StopRequest | None
) -> dict[tuple[str, int], R]:
    found = {}
    for number, (job, folder) in enumerate(todo):

        def progress(fraction: float, number: int = number) -> None:
            report((number + fraction) / len(todo))

        found[job.condition, job.seed] = _run(job, folder, options, stop, progress)
    return found


def _side_by_side(
    todo: Sequence[tuple[Job[R], Path]], options: Mapping[str, Any], count: int, report: Progress,
    stop: StopRequest | None,
) -> dict[tuple[str, int], R]:  # fmt: skip
    from joblib import Parallel, delayed, parallel_config

    found: dict[tuple[str, int], R] = {}
    file = todo[0][1].parent / STOP_FILE
    calls = [delayed(_work)(job, folder, options, str(file)) for job, folder in todo]
    with parallel_config("loky", n_jobs=count, inner_max_num_threads=1), announced(file, stop):
        try:
            for job, outcome in Parallel(return_as="generator_unordered", batch_size=1)(calls):
                if isinstance(outcome, str):
                    file.touch()  # the others save and end
                    raise FloatingPointError(f"{job.condition}, seed {job.seed}: {outcome}")
                if outcome is not None:
                    found[job.condition, job.seed] = outcome
                report(len(found) / len(todo))
        except dead_workers() as error:
            why = " ".join(str(error).split())[:200]
            raise RuntimeError(f"a training process died ({why}): go on with --resume, or fewer --jobs") from error
    if len(found) < len(todo):
        raise Interrupted(f"interrupted with {len(todo) - len(found)} of {len(todo)} runs left: go on with --resume")
    return found


def _work(job: Job[R], folder: Path, options: Mapping[str, Any], stop_file: str) -> tuple[Job[R], R | str | None]:
    """In a worker: the run, why it diverged, or None where it was stopped."""
    with stop_on_signals(Path(stop_file)) as stop:
        if stop.asked:
            return job, None
        try:
            return job, _run(job, folder, options, stop, None)
        except Interrupted:
            return job, None
        except FloatingPointError as error:  # travels badly between processes
            return job, str(error)


def _run(job: Job[R], folder: Path, options: Mapping[str, Any], stop: StopRequest | None, report: Progress | None) -> R:
    with one_thread():
        return job.run(folder, on_progress=report, stop=stop, **options)
