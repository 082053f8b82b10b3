"""The figure of the drift holds the flow against the law, and says which graphs have none."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.figures import drift
from fiedler.theory import graph_drift_law, parse
from figure_runs import comparison_folder, draw
from figures import assert_legible


@pytest.mark.parametrize("width", ["single", pytest.param("double", marks=pytest.mark.long)])
def test_the_flow_comes_to_lie_on_the_law(width: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if width == "single":  # to a hundredth of the time, in seconds
        monkeypatch.setattr(drift, "DECADES", (1, 4))
    drawn, figure = draw("drift", comparison_folder("path-star:3x3"), width=width)
    assert_legible(figure)
    law = graph_drift_law(parse("path-star:3x3"))
    assert law is not None
    line, marks = figure.axes[0].lines
    times = np.asarray(line.get_xdata())
    assert np.asarray(line.get_ydata()) == pytest.approx(law.gap_per_node(times))
    assert np.asarray(marks.get_ydata())[-1] == pytest.approx(float(law.gap_per_node(times[-1])), rel=0.02)
    assert f"kappa = {law.kappa:.5g} on path-star:3x3" in drawn.caption


def test_regular_graphs_have_none() -> None:
    with pytest.raises(ValueError, match="drift cannot be made: cycle:7 attains its infimum"):
        draw("drift", comparison_folder())
