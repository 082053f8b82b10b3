"""Running a sweep: its points side by side, on this machine or a cluster, each in a process that may die, in one folder
that any later call goes on with.

    OUT/sweep.json, sweep.toml        what was asked for last
    OUT/points/KEY/seedS/             one run folder for each point and seed
    OUT/failures/KEY-seedS.json       why a run failed; it is tried again only on request
    OUT/timings.jsonl                 seconds of every run that was trained
    OUT/results.csv, results.parquet  the table; figures/phase.png, .svg and phase.json
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..disk.files import clear_leftovers, refuse_link, write_text
from ..disk.jsonio import from_json, to_json
from ..disk.jsonlog import JsonLog
from ..disk.lock import LOCK_FILE, locked
from ..processes.child import NoProcess, ProcessDied
from ..processes.children import as_they_end, in_child
from ..runs.folder import FIGURES
from ..runs.stopping import Interrupted, StopRequest, announced
from ..runs.workers import processes
from ..tasks.search import SEARCH, Search
from .backend import Place, WorkerDied, check_backend, opened_backend
from .plan import SweepPlan
from .point import FAILURES, STOP_FILE, Outcome, Point, is_done, read_failure, run_point, write_failure

SWEEP_FILE, TIMINGS = "sweep.json", "timings.jsonl"
MARK = "fiedler_sweep"
MOST_TOGETHER = 64  # seeds of a job: each holds the lock of its folder

Answer = tuple[list[Outcome] | Exception, float]


@dataclass(frozen=True)
class Job:
    """One call of a worker: the seeds of a point that are not finished."""

    point: Point
    seeds: tuple[int, ...]


@dataclass
class Counts:
    """How many runs there are and what became of them so far."""

    total: int
    done: int = 0
    failed: int = 0
    before: int = 0  # of the done, finished by earlier calls
    busy: int = 0

    @property
    def left(self) -> int:
        return self.total - self.done - self.failed - self.busy


def run_sweep(
    plan: SweepPlan,
    out: Path,
    *,
    jobs: int | None = None,
    backend: str = "local",
    address: str | None = None,
    retry_failed: bool = False,
    checkpoint_every: float | None = None,
    search: Search = SEARCH,
    on_outcome: Callable[[Counts, Outcome | None], None] | None = None,
    stop: StopRequest | None = None,
) -> Counts:
    """Run what of ``plan`` is neither finished nor failed in the folder ``out``, and say how all of it ended.

    ``jobs``: processes, one for each CPU when None; ``backend``: "local" (this machine), "dask" or "ray", at
    ``address`` or in a local cluster of ``jobs`` workers. Workers elsewhere need ``out``, and graphs that are files,
    under the same path. ``search``: how far the optima that runs are scored against are sought. ``on_outcome(counts,
    outcome)`` is called first with None, then for every run that ends. A run whose process dies is a failure, and the
    others go on; one that was killed beside others, or that died with other seeds, is first tried alone.

    Raises ValueError for a folder that is not a sweep's or in use, an unknown or missing back end; RuntimeError for one
    that is gone; Interrupted when ``stop`` asks or a signal comes: points in work are saved, and the same call goes on.
    """
    backend = check_backend(backend, jobs, address)
    report = on_outcome or (lambda counts, outcome: None)
    check_folder(out)
    with ExitStack() as held:
        held.enter_context(locked(out))
        (out / STOP_FILE).unlink(missing_ok=True)
        for folder in (out, out / FAILURES):
            clear_leftovers(folder)
        held.callback((out / STOP_FILE).unlink, missing_ok=True)
        write_text(out / SWEEP_FILE, f"{to_json({MARK: 1, 'plan': plan}, indent=2)}\n")
        counts, left = outstanding(plan, out, retry_failed, search)
        report(counts, None)
        log = held.enter_context(JsonLog(out / TIMINGS))
        if left:
            place = held.enter_context(opened_backend(backend, processes(jobs), address))
            held.enter_context(announced(out / STOP_FILE, stop))
        for outcome in _outcomes(left, out, place, (checkpoint_every, search), stop) if left else ():
            if outcome.status in ("done", "failed"):
                log.append({"key": outcome.point.key, "seed": outcome.seed, "seconds": outcome.seconds})
            counts.done += outcome.status == "done"
            counts.failed += outcome.status == "failed"
            counts.busy += outcome.status == "busy"
            report(counts, outcome)
    if stop is not None and stop.asked and counts.left:
        raise Interrupted(f"interrupted with {counts.left} of {counts.total} runs left: the same command goes on")
    return counts


def check_folder(out: Path) -> None:
    """Raises ValueError where ``out`` holds something that is not a sweep's, or its figures/ is a symbolic link."""
    try:
        names = sorted(name for name in os.listdir(out) if name != LOCK_FILE)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ValueError(f"{out} cannot be a sweep's folder ({error.strerror}): give another --out") from error
    refuse_link(out / FIGURES)
    if not names:
        return
    try:
        content = from_json((out / SWEEP_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    marked = isinstance(content, dict) and MARK in content
    # A damaged one is written again where the log beside it tells whose it is.
    if not marked and not ((out / SWEEP_FILE).is_file() and (out / TIMINGS).is_file()):
        raise ValueError(f"{out} holds {names[0]!r} but no sweep: give another --out")


def outstanding(
    plan: SweepPlan, out: Path, retry_failed: bool = False, search: Search = SEARCH
) -> tuple[Counts, list[Job]]:
    """What is finished and failed already, and the jobs that are left. Seeds of a model that trains them together are
    one job."""
    counts = Counts(total=len(plan.points) * len(plan.seeds))
    left = []
    for point in plan.points:
        seeds = []
        for seed in plan.seeds:
            if is_done(point, seed, out, search):
                counts.done += 1
            elif not retry_failed and read_failure(point, seed, out) is not None:
                counts.failed += 1
            else:
                seeds.append(seed)
        together = point.command.together(point.own)
        size = MOST_TOGETHER if together else 1
        left += [Job(point, tuple(seeds[start : start + size])) for start in range(0, len(seeds), size)]
    counts.before = counts.done
    return counts, left


def _outcomes(
    left: Sequence[Job],
    out: Path,
    place: Place,
    how: tuple[float | None, Search],
    stop: StopRequest | None,
) -> Iterator[Outcome]:
    """Every run's outcome as it comes. Seeds that died together are tried once more, and so is a run whose process was
    killed beside others: each alone."""
    again: list[Job] = []

    def submit(job: Job) -> Future[Answer]:
        return place.submit(_work, job, str(out.absolute()), *how)

    for alone, jobs in ((False, left), (True, again)):
        for job, future in as_they_end(submit, _until(stop, jobs), place.at_once if not alone else lambda: 1):
            try:
                found, seconds = place.result(future)
            except WorkerDied as error:
                found, seconds = error, 0.0
            if isinstance(found, list):
                yield from found
            elif stop is not None and stop.asked:
                yield from (Outcome(job.point, seed, "interrupted", seconds, str(found)) for seed in job.seeds)
            elif len(job.seeds) > 1:
                again += [Job(job.point, (seed,)) for seed in job.seeds]
            elif not alone and (place.at_once() > 1 or isinstance(found, WorkerDied)) and _from_outside(found):
                again.append(job)
            else:
                write_failure(job.point, job.seeds[0], out, found)
                yield Outcome(job.point, job.seeds[0], "failed", seconds, str(found))


def _until(stop: StopRequest | None, jobs: Sequence[Job]) -> Iterator[Job]:
    for job in jobs:
        if stop is not None and stop.asked:
            return
        yield job


def _from_outside(death: Exception) -> bool:
    """Whether others may have had a part in it: then another try, alone, may go well."""
    return isinstance(death, WorkerDied) or (isinstance(death, ProcessDied) and death.killed)


def _work(job: Job, out: str, checkpoint_every: float | None, search: Search) -> Answer:
    """On a worker: what became of the seeds, or how the process that trained them ended, and after how many seconds."""
    began = time.perf_counter()
    try:
        return in_child(run_point, job.point, job.seeds, out, checkpoint_every, search), time.perf_counter() - began
    except NoProcess:
        raise  # of this machine, not of the run
    except Exception as error:
        return error, time.perf_counter() - began
