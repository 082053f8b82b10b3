"""Stopping a run between two steps: Ctrl-C and the signal with which schedulers end a job."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """A run that was asked to stop, and has: what it had done is saved where its message says."""


LOOK_SECONDS = 0.5  # between two looks for the file
ANNOUNCE_SECONDS = 0.2  # between two looks at a request, to make the file
HEED_SECONDS = 0.2  # between two looks at a request, while one long computation goes on


class StopRequest:
    """Whether somebody asked to stop: by a signal, or by a file that appears, which reaches other machines too."""

    def __init__(self, file: Path | None = None) -> None:
        self.signalled = False
        self._file, self._looked = file, -math.inf

    @property
    def asked(self) -> bool:
        if not self.signalled and self._file is not None and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self.signalled = self._file.exists()
        return self.signalled


_left: list[threading.Thread] = []  # computations that were left to themselves
_listening: list[StopRequest] = []  # of the contexts below that are open in this process, outermost first


@contextmanager
def stop_on_signals(file: Path | None = None) -> Iterator[StopRequest]:
    """Within the context SIGINT (Ctrl-C) and SIGTERM only ask to stop; a second SIGINT interrupts at once. So does
    ``file``, if it appears. A context within another, as of a point that a sweep trains in its own process, asks for
    both.

    Outside the main thread, which alone receives signals, only the file counts.
    """
    request = StopRequest(file)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if request.signalled and number == signal.SIGINT:
            raise KeyboardInterrupt
        for listening in _listening:
            listening.signalled = True

    request.signalled = any(listening.signalled for listening in _listening)
    _listening.append(request)
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _listening.remove(request)


def heeding(stop: StopRequest | None, compute: Callable[[], T], *, grace: float = 0.0) -> T:
    """``compute()``, which changes nothing but its result, or files that are written whole or not at all: where
    somebody asks to stop, it is left to itself; one that heeds the request itself has ``grace`` seconds to return.

    It runs in a thread of its own, because a single call of a linear algebra library may take minutes, in which no
    signal is looked at. Raises Interrupted, and what ``compute`` raises.
    """
    if stop is None:
        return compute()
    if stop.asked:  # short computations follow each other without end otherwise
        raise Interrupted("interrupted")
    done: list[T] = []
    errors: list[BaseException] = []
    context = copy_context()

    def work() -> None:
        try:
            done.append(context.run(compute))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    until = math.inf
    while thread.is_alive():
        thread.join(HEED_SECONDS)
        if stop.asked and thread.is_alive():
            until = min(until, time.monotonic() + grace)
            if time.monotonic() >= until:
                _left.append(thread)
                raise Interrupted("interrupted")
    if errors:
        raise errors[0]
    return done[0]


def left_running() -> bool:
    """Whether a computation that ``heeding`` left to itself still goes on."""
    return any(thread.is_alive() for thread in _left)


@contextmanager
def announced(file: Path, stop: StopRequest | None) -> Iterator[None]:
    """While the context lasts, ``file`` appears once somebody asks to stop: workers look for it."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(ANNOUNCE_SECONDS):
            if stop is not None and stop.asked:
                file.touch()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
