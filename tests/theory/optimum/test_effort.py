"""What is asked of a search, and the forecast of its time."""

import numpy as np
import pytest

from fiedler.theory import default_tolerance, estimate_optimum_seconds, one_hop_target, parse, tied_optimum
from fiedler.theory import untied_optimum as untied
from fiedler.theory.optimum.effort import check_effort

TARGET = one_hop_target(parse("cycle:5"))
SIZES = (1, 2, 15, 60, 61, 100, 101, 400, 1500, 1501, 2000, 2001, 3000, 6000, 10_000, 100_000)


@pytest.mark.parametrize("solve", [tied_optimum, untied])
@pytest.mark.parametrize("tolerance", [-1e-9, 1.0, 2.0, np.inf, np.nan, "fine", None])
def test_a_tolerance_is_a_relative_gap(solve, tolerance):
    if tolerance is None:
        assert solve(TARGET, weight_decay=0.1).tolerance == default_tolerance(5) == 0
        return
    with pytest.raises((ValueError, TypeError), match="tolerance"):
        solve(TARGET, weight_decay=0.1, tolerance=tolerance)


@pytest.mark.parametrize("solve", [tied_optimum, untied])
@pytest.mark.parametrize("limit", [0, -1.0, np.nan, "long"])
def test_a_limit_is_a_positive_number_of_seconds(solve, limit):
    with pytest.raises((ValueError, TypeError), match="time_limit"):
        solve(TARGET, weight_decay=0.1, time_limit=limit)


def test_what_is_not_asked_for_is_the_default():
    for n in SIZES:
        effort = check_effort(None, None, None, n)
        assert effort.tolerance == default_tolerance(n)
        assert effort.deadline == np.inf
    assert check_effort(0.5, None, None, 5).tolerance == 0.5
    soon, late = (check_effort(None, seconds, None, 5).deadline for seconds in (1.0, 1000.0))
    assert late - soon == pytest.approx(999, abs=1)


def test_the_default_is_looser_on_larger_graphs():
    tolerances = [default_tolerance(n) for n in SIZES]
    assert tolerances[:6] == [0.0] * 6
    assert (np.diff(tolerances) >= 0).all()
    assert max(tolerances) < 0.1


@pytest.mark.parametrize("tolerance", [1e-8, 1e-4, 1e-2, 0.0])
@pytest.mark.parametrize("degree", [3, 50])
def test_the_forecast_grows_with_the_graph(tolerance, degree):
    sizes = [n for n in SIZES if n <= 2000] + [2500, 5000, 10_000, 100_000]
    seconds = [estimate_optimum_seconds(n, degree * n, tolerance=tolerance) for n in sizes]
    assert (np.array(seconds) > 0).all()
    assert np.isfinite(seconds).all()
    # Over DENSE_SPECTRUM nodes a whole spectrum is no longer found, so that each side is compared with itself.
    for side in (seconds[: len([n for n in SIZES if n <= 2000])], seconds[-4:]):
        assert (np.diff(side) > 0).all()
    assert seconds[0] < 1
    assert estimate_optimum_seconds(1000, 10**6, tolerance=tolerance) > estimate_optimum_seconds(
        1000, 10**4, tolerance=tolerance
    )


def test_the_forecast_grows_with_the_digits():
    seconds = [estimate_optimum_seconds(500, 3000, tolerance=x) for x in (1e-1, 1e-3, 1e-6, 0.0)]
    assert (np.diff(seconds) > 0).all()
    assert estimate_optimum_seconds(500, 3000) == estimate_optimum_seconds(500, 3000, tolerance=default_tolerance(500))
