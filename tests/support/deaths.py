"""Calls that end their process in every way there is, for the tests of what is left then."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from fiedler.sims.models.protocol import Diverged
from fiedler.sims.runs.control import Watch
from fiedler.sims.runs.stopping import Interrupted


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segmented() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def left() -> None:
    os._exit(7)


def exits() -> None:
    sys.exit(3)


def starves() -> None:
    """A MemoryError under a limit of the address space, for this call alone."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**33, hard))
    bytearray(2**34)


def holds(size: int) -> None:
    """Dies with so many bytes touched."""
    content = bytearray(size)
    content[::4096] = b"x" * len(content[::4096])
    killed()


def pid() -> int:
    return os.getpid()


def sleeps(file: str, seconds: float) -> int:
    """Says its number in a file, and sleeps."""
    Path(file).write_text(str(os.getpid()))
    time.sleep(seconds)
    return os.getpid()


def naps(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def prints(text: str) -> str:
    print(text)
    os.write(1, text.encode())
    return sys.stdin.read()


def where() -> str:
    return os.getcwd()


class Odd(Exception):
    """Which pickles, and does not come back."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def raises_odd() -> None:
    raise Odd(1, 2)


def raises(error: Exception) -> None:
    raise error


def forks() -> None:
    """Dies while a child of its own lives on and holds its pipes."""
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
    killed()


# Works of ``side_by_side``.


def works(value: int, *, watch: Watch) -> int:
    return value


def dies(*, watch: Watch) -> None:
    segmented()


def diverges(*, watch: Watch) -> None:
    raise Diverged("training diverged at step 3", "lower the learning rate", 3)


def waits(file: str, *, watch: Watch) -> None:
    """Says that it has begun, and heeds a stop."""
    Path(file).touch()
    while not watch.stop_asked:
        time.sleep(0.01)
    raise Interrupted("saved")
