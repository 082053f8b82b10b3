"""Which tests `make check` leaves out: the functions in tests/slow.txt, measured by this file run as a script.

    python tests/support/slow_tests.py [FOLDER OR FILE ...]

runs the tests there, all by default, and writes their part of the list again. A test function is slow where all its
examples together, with the fixtures made for them, take more than SLOW seconds of processor time, that of processes
they started included; a busy machine changes it little. What is not in the list is fast until it is measured.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "tests" / "slow.txt"
SLOW = 0.5  # seconds
# What the first test that needs it would seem to take.
LIBRARIES = ("torch", "scipy.optimize", "networkx", "pandas", "pyarrow", "matplotlib.pyplot", "plotly.io", "hypothesis",
             "transformers", "sympy", "mpmath")  # fmt: skip


def function_of(test: str) -> str:
    """The test function of a test as pytest names it, FILE::FUNCTION[EXAMPLE]."""
    return test.partition("[")[0]


def read_list() -> frozenset[str]:
    """The slow test functions; none where there is no list."""
    return frozenset(LIST.read_text(encoding="utf-8").splitlines()) if LIST.is_file() else frozenset()


def updated(slow: Iterable[str], seconds: Mapping[str, float]) -> list[str]:
    """The list after a measurement of these functions: those of the measured files are judged again, those of files
    that are gone are left out."""
    files = {function.partition("::")[0] for function in seconds}
    left = {function for function in slow if function.partition("::")[0] not in files}
    found = left | {function for function, time in seconds.items() if time > SLOW}
    return sorted(function for function in found if (ROOT / function.partition("::")[0]).is_file())


class Measurement:
    """A pytest plugin: the processor time of every test function and of the fixtures made for it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        before = sum(os.times()[:4])
        yield
        self.seconds[function_of(item.nodeid)] += sum(os.times()[:4]) - before  # type: ignore[assignment]


def main(paths: list[str]) -> int:
    for library in LIBRARIES:
        importlib.import_module(library)
    measurement = Measurement()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *(paths or ["tests"])], plugins=[measurement])
    seconds: Mapping[str, float] = measurement.seconds
    slow = updated(read_list(), seconds)
    LIST.write_text("".join(f"{function}\n" for function in slow), encoding="utf-8")
    fast = sum(time for function, time in seconds.items() if function not in slow)
    print(f"{sum(seconds.values()):.0f} s of processor time, of which fast tests {fast:.0f} s")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
