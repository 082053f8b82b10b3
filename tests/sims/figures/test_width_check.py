"""Deviations from the infinite-width flow: the closed form at the start, and only runs that may be compared."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.figures.width_check import deviation, deviation_error, predicted_deviation
from fiedler.sims.figures.width_runs import read_widths
from figure_runs import START, draw, width_folder
from figures import assert_legible

NEAR_START = 5e-3  # flow times of 1e-4 change energies by less
SCATTER = 3.0  # standard errors that a measured mean square may be off


def test_the_prediction_at_the_start_is_the_wishart_matrixs() -> None:
    # E_k has variance 2 s^4 d_k / m and mean s^2 d_k: the root of the summed variances over s^2 n.
    runs = read_widths([width_folder(8), width_folder(64)])
    found = predicted_deviation(runs, np.array([1e-4]), [8, 64])
    assert found is not None
    assert found[:, 0] == pytest.approx(np.sqrt(2 / (5 * np.array([8, 64]))), rel=NEAR_START)


def test_a_deviation_is_the_root_mean_square_over_seeds() -> None:
    flow = np.array([[3.0, 1.0]])
    energy = flow + np.array([[[0.3, 0.4]], [[0.0, 0.0]]])
    assert deviation(energy, flow) == pytest.approx([np.sqrt(0.25 / 2) / 4])
    assert deviation_error(energy[:1], flow) == pytest.approx(0)
    below, above = deviation_error(energy, flow)
    assert (above > 0).all()
    assert (below > 0).all()


@pytest.mark.parametrize("width", ["single", "double"])
def test_the_figure_holds_the_runs(width: str) -> None:
    drawn, figure = draw("width-check", width_folder(8), width_folder(64), width=width)
    assert_legible(figure)
    runs = read_widths([width_folder(8), width_folder(64)])
    assert list(runs.energy) == [8, 64]
    assert runs.start == pytest.approx(START)
    shown = [np.asarray(line.get_ydata()) for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    mean = runs.energy[8].mean(axis=0)
    assert sum(any(np.array_equal(line, mean[:, k]) for k in range(mean.shape[1])) for line in shown) == len(shown) // 2
    assert [source.seeds for source in drawn.sources] == [(0, 1, 2, 3)] * 2


def test_runs_that_differ_in_more_than_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"starts at size width x init_std\^2 = 32 and others at 16"):
        draw("width-check", width_folder(8), width_folder(16, 32.0))
    with pytest.raises(ValueError, match="all runs have width 8; at least two widths"):
        draw("width-check", width_folder(8))
    with pytest.raises(ValueError, match="width 8, seed 0 is given twice"):
        draw("width-check", width_folder(8), width_folder(8))
    with pytest.raises(ValueError, match="has steps 30 and others 60: only the width may differ"):
        draw("width-check", width_folder(8), width_folder(64, steps=30))
