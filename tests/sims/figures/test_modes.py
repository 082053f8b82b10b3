"""Figures of a comparison hold the numbers of its folder, read again and nothing trained."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes

from fiedler.sims.compare.folder import read_comparison
from fiedler.sims.compare.show.energies import drawn_modes
from fiedler.sims.draw.style import MARKERS
from fiedler.sims.runs.folder import RunDir
from figure_runs import comparison_folder, draw
from figures import assert_legible

FLAT = 1e-6  # the constant mode of a cycle has no energy once the mean is removed, and no line


def lines(ax: Axes, count: int) -> list[np.ndarray]:
    """The y data of every line of ``count`` points."""
    return [np.asarray(line.get_ydata()) for line in ax.lines if len(line.get_ydata()) == count]


def test_a_folder_is_read_as_it_was_written() -> None:
    folder = comparison_folder()
    comparison, source = read_comparison(folder)
    scores = RunDir.open(folder).read_scores()
    assert [one.model.name for one in comparison.models] == ["node2vec", "transformer"]
    assert comparison.optimum.eigenvalues == pytest.approx(scores["optimum"]["eigenvalues"])
    for one in comparison.models:
        kept = [entry for entry in scores["runs"] if entry["model"] == one.model.name]
        assert [run.seed for run in one.runs] == [0, 1] == list(source.seeds or ())
        assert [fit.rms_log10 for fit in one.fits] == [entry["trajectory_fit"]["rms_log10"] for entry in kept]
        assert [one.scores[k]["gram_error"] for k in (0, 1)] == [entry["gram_error"] for entry in kept]


@pytest.mark.parametrize("width", ["single", "double"])
def test_the_lines_are_the_kept_prediction_and_the_marks_the_kept_runs(width: str) -> None:
    _, figure = draw("modes", comparison_folder(), width=width)
    assert_legible(figure)
    modes = RunDir.open(comparison_folder()).read_modes()
    comparison, _ = read_comparison(comparison_folder())
    chosen = drawn_modes(comparison.models)
    assert len(figure.legends) == 1
    for part, one in zip(figure.subfigs, comparison.models, strict=True):
        predicted = modes[f"{one.model.name}/predicted_centred_energy"]
        rest = np.setdiff1d(np.arange(predicted.shape[1]), chosen)
        kept = [*predicted.T, predicted[:, rest].sum(axis=1)]
        found = lines(part.axes[0], len(predicted))
        assert len(found) >= 3
        for line in found:
            assert any(np.array_equal(line, column) for column in kept)
        measured = np.exp(np.log(modes[f"{one.model.name}/centred_energy"]).mean(axis=0)) / one.mean_fit.amplitude
        first = next(int(k) for k in chosen if predicted[:, k].max() > FLAT)
        marker = MARKERS[chosen.tolist().index(first)]
        (marks,) = [np.asarray(line.get_ydata()) for line in part.axes[0].lines if line.get_marker() == marker]
        assert len(marks) > 3
        assert np.abs(measured[1:, first][:, None] / marks - 1).min(axis=0) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("width", ["single", "double"])
def test_the_spectrum_is_that_of_the_kept_optimum(width: str) -> None:
    _, figure = draw("spectra", comparison_folder(), width=width)
    assert_legible(figure)
    factor = RunDir.open(comparison_folder()).read_modes()["optimum_factor"]
    expected = np.linalg.eigvalsh(factor @ factor.T)[::-1]
    shown = np.asarray(figure.axes[0].lines[0].get_ydata())
    assert shown == pytest.approx(expected[: len(shown)], abs=1e-9 * expected[0])
