"""Checks and criteria against intervals that are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fiedler.sims.reproduce.criterion import LEAST_SEEDS, Check, Criterion
from fiedler.sims.reproduce.measured import Measured
from fiedler.sims.reproduce.verdict import (
    CONFIRMED,
    CONTRADICTED,
    IN_PART,
    NOT,
    NOT_MEASURED,
    OUT_OF_REACH,
    Finding,
    bounds,
)

VALUES = (0.5, 0.6, 0.7, 0.8, 0.9)
ROUNDING = 1e-12  # of a mean and a quantile in float64


def measured(**cells: tuple[float, ...]) -> Measured:
    return Measured({name: [{"x": value} for value in values] for name, values in cells.items()}, {})


def finding(check: Check, **cells: tuple[float, ...]) -> Finding:
    (found,) = check.findings(measured(**cells), frozenset())
    return found


def test_the_interval_is_students() -> None:
    found = finding(Check("x", ("a",), "x", least=0.0), a=VALUES)
    low, high = stats.t.interval(0.95, 4, np.mean(VALUES), stats.sem(VALUES))
    assert found.interval == pytest.approx((low, high), abs=ROUNDING)
    assert found.mean == pytest.approx(0.7, abs=ROUNDING)


@pytest.mark.parametrize(
    ("least", "most", "holds"),
    [
        (0.5, None, True), (0.6, None, None), (0.95, None, False), (None, 0.9, True), (None, 0.6, None),
        (None, 0.5, False), (0.5, 0.9, True), (0.0, 0.4, False), (0.65, 0.9, None),
    ],
)  # fmt: skip
def test_a_check_holds_where_the_whole_interval_does(least: float | None, most: float | None, holds: bool) -> None:
    assert finding(Check("x", ("a",), "x", least, most), a=VALUES).holds is holds  # the interval is 0.504 to 0.896


def test_every_seed_or_their_mean() -> None:
    assert finding(Check("x", ("a",), "x", least=0.5, every=True), a=VALUES).holds is True
    assert finding(Check("x", ("a",), "x", least=0.55, every=True), a=VALUES).holds is None
    assert finding(Check("x", ("a",), "x", least=0.95, every=True), a=VALUES).holds is False


def test_differences_are_seed_by_seed() -> None:
    shifted = tuple(value - 0.3 for value in VALUES)
    found = finding(Check("x", ("a",), "x", least=0.29, minus="b"), a=VALUES, b=shifted)
    assert found.holds is True  # the spread of both cells is larger than their difference
    assert found.mean == pytest.approx(0.3, abs=ROUNDING)


def test_too_few_seeds_decide_nothing() -> None:
    few = measured(a=(1.0,) * (LEAST_SEEDS - 1))
    criterion = Criterion((Check("x", ("a",), "x", least=0.5),))
    assert criterion(few).status == NOT
    assert "4 of the at least 5 seeds" in criterion(few).reason
    assert criterion(measured(a=(0.0,) * (LEAST_SEEDS - 1))).status == NOT
    assert criterion(measured(a=(1.0,)), frozenset({"a"})).status == CONFIRMED  # nothing in it is random
    assert criterion(measured(a=(1.0,)), frozenset({"a"})).deterministic


def test_verdicts() -> None:
    high, low, spread = (1.0,) * 5, (0.0,) * 5, (0.0, 1.0, 0.0, 1.0, 0.5)
    check = Check("x", ("a", "b"), "x", least=0.5)
    status = {
        name: Criterion((check,))(measured(a=a, b=b)).status
        for name, a, b in (("both", high, high), ("none", low, low), ("one", high, low), ("open", spread, spread),
                           ("half", high, spread), ("neither", low, spread))
    }  # fmt: skip
    assert status == {
        "both": CONFIRMED, "none": CONTRADICTED, "one": IN_PART, "open": NOT, "half": IN_PART, "neither": NOT,
    }  # fmt: skip
    assert Criterion((check,), universal=True)(measured(a=high, b=low)).status == CONTRADICTED
    assert Criterion((check,), universal=True)(measured(a=high, b=spread)).status == IN_PART
    far = Criterion((check,), reach="needs a GPU")(measured(a=high, b=high))
    assert (far.status, far.reason, len(far.findings)) == (OUT_OF_REACH, "needs a GPU", 2)


def test_what_is_missing_is_named() -> None:
    criterion = Criterion((Check("x", ("a",), "y", least=0.5),))
    assert criterion(Measured({}, {"a": "seed 3 diverged"})) == criterion(Measured({}, {"a": "seed 3 diverged"}))
    assert criterion(Measured({}, {"a": "seed 3 diverged"})).reason == "a: seed 3 diverged"
    assert criterion(measured(a=VALUES)).status == NOT_MEASURED
    assert "a has no score 'y'" in criterion(measured(a=VALUES)).reason
    for value in (None, True, "1", float("nan"), float("inf")):
        assert "no number" in criterion(Measured({"a": [{"y": value}]}, {})).reason


def test_a_score_may_be_in_a_list() -> None:
    nested = Measured({"a": [{"x": [1.0, 2.0], "y": {"z": 3.0}}]}, {})
    assert nested.values("a", "x.1") == (2.0,)
    assert nested.values("a", "y.z") == (3.0,)
    with pytest.raises(KeyError, match="no score"):
        nested.values("a", "x.2")


def test_bounds_in_words() -> None:
    assert [bounds(1.0, None), bounds(None, 0.25), bounds(0.5, 0.75), bounds(2.0, 2.0), bounds(None, None)] == [
        ">= 1", "<= 0.25", "0.5 to 0.75", "2", "any",
    ]  # fmt: skip
