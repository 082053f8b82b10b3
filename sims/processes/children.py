"""The processes of this one that answer calls, kept between calls; and calls side by side."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

from .child import Child, NoProcess, NotBegun, ProcessDied

R = TypeVar("R")
W = TypeVar("W")

LOOK_SECONDS = 0.5  # between two looks for a signal, while calls go on


class Children:
    """Processes that do calls, as many as there are calls at a time. Any thread may call."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Know of none. In a fork: they are the parent's."""
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._lock = threading.Lock()
        self._closed = False

    def call(self, function: Callable[..., R], *arguments: Any) -> R:
        """``function(*arguments)`` in a process of its own, on one thread; ``function`` and all that goes there and
        back are pickled. Raises what it raises, ProcessDied where the process dies, NoProcess where none starts."""
        code = 0
        for new in (False, True):  # one that was idle may end just now
            child = self._take(new)
            keep = False
            try:
                answer = child.call(function, *arguments)
                keep = True
                return answer
            except NotBegun:
                code = child.end(kill=True)
            except (ProcessDied, MemoryError):  # what is left of the memory is not asked again
                raise
            except Exception:
                keep = True
                raise
            finally:
                self._give_back(child, keep)
        raise NoProcess(f"a process for the work does not start (it ends with {code}): see what it prints")

    def close(self) -> None:
        """End all of them now; calls that go on raise ProcessDied."""
        with self._lock:
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for child in busy:
            child.kill()  # whoever waits for its answer waits for its end
        for child in idle:
            child.end(kill=True)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """All are ended, and within the context no call begins."""
        self._closed = True
        self.close()
        try:
            yield
        finally:
            self._closed = False

    def _take(self, new: bool) -> Child:
        child = None
        while child is None and not new:
            with self._lock:
                if not self._idle:
                    break
                child = self._idle.pop()
            if child.ended():
                child.end()
                child = None
        if child is None and not self._closed:
            child = Child()
        with self._lock:
            if child is not None and not self._closed:
                self._busy.add(child)
                return child
        if child is not None:
            child.end(kill=True)
        raise ProcessDied(-signal.SIGKILL, None)

    def _give_back(self, child: Child, keep: bool) -> None:
        with self._lock:
            self._busy.discard(child)
            keep = keep and not self._closed
            if keep:
                self._idle.append(child)
        if not keep:
            child.end(kill=True)


CHILDREN = Children()
atexit.register(CHILDREN.close)
os.register_at_fork(after_in_child=CHILDREN.reset)


def in_child(function: Callable[..., R], *arguments: Any) -> R:
    """``Children.call`` of the children of this process."""
    return CHILDREN.call(function, *arguments)


@contextmanager
def local_calls(count: int) -> Iterator[Executor]:
    """Executes calls of ``in_child`` ``count`` at a time, each in a thread that waits for its answer. Where the context
    is left by an exception, those in work are killed."""
    with ThreadPoolExecutor(count) as pool:
        try:
            yield pool
        except BaseException:
            with CHILDREN.closed():
                pool.shutdown(cancel_futures=True)
            raise


def as_they_end(
    submit: Callable[[W], Future[R]], works: Iterable[W], at_once: Callable[[], int]
) -> Iterator[tuple[W, Future[R]]]:
    """Submit the ``works``, ``at_once()`` at a time, and yield each with its future once that is done."""
    waiting = iter(works)
    running: dict[Future[R], W] = {}
    while True:
        while len(running) < at_once() and (work := next(waiting, None)) is not None:
            running[submit(work)] = work
        if not running:
            return
        for future in wait(running, LOOK_SECONDS, FIRST_COMPLETED).done:
            yield running.pop(future), future
