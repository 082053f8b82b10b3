"""Ridge regressions and what they predict of rows that were left out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import lstsq

from fiedler.sims.recall.analysis.ridge import (
    calibrate,
    fit_ridge,
    fit_without_fold,
    make_folds,
    predict_held_out,
    variance_explained,
)
from recall_cases import ROUNDING


class TestRidge:
    @pytest.mark.parametrize(("rows", "inputs"), [(30, 8), (12, 40)])
    def test_is_least_squares_with_the_penalty_as_further_rows(self, rows: int, inputs: int) -> None:
        rng = np.random.default_rng(rows)
        x, y = rng.standard_normal((rows, inputs)) + 2, rng.standard_normal((rows, 3)) - 1
        fit = fit_ridge(x, y, 0.3)
        centred = x - x.mean(axis=0)
        penalty = 0.3 * (centred**2).sum() / min(rows, inputs)
        stacked = np.concatenate([centred, math.sqrt(penalty) * np.eye(inputs)])
        expected = lstsq(stacked, np.concatenate([y - y.mean(axis=0), np.zeros((inputs, 3))]))[0]
        np.testing.assert_allclose(fit.weights, expected, atol=ROUNDING)
        np.testing.assert_allclose(fit.predict(x).mean(axis=0), y.mean(axis=0), atol=ROUNDING)

    def test_held_out_rows_are_predicted_by_the_fits_without_them(self) -> None:
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((23, 9)), rng.standard_normal((23, 2))
        predicted = predict_held_out(x, y, [0.01, 1.0])
        for ridge, found in zip((0.01, 1.0), predicted, strict=True):
            fits = fit_without_fold(x, y, ridge)
            assert np.sum([rows for rows, _ in fits], axis=0).tolist() == [1] * 23
            for rows, fit in fits:
                np.testing.assert_allclose(found[rows], fit.predict(x[rows]), atol=ROUNDING)

    def test_what_is_left_out_does_not_enter(self) -> None:
        rng = np.random.default_rng(1)
        x, y = rng.standard_normal((20, 4)), rng.standard_normal((20, 4))
        before = predict_held_out(x, y, [0.1])[0]
        y[7] += 100
        after = predict_held_out(x, y, [0.1])[0]
        same = np.isclose(before, after, atol=ROUNDING).all(axis=1)
        fold = make_folds(20)
        assert (same == (fold == fold[7])).all()

    def test_variance_explained(self) -> None:
        y = np.array([[0.0], [2.0], [4.0]])
        assert variance_explained(y, y) == 1
        assert variance_explained(y, np.full_like(y, 2.0)) == 0
        assert variance_explained(y, y + 1) == pytest.approx(1 - 3 / 8)
        assert variance_explained(np.ones((3, 2)), np.ones((3, 2))) == 0

    def test_one_row_cannot_be_left_out(self) -> None:
        with pytest.raises(ValueError, match="at least two of them; got 1"):
            make_folds(1)


class TestCalibration:
    def test_a_posterior_mean_has_slope_one_and_is_shorter_than_the_truth(self) -> None:
        """y = x + z with x ~ N(0, 3), z ~ N(0, 1) independent: x predicts y with slope 1 and makes up R^2 = 3/4."""
        rng = np.random.default_rng(0)
        x, z = math.sqrt(3) * rng.standard_normal((20_000, 2)), rng.standard_normal((20_000, 2))
        found = calibrate(x + z + 5, x - 1)
        assert (found.slope, found.shrinkage) == pytest.approx((1, 0.75), abs=0.02)
        assert found.correction == 1 / found.shrinkage

    def test_nothing_to_calibrate_is_no_number(self) -> None:
        still, moving = np.ones((4, 1)), np.arange(4.0)[:, None]
        assert all(map(math.isnan, (calibrate(still, moving).shrinkage, calibrate(moving, still).slope)))
        assert math.isnan(calibrate(moving, -moving).correction)
