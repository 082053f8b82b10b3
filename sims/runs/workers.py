"""Work done side by side in processes, a thread each: how many, how they end early, and what becomes of the rest where
one dies."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from ..processes.child import ProcessDied
from ..processes.children import as_they_end, in_child, local_calls
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


def side_by_side(
    works: Sequence[tuple[str, Work[R]]], count: int, file: Path, watch: Watch, *, kind: str = "training"
) -> Iterator[tuple[int, R]]:
    """The place of each of the named ``works`` and what it returns, as they end: ``count`` at a time, in that order,
    each with a Watch that only hears of a stop. ``file``: is made where somebody asks to stop, which workers look for.

    Raises the first error of one, once the others have saved, FloatingPointError with its name; Interrupted where
    ``watch`` asks to stop, once those in work have saved; RuntimeError where a process of this ``kind`` dies, once all
    the others are done.
    """
    file.unlink(missing_ok=True)
    done, errors, deaths = 0, list[Exception](), list[str]()
    with local_calls(count) as pool, announced(file, watch.stop):

        def submit(place: int) -> Future[tuple[bool, Any]]:
            return pool.submit(in_child, _work, works[place][1], str(file.absolute()))

        for place, future in as_they_end(submit, range(len(works)), lambda: count):
            try:
                ended, outcome = future.result()
            except ProcessDied as death:
                deaths.append(f"{works[place][0]}: {death}")
                continue
            except FloatingPointError as error:
                errors.append(FloatingPointError(f"{works[place][0]}: {error}"))
            except Exception as error:
                errors.append(error)
            else:
                if ended and not errors:
                    done += 1
                    yield place, outcome
            if errors:
                file.touch()  # the others save and end
    file.unlink(missing_ok=True)
    if errors:
        raise errors[0]
    if deaths and not watch.stop_asked:
        more = f" and {len(deaths) - 1} more" if len(deaths) > 1 else ""
        raise RuntimeError(
            f"{kind} ended without {deaths[0]}{more}; {done} of {len(works)} are done: go on with --resume, or fewer "
            "--jobs"
        )
    if done < len(works):
        raise Interrupted(f"interrupted with {len(works) - done} of {len(works)} runs left: go on with --resume")


def _work(work: Work[Any], file: str) -> tuple[bool, Any]:
    """In a process of its own: whether the work came to its end, and what it returned."""
    with stop_on_signals(Path(file)) as stop, threadpool_limits(1):
        if stop.asked:
            return False, None
        try:
            return True, work(watch=Watch(stop=stop))
        except Interrupted:
            return False, None
        except FloatingPointError as error:  # one with fields of its own travels badly between processes
            raise FloatingPointError(str(error)) from error
