"""R^2, the clock and the time of parting, against planted runs."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.compare.ladder.agreement import PARTED, Predicted, agreement, r_squared

TIMES = np.geomspace(0.01, 1e3, 200)
GROWTH = np.array([1.0, 0.4, 0.2])
INTERPOLATED = 1e-3  # relative: lines in log-log between the points of TIMES against the curve
CLOCK = 1e-2  # relative, of a fitted factor on energies known to INTERPOLATED


def energies(times: np.ndarray) -> np.ndarray:
    """Three logistic modes of different rates."""
    return 5 / (1 + 100 * np.exp(-np.outer(times, GROWTH)))


@pytest.fixture
def predicted() -> Predicted:
    return Predicted(TIMES, energies(TIMES))


STEPS = np.unique(np.round(np.geomspace(1, 4000, 60)))


def test_a_run_that_is_predicted_agrees_and_never_parts(predicted: Predicted) -> None:
    found = agreement(predicted, STEPS, energies(0.01 * STEPS), 0.01)
    assert found.over_time > 1 - INTERPOLATED
    assert found.at_end > 1 - INTERPOLATED
    assert found.parted_at is None
    assert found.clock == pytest.approx(1.0, rel=CLOCK)


@pytest.mark.parametrize("factor", [0.05, 0.5, 3.0, 20.0])
def test_a_run_with_another_clock_is_explained_by_it_alone(predicted: Predicted, factor: float) -> None:
    steps = STEPS / factor
    found = agreement(predicted, steps, energies(0.01 * factor * steps), 0.01)
    assert found.clock == pytest.approx(factor, rel=CLOCK)
    assert found.with_clock > 1 - INTERPOLATED
    assert found.over_time < 0.99
    assert found.parted_at is not None


def test_a_run_without_flow_time_is_only_told_its_clock(predicted: Predicted) -> None:
    found = agreement(predicted, STEPS, energies(0.03 * STEPS), None)
    assert np.isnan([found.over_time, found.at_end]).all()
    assert found.parted_at is None
    assert found.clock == pytest.approx(0.03, rel=CLOCK)
    assert found.with_clock > 1 - INTERPOLATED


def test_the_time_of_parting_is_the_first_beyond_the_share(predicted: Predicted) -> None:
    times = 0.01 * STEPS
    expected, energy = predicted.at(times), predicted.at(times)
    largest = np.linalg.norm(expected, axis=1).max()
    energy[40:, 0] += 1.01 * PARTED * largest
    assert agreement(predicted, STEPS, energy, 0.01).parted_at == times[40]
    energy[40:, 0] -= 0.02 * PARTED * largest
    assert agreement(predicted, STEPS, energy, 0.01).parted_at is None


def test_r_squared_is_the_formula() -> None:
    measured = np.array([[1.0, 2.0], [3.0, 6.0]])
    assert r_squared(measured, measured) == 1.0
    assert r_squared(measured, np.full((2, 2), 3.0)) == 0.0
    assert r_squared(measured, measured + 1) == pytest.approx(1 - 4 / 14)
    assert r_squared(measured, -measured) < 0
    assert np.isnan(r_squared(np.ones((2, 2)), measured))
