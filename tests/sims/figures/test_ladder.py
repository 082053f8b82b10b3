"""The share in the first eigenspace, past its peak, of comparisons of any model and graph."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.compare.folder import read_comparison
from fiedler.sims.compare.ladder.retention import first_share, retention
from figure_runs import comparison_folder, draw, paths_folder, width_folder
from figures import assert_legible


@pytest.mark.parametrize("width", ["single", "double"])
def test_shares_of_comparisons_are_legible(width: str) -> None:
    drawn, figure = draw("retention", comparison_folder(), comparison_folder("path-star:3x3"), width=width)
    assert_legible(figure)
    assert [ax.get_xlabel() for ax in figure.axes] == ["training steps"] * 2  # a Transformer has no flow time
    assert len(drawn.sources) == 2


def test_marks_are_the_shares_and_the_star_is_at_their_peak() -> None:
    drawn, figure = draw("retention", width_folder(16), width="single")
    (ax,) = figure.axes
    assert ax.get_xlabel() == "flow time"
    comparison, _ = read_comparison(width_folder(16))
    (model,) = comparison.models
    steps = model.runs[0].modes.steps
    times = steps[1:] * model.settings.learning_rate
    share = np.median([first_share(run.modes.centred_energy[1:]) for run in model.runs], axis=0)
    predicted, marks, star = ax.lines
    assert np.asarray(predicted.get_xdata()) == pytest.approx(times)
    assert np.asarray(predicted.get_ydata()) == pytest.approx(first_share(model.predicted.centred_energy), rel=1e-6)
    assert np.isin(np.asarray(marks.get_ydata()), share).all()
    found = retention(times, share)
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (found.peak_time, found.peak)
    assert f"{found.peak:.3g} at t = {found.peak_time:.4g}, {found.end:.3g} at the end" in drawn.caption


def test_other_folders_are_refused() -> None:
    with pytest.raises(ValueError, match=r"retention cannot be made: .*is not the folder.*--preset retention` or"):
        draw("retention", paths_folder())
