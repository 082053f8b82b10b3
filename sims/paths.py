"""Path tasks under several conditions, each over seeds, in one folder: trained side by side and summed up.

OUT/config.json, scores.json, report.md, figures/     of all of them
OUT/runs/CONDITION-seedS/                             one run folder each; see ``path_run``
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiedler.theory import Graph, parse

from .lock import locked
from .neural import one_thread
from .path_run import PathRun, run_path
from .path_settings import PathSettings
from .path_training import check_device, check_model
from .run_files import take_up
from .rundir import RunDir
from .star_paths import star_paths
from .stopping import Interrupted, StopRequest, announced, stop_on_signals
from .sweep_backend import dead_workers
from .sweep_point import processes
from .train import check_interval, check_seeds

RUNS, STOP_FILE = "runs", ".stop"


@dataclass(frozen=True, eq=False)
class PathResult:
    """Every run of every condition, in the order of the seeds, and the folder they are in."""

    graph: Graph
    runs: dict[str, list[PathRun]]
    folder: RunDir


@dataclass(frozen=True)
class _Job:
    """One run, in words that travel to another process."""

    graph: str
    condition: str
    settings: PathSettings
    seed: int
    folder: Path


def run_paths(
    graph: Graph,
    conditions: Mapping[str, PathSettings],
    seeds: Sequence[int],
    out: Path,
    *,
    device: str = "cpu",
    jobs: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: float | None = None,
    on_progress: Callable[[float], None] | None = None,
    stop: StopRequest | None = None,
) -> PathResult:
    """Train every condition over ``seeds`` in ``out``, ``jobs`` runs at a time with one thread each (None: as many as
    CPUs; on CUDA one after the other).

    Raises ValueError for no conditions, repeated seeds, a graph without paths, a folder in use or a device that is not
    there, before anything is written; FloatingPointError when a run diverges; Interrupted, with every run saved, when
    ``stop`` asks.
    """
    if not conditions:
        raise ValueError("no conditions are left to run: leave --only out")
    check_seeds(seeds)
    check_interval(checkpoint_every)
    check_device(device)
    star_paths(graph)
    for settings in conditions.values():
        check_model(settings)
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1; got {jobs}")
    todo = [
        _Job(graph.name, name, settings, seed, out / RUNS / f"{name}-seed{seed}")
        for seed in seeds
        for name, settings in conditions.items()
    ]
    config = {
        "graph": graph.name,
        "n": graph.n,
        "device": device,
        "conditions": {name: dataclasses.asdict(settings) for name, settings in conditions.items()},
        "seeds": list(seeds),
    }
    for path in (out, *(job.folder for job in todo)):
        RunDir.check(path, overwrite=overwrite or resume)
    options = {"device": device, "resume": resume, "overwrite": overwrite, "checkpoint_every": checkpoint_every}
    with ExitStack() as held:
        held.enter_context(locked(out))
        folder = _open_folder(out, config, overwrite, resume)
        (out / RUNS).mkdir(exist_ok=True)
        (out / RUNS / STOP_FILE).unlink(missing_ok=True)
        count = 1 if device == "cuda" else min(len(todo), processes(jobs))
        report = on_progress or (lambda fraction: None)
        runs = _alone(todo, options, report, stop) if count == 1 else _side_by_side(todo, options, count, report, stop)
    return PathResult(graph, {name: [runs[name, seed] for seed in seeds] for name in conditions}, folder)


def _open_folder(out: Path, config: Mapping[str, Any], overwrite: bool, resume: bool) -> RunDir:
    if resume and take_up(RunDir(out), config):
        return RunDir(out)
    for path in sorted((out / RUNS).glob("*-seed*")) if overwrite else []:
        RunDir.remove(path)
    return RunDir.create(out, config, overwrite=overwrite or resume)


def _alone(
    todo: Sequence[_Job], options: Mapping[str, Any], report: Callable[[float], None], stop: StopRequest | None
) -> dict[tuple[str, int], PathRun]:
    found = {}
    for number, job in enumerate(todo):

        def progress(fraction: float, number: int = number) -> None:
            report((number + fraction) / len(todo))

        found[job.condition, job.seed] = _run(job, options, stop, progress)
    return found


def _side_by_side(
    todo: Sequence[_Job], options: Mapping[str, Any], count: int, report: Callable[[float], None],
    stop: StopRequest | None,
) -> dict[tuple[str, int], PathRun]:  # fmt: skip
    from joblib import Parallel, delayed, parallel_config

    found: dict[tuple[str, int], PathRun] = {}
    file = todo[0].folder.parent / STOP_FILE
    calls = [delayed(_work)(job, options, str(file)) for job in todo]
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


def _work(job: _Job, options: Mapping[str, Any], stop_file: str) -> tuple[_Job, PathRun | str | None]:
    """In a worker: the run, why it diverged, or None where it was stopped."""
    with stop_on_signals(Path(stop_file)) as stop:
        if stop.asked:
            return job, None
        try:
            return job, _run(job, options, stop, None)
        except Interrupted:
            return job, None
        except FloatingPointError as error:  # travels badly between processes
            return job, str(error)


def _run(
    job: _Job, options: Mapping[str, Any], stop: StopRequest | None, report: Callable[[float], None] | None
) -> PathRun:
    with one_thread():
        return run_path(parse(job.graph), job.settings, job.seed, job.folder, on_progress=report, stop=stop, **options)
