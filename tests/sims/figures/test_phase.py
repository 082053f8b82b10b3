"""The phase diagram and the width check of a sweep's folder."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from fiedler.sims.figures.width_runs import read_widths
from figure_runs import draw, sweep_folder
from figures import assert_legible


@pytest.mark.parametrize("width", ["single", "double"])
def test_the_colours_are_the_means_of_the_table(width: str) -> None:
    drawn, figure = draw("phase", sweep_folder(), width=width)
    assert_legible(figure)
    table = pd.read_parquet(sweep_folder() / "results.parquet")
    means = table.groupby(["init_std", "width"])["geometric_margin"].mean()
    shown = np.asarray(figure.axes[0].collections[0].get_array()).ravel()
    assert shown == pytest.approx(means.to_numpy())
    assert drawn.sources[0].seeds == (0, 1)


def test_of_a_sweep_the_points_that_start_alike_are_compared() -> None:
    runs = read_widths([sweep_folder()])
    assert (list(runs.energy), runs.start, runs.seeds) == ([16, 64], 16.0, (0, 1))


@pytest.mark.parametrize("width", ["single", "double"])
def test_a_sweep_of_each_setting_has_a_panel_each(width: str) -> None:
    drawn, figure = draw("phase", sweep_folder("each"), width=width)
    assert_legible(figure)
    panels = figure.findobj(plt.Axes)
    assert [ax.get_xlabel() for ax in panels] == ["width", "initialisation (standard deviation)"]
    table = pd.read_parquet(sweep_folder("each") / "results.parquet")
    means = table[table["init_std"] == 1.0].groupby("width")["geometric_margin"].mean()  # the base, 100, too
    (line,) = [line for line in panels[0].lines if line.get_marker() == "o"]
    assert np.asarray(line.get_xdata()).tolist() == [16, 64, 100]
    assert np.asarray(line.get_ydata()) == pytest.approx(means.to_numpy())
    assert "one setting at a time, the others at init std 1, width 100" in drawn.caption
    assert drawn.sources[0].seeds == (0, 1)
