"""The bars: heights are the energies of the final embeddings, marks the predicted flows', labels the eigenspaces."""

from __future__ import annotations

import dataclasses
import warnings
from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from comparisons import small_comparison
from fiedler.sims.compare import spectral_bias as module
from fiedler.sims.compare.comparison import Comparison
from fiedler.sims.compare.show.mode_times import plot_mode_times
from fiedler.sims.compare.show.spectral_bars import (
    plot_spectral_bars,
    plot_vector_bars,
    spectral_bars_caption,
    vector_bars_caption,
)
from figures import assert_legible

MODELS = ("node2vec", "node2vec-untied", "transformer")
WORDS = ("cycle:8", "path-star:3x3", "irregular", "petersen")
EXACT = 1e-9


@lru_cache
def bars(vectors: bool = False) -> tuple[list[Comparison], Figure]:
    comparisons = [small_comparison(word, MODELS) for word in WORDS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = (plot_vector_bars if vectors else plot_spectral_bars)(comparisons)
        figure.canvas.draw()
    plt.close(figure)
    return comparisons, figure


def heights(ax: Axes) -> np.ndarray:
    return np.array([patch.get_height() for patch in ax.patches])


@pytest.mark.parametrize("vectors", [False, True])
def test_the_bars_are_legible(vectors: bool) -> None:
    comparisons, figure = bars(vectors)
    assert_legible(figure)
    axes = np.array(figure.axes).reshape(len(MODELS), len(WORDS))
    assert [ax.get_title() for ax in axes[0]] == list(WORDS)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == [one.model.title for one in comparisons[0].models]
    (legend,) = figure.legends
    assert len(legend.get_texts()) == (2 if vectors else 3)


def test_bars_are_shares_of_the_centred_energy() -> None:
    comparisons, figure = bars()
    for column, comparison in zip(np.array(figure.axes).reshape(len(MODELS), -1).T, comparisons, strict=True):
        spaces, n = comparison.task.spaces, comparison.task.graph.n
        centring = np.eye(n) - 1 / n
        kept = [k for k in range(len(spaces.eigenvalues)) if np.trace(centring @ spaces.projector(k)) > 0.5]
        labels = [f"{0.0 if abs(mu := spaces.eigenvalues[k]) < 1e-9 else mu:.3g}" for k in kept]
        labels = [f"{label} (×{spaces.multiplicities[k]})" for label, k in zip(labels, kept, strict=True)]
        assert [tick.get_text() for tick in column[-1].get_xticklabels()] == labels
        biases = comparison.biases
        for ax, one in zip(column, comparison.models, strict=True):
            shares = []
            for run in one.runs:
                v = centring @ np.asarray(run.final.embedding, dtype=np.float64)
                shares.append([np.trace(v.T @ spaces.projector(k) @ v) / np.trace(v.T @ v) for k in kept])
            np.testing.assert_allclose(heights(ax), np.mean(shares, axis=0), atol=1e-6)
            (ranges,) = [c for c in ax.collections if isinstance(c, LineCollection)]
            ends = np.array([segment[:, 1] for segment in ranges.get_segments()])
            np.testing.assert_allclose(ends[:, 0], np.min(shares, axis=0), atol=1e-6)
            np.testing.assert_allclose(ends[:, 1], np.max(shares, axis=0), atol=1e-6)
            drawn = [line for line in ax.lines if len(line.get_xdata()) == len(kept)]
            mine = [bias for bias in biases if bias.compared is one]
            assert len(mine) == len(drawn) == (2 if one.model.name == "transformer" else 1)
            for line, bias in zip(drawn, mine, strict=True):
                energy = bias.predicted.centred_energy[-1]
                np.testing.assert_allclose(line.get_ydata(), energy[kept] / energy.sum(), rtol=EXACT, atol=1e-15)


def test_vector_bars_are_the_papers_in_the_basis_of_the_comparison() -> None:
    comparisons, figure = bars(True)
    for column, comparison in zip(np.array(figure.axes).reshape(len(MODELS), -1).T, comparisons, strict=True):
        spaces = comparison.task.spaces
        for ax, one in zip(column, comparison.models, strict=True):
            norms = np.linalg.norm(np.asarray(one.runs[0].final.embedding, np.float64).T @ spaces.basis, axis=0)
            np.testing.assert_allclose(heights(ax), norms[1:] / norms[1:].max(), atol=1e-6)
            (steps,) = [c for c in ax.collections if isinstance(c, LineCollection)]
            level = np.array([segment[0, 1] for segment in steps.get_segments()])
            for k in range(1, len(spaces.eigenvalues)):
                mine = spaces.labels[1:] == k
                mean = np.sqrt((norms[1:][mine] ** 2).mean()) / norms[1:].max()
                np.testing.assert_allclose(level[mine], mean, atol=1e-6)


def test_the_captions_state_the_basis() -> None:
    comparisons, _ = bars()
    assert "No basis is chosen" in spectral_bars_caption(comparisons)
    assert "2 seed(s)" in spectral_bars_caption(comparisons)
    assert "LAPACK" in vector_bars_caption(comparisons)


def test_many_modes_have_every_few_labels() -> None:
    comparison = small_comparison("karate", ("node2vec",))
    for plot in (plot_spectral_bars, plot_vector_bars):
        figure = plot([comparison])
        assert_legible(figure)
        bars_drawn = {plot_spectral_bars: len(comparison.task.spaces.eigenvalues) - 1, plot_vector_bars: 33}
        assert len(figure.axes[0].patches) == bars_drawn[plot]
        assert 8 <= len(figure.axes[0].get_xticklabels()) <= 16
        plt.close(figure)


def test_only_the_scores_of_the_comparison_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NODES", 7)
    comparison = dataclasses.replace(small_comparison("cycle:8", MODELS))  # without the scores of the one copied
    assert all(bias.own for bias in comparison.biases)
    for figure in (plot_spectral_bars([comparison]), plot_mode_times([comparison])):
        marks = [sum(line.get_marker() != "None" for line in ax.lines) for ax in figure.axes]
        assert marks == ([1, 1, 1] if len(marks) == 3 else [1, 0, 2, 0, 0, 0])  # no untied flow of the Transformer
        plt.close(figure)
