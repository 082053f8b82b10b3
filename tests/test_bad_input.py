"""Bad input to every public function: refused at the door in one line by ValueError or TypeError, or rightly taken.

The registries hold one small valid call of each function; bad ones replace one or two of its arguments by the values of
``bad_values``, and ``bad_input_oracle.verdict`` says what is wrong with what came of it. The short form draws a few bad
calls of each function; the long form (marker ``long``) tries every value in every argument, and many pairs.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiedler.kernels
import fiedler.theory
import valid_calls
import valid_flow_calls
import valid_kernel_calls
import valid_ladder_calls
from bad_input_oracle import Call, verdict
from bad_values import CONSTANTS, LABELS, SKIP, spoil

CALLS: dict[str, Call] = (
    valid_calls.CALLS | valid_flow_calls.CALLS | valid_ladder_calls.CALLS | valid_kernel_calls.CALLS
)
DRAWN, PAIRS = 30, 60  # examples of each function: in the short form; pairs in the long one
ROOM = 3 * 2**30  # bytes that a call may map: what is larger is refused, not allocated
every_call = pytest.mark.parametrize("name", CALLS)


@pytest.fixture(autouse=True)
def limited_memory() -> Iterator[None]:
    """An allocation that should have been refused fails here instead of taking the machine's memory (on Linux)."""
    if sys.platform != "linux":
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as sizes:
        mapped = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def spoilt(name: str, least: int, most: int) -> st.SearchStrategy[dict[str, str]]:
    """Labels of bad values for ``least`` to ``most`` arguments of the call."""
    names = list(CALLS[name].arguments())
    count = min(most, len(names))
    chosen = st.lists(st.sampled_from(names), min_size=min(least, count), max_size=count, unique=True)
    return chosen.flatmap(lambda some: st.fixed_dictionaries({one: st.sampled_from(LABELS) for one in some}))


def judge(name: str, labels: dict[str, str]) -> None:
    wrong = verdict(CALLS[name], labels)
    assert wrong is None, f"{name} with {labels} {wrong}"


def draw(name: str, examples: int, least: int, most: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(spoilt(name, least, most))
    def check(labels: dict[str, str]) -> None:
        judge(name, labels)

    check()


def test_every_public_name_has_a_call() -> None:
    named = {name.partition(" ")[0] for name in CALLS}
    for package, results in ((fiedler.theory, valid_calls.RESULTS), (fiedler.kernels, valid_kernel_calls.RESULTS)):
        public = {name for name in package.__all__ if callable(getattr(package, name))}
        assert public - named - results == set(), "add a call to valid_calls or valid_kernel_calls"
        assert results <= public, "these are no public names any more"


@every_call
def test_the_call_that_is_spoilt_is_valid(name: str) -> None:
    CALLS[name].function(**CALLS[name].arguments())


@every_call
def test_bad_input_is_refused(name: str) -> None:
    draw(name, DRAWN, 1, 2)


@pytest.mark.long
@pytest.mark.timeout(1200)
@every_call
def test_every_bad_value_in_every_argument_is_refused(name: str) -> None:
    wrong = {}
    for argument in CALLS[name].arguments():
        for label in LABELS:
            found = verdict(CALLS[name], {argument: label})
            if found is not None:
                wrong[argument, label] = found
    assert not wrong


@pytest.mark.long
@pytest.mark.timeout(1200)
@every_call
def test_pairs_of_bad_values_are_refused(name: str) -> None:
    if len(CALLS[name].arguments()) > 1:
        draw(name, PAIRS, 2, 2)


def test_the_long_form_makes_ten_thousand_calls() -> None:
    made = 0
    for call in CALLS.values():
        for value in call.arguments().values():
            made += len(CONSTANTS) + sum(spoil(label, value) is not SKIP for label in LABELS[len(CONSTANTS) :])
    assert made >= 10_000


# --- the oracle sees what is wrong ---


def forever(x: float) -> float:
    while True:
        x = x + 1.0 - 1.0


def refuses(x: float) -> float:
    if not isinstance(x, float) or not math.isfinite(x) or x < 0:
        raise ValueError("x must be a number >= 0")
    return x


@pytest.mark.parametrize(
    ("function", "label", "wrong"),
    [
        (lambda x: x.size, "text", "raised AttributeError"),
        (lambda x: [0.0][x], "10^12", "raised IndexError"),
        (lambda x: np.linalg.inv(np.zeros((2, 2))), "0", "raised LinAlgError"),
        (lambda x: np.zeros(10**14), "10^12", "raised .*MemoryError"),
        (lambda x: 1.0, "text", "took text for x, which may be"),
        (lambda x: 1.0, "True", "took flag for x"),
        (lambda x: 1.0, "None", "took none for x"),
        (lambda x: 1.0, "NaN", "took NaN or infinity in x"),
        (lambda x: 1.0, "-1", "took '-1' for x"),
        (lambda x: math.nan, "0.5", "returned NaN"),
        (lambda x: {"a": [np.array([0.0, np.nan])]}["a"], "0.5", "returned NaN"),
        (lambda x: float(x), "text", "left the refusal to others"),
        (lambda x: np.log(np.float64(x)), "0", "raised RuntimeWarning"),
        (refuses, "text", "left the refusal to others"),  # raised by a test, not by the package
    ],
)
def test_the_oracle_sees(function: Callable[[Any], Any], label: str, wrong: str) -> None:
    call = Call(function, lambda: {"x": 1.0}, kinds={"x": "float"})
    with pytest.raises(AssertionError, match=wrong):
        assert verdict(call, {"x": label}) is None, verdict(call, {"x": label})


def test_the_oracle_stops_a_call_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bad_input_oracle.SECONDS", 0.2)
    began = time.process_time()
    assert "took longer" in str(verdict(Call(forever, lambda: {"x": 1.0}, kinds={"x": "float"}), {"x": "0.5"}))
    assert time.process_time() - began < 2


def test_the_oracle_lets_good_values_pass() -> None:
    assert verdict(Call(lambda x: x, lambda: {"x": 1.0}, kinds={"x": "float"}), {"x": "0.5"}) is None
