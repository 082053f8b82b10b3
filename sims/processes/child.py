"""One process that answers calls. It may die, of a signal, of memory or of ``os._exit``: that is an answer too.

The messages are frames of eight bytes of length and so many of cloudpickle, calls on its standard input and answers on
its standard output (``serving`` is the other side). It ends when its input does, so that it never outlives this one.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from io import BufferedWriter
from typing import IO, Any, TypeVar

import cloudpickle

R = TypeVar("R")

LENGTH = struct.Struct(">Q")
BEGUN = b"begun"
PEAK = ", peak memory "  # in the words of a death, before the number
LOOK_SECONDS = 1.0  # between two looks whether it still lives, while it says nothing
# A call computes on one thread; what starts several reads one of these.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
        "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    ),
    "1",
)  # fmt: skip
START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {} import serve; serve()"


class ProcessDied(RuntimeError):
    """The process of a call ended before its answer. ``code``: its exit code, or minus the signal that ended it;
    ``peak``: the most bytes of memory it held (those of this process where that held more as it started it), None where
    the system does not say."""

    def __init__(self, code: int, peak: int | None) -> None:
        super().__init__(code, peak)  # what pickle gives it again
        self.code, self.peak = code, peak

    @property
    def signal(self) -> str | None:
        """The name of the signal that ended it."""
        if self.code >= 0:
            return None
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"

    @property
    def killed(self) -> bool:
        """Whether it was killed from outside, as the system does where memory runs out: another try may go well."""
        return self.signal == "SIGKILL"

    def __str__(self) -> str:
        how = f"exit code {self.code}" if self.signal is None else self.signal
        reason = " (did memory run out?)" if self.killed else ""
        held = "" if self.peak is None else f"{PEAK}{self.peak / 1e6:.0f} MB"
        return f"its process died: {how}{reason}{held}"


class NoProcess(RuntimeError):
    """No process starts."""


class NotBegun(Exception):
    """A process ended before it began with a call, which another one may take."""


class Child:
    """A process that does one call after another, each in the folder in which this process stands then."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", START.format(f"{__package__}.serving"), json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **ONE_THREAD},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._calls = BufferedWriter(self._process.stdin)
        self._answers = self._process.stdout  # unbuffered: what is in a buffer, ``select`` would not see
        self._peak: int | None = None

    def call(self, function: Callable[..., R], *arguments: Any) -> R:
        """``function(*arguments)``, or the exception it ended in. Raises ProcessDied, and NotBegun before the call."""
        content = cloudpickle.dumps((os.getcwd(), sys.path, cloudpickle.dumps((function, arguments))))
        try:
            write_frame(self._calls, content)
        except OSError:
            raise NotBegun from None
        if self._read() != BEGUN:
            raise NotBegun
        answer = self._read()
        if answer is None:
            raise ProcessDied(self.end(), self._peak)
        returned, value = cloudpickle.loads(answer)
        if not returned:
            raise value
        result: R = value
        return result

    def end(self, *, kill: bool = False) -> int:
        """Wait until it has ended, at once with ``kill``; its exit code, or minus the signal that ended it."""
        if kill:
            self._process.kill()
        self._wait(0)
        for stream in (self._calls, self._answers):
            with contextlib.suppress(OSError):  # what was not sent any more
                stream.close()
        return int(self._process.returncode)

    def ended(self) -> bool:
        """Whether it is no more."""
        return self._wait(os.WNOHANG)

    def kill(self) -> None:
        """End it now; whoever waits for its answer hears of its death."""
        self._process.kill()

    def _read(self) -> bytes | None:
        """The next answer, None once it is dead."""
        # Its own children may hold the pipe longer than it lives, so the end of the pipe is not waited for alone.
        while not select.select([self._answers], [], [], LOOK_SECONDS)[0]:
            if self._wait(os.WNOHANG):
                return None
        return read_frame(self._answers)

    def _wait(self, options: int) -> bool:
        """Whether it has ended; ``subprocess`` would not say how much memory it held."""
        if self._process.returncode is None:
            pid, status, usage = os.wait4(self._process.pid, options)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                self._peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return self._process.returncode is not None


def write_frame(stream: IO[bytes], content: bytes) -> None:
    """One message, sent."""
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next message; None where the stream ends before its end."""
    head = _exactly(stream, LENGTH.size)
    return None if head is None else _exactly(stream, LENGTH.unpack(head)[0])


def _exactly(stream: IO[bytes], count: int) -> bytes | None:
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
