"""Settings one at a time: a panel each, of the rows that keep the others at the base."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from fiedler.sims.phase.panels import panel_diagrams, panel_notes, panels_figure
from figures import assert_legible
from phase_tables import swept

BASE = {"learning_rate": 0.01, "width": 10}
AXES = {"learning_rate": [0.001, 0.1], "width": [5, 20]}


def score(seed: int, learning_rate: float = 0.01, width: int = 10) -> float:
    return np.log10(learning_rate) + width / 10 + 0.1 * seed


def table() -> pd.DataFrame:
    # Node2Vec's learning rate is 0.01 unless it varies.
    return pd.concat([swept({name: values}, score) for name, values in AXES.items()])


def test_a_panel_has_its_own_rows_alone() -> None:
    found = panel_diagrams(table(), BASE, list(AXES), samples=0)
    assert [diagram.grid.axes[0].name for diagram in found] == list(AXES)
    assert found[0].grid.cells.ravel().tolist() == [0.001, 0.1]
    assert found[0].grid.mean == pytest.approx([-3 + 1 + 0.05, -1 + 1 + 0.05])
    assert found[1].grid.mean == pytest.approx([-2 + 0.5 + 0.05, -2 + 2 + 0.05])
    assert found[1].grid.settings["learning_rate"] == 0.01


def test_the_figure_has_them_all_and_one_legend() -> None:
    found = panel_diagrams(table(), BASE, list(AXES), samples=0)
    figure = panels_figure(found)
    assert_legible(figure)
    assert [ax.get_xlabel() for ax in figure.findobj(plt.Axes)] == ["learning rate", "width"]
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert len(labels) == len(set(labels))
    assert "measured (mean, range over seeds)" in labels
    plt.close(figure)


def test_what_both_have_to_say_is_said_once() -> None:
    found = panel_diagrams(table(), BASE, list(AXES), predict=False)
    assert panel_notes(found)[0] == "learning rate, width: no prediction was asked for."
