"""Running a sweep: its points through joblib, on this machine or a cluster, in one folder that any later call goes on
with.

    OUT/sweep.json, sweep.toml        what was asked for last
    OUT/points/KEY/seedS/             one run folder for each point and seed
    OUT/failures/KEY-seedS.json       why a run failed; it is tried again only on request
    OUT/timings.jsonl                 seconds of every run that was trained
    OUT/results.csv, results.parquet  the table; figures/phase.png, .svg and phase.json
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..disk.files import write_text
from ..disk.jsonio import from_json, to_json
from ..disk.jsonlog import JsonLog
from ..disk.lock import LOCK_FILE, locked
from ..runs.stopping import Interrupted, StopRequest, announced
from ..runs.workers import dead_workers, processes
from ..suggest import choose
from ..tasks.search import SEARCH, Search
from .backend import BACKENDS, parallel_backend
from .plan import SweepPlan
from .point import STOP_FILE, Outcome, Point, is_done, read_failure, run_point, write_failure

SLICE = 8
SWEEP_FILE, TIMINGS = "sweep.json", "timings.jsonl"
MARK = "fiedler_sweep"


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
    backend: str = "loky",
    address: str | None = None,
    retry_failed: bool = False,
    checkpoint_every: float | None = None,
    search: Search = SEARCH,
    on_outcome: Callable[[Counts, Outcome | None], None] | None = None,
    stop: StopRequest | None = None,
) -> Counts:
    """Run what of ``plan`` is neither finished nor failed in the folder ``out``, and say how all of it ended.

    ``jobs``: processes, one for each CPU when None; ``backend``: "loky" (this machine), "dask" or "ray", joblib's own,
    at ``address`` or in a local cluster of ``jobs`` workers. Workers elsewhere need ``out``, and graphs that are files,
    under the same path. ``search``: how far the optima that runs are scored against are sought. ``on_outcome(counts,
    outcome)`` is called first with None, then for every run that ends.

    Raises ValueError for a folder that is not a sweep's or in use, an unknown or missing back end; Interrupted when
    ``stop`` asks or a signal comes: points in work are saved, and the same call goes on.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; {choose(backend, BACKENDS)}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1; got {jobs}")
    report = on_outcome or (lambda counts, outcome: None)
    check_folder(out)
    with ExitStack() as held:
        held.enter_context(locked(out))
        (out / STOP_FILE).unlink(missing_ok=True)
        write_text(out / SWEEP_FILE, f"{to_json({MARK: 1, 'plan': plan}, indent=2)}\n")
        counts, left = outstanding(plan, out, retry_failed, search)
        report(counts, None)
        log = held.enter_context(JsonLog(out / TIMINGS))
        for outcome in _outcomes(left, out, jobs, backend, address, (checkpoint_every, search), stop):
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
    """Raises ValueError where ``out`` holds something that is not a sweep's."""
    try:
        names = sorted(name for name in os.listdir(out) if name != LOCK_FILE)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ValueError(f"{out} cannot be a sweep's folder ({error.strerror}): give another --out") from error
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
        groups = [tuple(seeds)] if together and seeds else [(seed,) for seed in seeds]
        left += [Job(point, group) for group in groups]
    counts.before = counts.done
    return counts, left


def _outcomes(
    left: Sequence[Job],
    out: Path,
    jobs: int | None,
    backend: str,
    address: str | None,
    how: tuple[float | None, Search],
    stop: StopRequest | None,
) -> Iterator[Outcome]:
    """Every run's outcome as it comes. A job whose process dies is tried once more, alone."""
    suspects: list[Job] = []
    waiting = list(left)
    while waiting or suspects:
        alone = not waiting
        batch = [suspects.pop()] if alone else waiting
        finished: set[Job] = set()
        try:
            with parallel_backend(backend, 1 if alone else processes(jobs), address):
                for outcome, job in _run(batch, out, how, stop):
                    finished.add(job)
                    yield from outcome
            waiting = [] if not alone else waiting
        except dead_workers() as error:
            unfinished = [job for job in batch if job not in finished]
            begun = [job for job in unfinished if _begun(job, out)]
            if alone:
                (job,) = batch
                death = RuntimeError(f"its process died, twice: {' '.join(str(error).split())[:200]}")
                for seed in job.seeds:
                    write_failure(job.point, seed, out, death)
                    yield Outcome(job.point, seed, "failed", 0.0, str(death))
                continue
            suspects += begun or unfinished
            waiting = [job for job in unfinished if job not in suspects]


def _run(
    batch: Sequence[Job], out: Path, how: tuple[float | None, Search], stop: StopRequest | None
) -> Iterator[tuple[list[Outcome], Job]]:
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend

    calls = [delayed(_work)(job, str(out), *how) for job in batch]
    active, workers = get_active_backend()
    with announced(out / STOP_FILE, stop):
        if active.supports_return_generator:
            yield from Parallel(return_as="generator_unordered", batch_size=1)(calls)
            return
        # Ray's back end only returns whole lists: a few jobs for each worker at a time, so that results are seen.
        size = SLICE * max(1, active.effective_n_jobs(workers))
        for start in range(0, len(calls), size):
            yield from Parallel(batch_size=1)(calls[start : start + size])


def _work(job: Job, out: str, checkpoint_every: float | None, search: Search) -> tuple[list[Outcome], Job]:
    return run_point(job.point, job.seeds, out, checkpoint_every, search), job


def _begun(job: Job, out: Path) -> bool:
    """Whether a worker had begun the job: its run folder is there."""
    return any(job.point.folder(out, seed).exists() for seed in job.seeds)
