"""Work done side by side in processes, a thread each: how many, how they end early, and what tells that one died."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from .control import Watch
from .stopping import Interrupted, announced, stop_on_signals

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

STOP_FILE = ".stop"


class Work(Protocol[R_co]):
    """One piece. It goes to another process, which may stand in another folder: a ``functools.partial`` of a function
    of a module, with absolute paths."""

    def __call__(self, *, watch: Watch) -> R_co: ...


def processes(jobs: int | None) -> int:
    """``jobs``, or a process for each CPU this process may use."""
    if jobs is not None:
        return jobs
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def dead_workers() -> tuple[type[BaseException], ...]:
    """What joblib raises when a worker process dies."""
    from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError

    return (TerminatedWorkerError, BrokenProcessPool)


def side_by_side(
    works: Sequence[tuple[str, Work[R]]], count: int, file: Path, watch: Watch, *, kind: str = "training"
) -> Iterator[tuple[int, R]]:
    """The place of each of the named ``works`` and what it returns, as they end: ``count`` at a time, in that order,
    each with a Watch that only hears of a stop. ``file``: is made where somebody asks to stop, which workers look for.

    Raises FloatingPointError, with its name, for one that diverges; Interrupted where ``watch`` asks to stop, once
    those in work have saved; RuntimeError where a process of this ``kind`` dies.
    """
    from joblib import Parallel, delayed, parallel_config

    file.unlink(missing_ok=True)
    calls = [delayed(_work)(place, work, str(file.absolute())) for place, (_, work) in enumerate(works)]
    done = 0
    with parallel_config("loky", n_jobs=count, inner_max_num_threads=1), announced(file, watch.stop):
        try:
            for place, ended, outcome in Parallel(return_as="generator_unordered", batch_size=1)(calls):
                if isinstance(outcome, FloatingPointError):
                    file.touch()  # the others save and end
                    raise FloatingPointError(f"{works[place][0]}: {outcome}")
                if ended:
                    done += 1
                    yield place, outcome
        except dead_workers() as error:
            why = " ".join(str(error).split())[:200]
            raise RuntimeError(f"a {kind} process died ({why}): go on with --resume, or fewer --jobs") from error
    if done < len(works):
        raise Interrupted(f"interrupted with {len(works) - done} of {len(works)} runs left: go on with --resume")


def _work(place: int, work: Work[Any], file: str) -> tuple[int, bool, Any]:
    """In a worker: whether the work came to its end, and what it returned or how it diverged."""
    with stop_on_signals(Path(file)) as stop, threadpool_limits(1):
        if stop.asked:
            return place, False, None
        try:
            return place, True, work(watch=Watch(stop=stop))
        except Interrupted:
            return place, False, None
        except FloatingPointError as error:  # one with fields of its own travels badly between processes
            return place, False, FloatingPointError(str(error))
