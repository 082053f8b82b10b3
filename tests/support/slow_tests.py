"""Which tests `make check` leaves out: tests/slow.txt, measured by this file run as a script.

    python tests/support/slow_tests.py [FOLDER OR FILE ...]

runs the tests there, all by default, and writes their part of the list again. A test is slow where it takes more than
SLOW seconds of processor time, its own and that of processes it started, which a busy machine changes little; a file
where a fixture of it does, which the next of its tests would have to make. Tests that are not in the list are fast.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "tests" / "slow.txt"
SLOW = 0.5  # seconds
# What the first test that needs it would seem to take.
LIBRARIES = ("torch", "scipy.optimize", "networkx", "pandas", "pyarrow", "matplotlib.pyplot", "plotly.io", "hypothesis")


def read_list() -> frozenset[str]:
    """The files and tests of the list, as pytest names them."""
    return frozenset(line for line in LIST.read_text(encoding="utf-8").splitlines() if line)


def is_slow(test: str, slow: frozenset[str]) -> bool:
    """Whether the test or its file is in the list."""
    return test in slow or test.partition("::")[0] in slow


class Measurement:
    """A pytest plugin: the processor time of every test and of the fixtures made for it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.fixtures: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        before = _processor_time()
        yield
        self.fixtures[item.nodeid] = _processor_time() - before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        before = _processor_time()
        try:
            yield
        finally:
            self.seconds[item.nodeid] = _processor_time() - before

    def slow(self) -> set[str]:
        """The slow tests, and the files with a slow fixture."""
        files = {test.partition("::")[0] for test, seconds in self.fixtures.items() if seconds > SLOW}
        tests = {test for test, seconds in self.seconds.items() if seconds > SLOW}
        return files | {test for test in tests if not is_slow(test, frozenset(files))}


def _processor_time() -> float:
    return sum(os.times()[:4])


def updated(slow: frozenset[str], measured: Iterable[str], newly: set[str]) -> list[str]:
    """The list in which the files of the ``measured`` tests are those of ``newly``."""
    files = {test.partition("::")[0] for test in measured}
    rest = {line for line in slow if line.partition("::")[0] not in files}
    return sorted(line for line in rest | newly if (ROOT / line.partition("::")[0]).is_file())


def main(paths: list[str]) -> int:
    for library in LIBRARIES:
        importlib.import_module(library)
    measurement = Measurement()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *(paths or ["tests"])], plugins=[measurement])
    lines = updated(read_list(), measurement.seconds, measurement.slow())
    LIST.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    total = sum(measurement.seconds.values()) + sum(measurement.fixtures.values())
    fast = sum(seconds for test, seconds in measurement.seconds.items() if not is_slow(test, frozenset(lines)))
    print(f"{total:.0f} s of processor time, of which fast tests {fast:.0f} s")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
