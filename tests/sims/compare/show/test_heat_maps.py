"""The heat maps: every panel is the matrix it says it is, in the order of the nodes."""

from __future__ import annotations

import warnings
from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from comparisons import small_comparison
from fiedler.sims.compare.comparison import Comparison
from fiedler.sims.compare.show.heat_maps import THEORY, cosines, heat_maps_caption, plot_heat_maps
from fiedler.theory import TiedOptimum
from figures import assert_legible

MODELS = ("node2vec", "node2vec-untied", "transformer")
WORDS = ("cycle:8", "path-star:3x3", "irregular", "hamming:1,5")


@lru_cache
def heat_maps() -> tuple[list[Comparison], Figure]:
    comparisons = [small_comparison(word, MODELS) for word in WORDS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_heat_maps(comparisons)
        figure.canvas.draw()
    plt.close(figure)
    return comparisons, figure


def looped(v: np.ndarray, optimum: TiedOptimum) -> np.ndarray:
    """Cosines node by node, less the mean of the component."""
    n = len(v)
    mean = [v[optimum.components == optimum.components[i]].mean(axis=0) for i in range(n)]
    rest = [v[i] - mean[i] for i in range(n)]
    return np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for a in rest] for b in rest])


def test_the_heat_maps_are_legible() -> None:
    comparisons, figure = heat_maps()
    assert_legible(figure)
    axes = np.array(figure.axes[:-1]).reshape(len(WORDS), -1)
    titles = [*THEORY, *(one.model.title for one in comparisons[0].models)]
    assert [ax.get_title() for ax in axes[0]] == titles
    assert [ax.get_ylabel() for ax in axes[:, 0]] == list(WORDS)
    assert figure.axes[-1].get_ylabel() == "cosine"


def test_every_panel_is_its_matrix() -> None:
    comparisons, figure = heat_maps()
    for row, comparison in zip(np.array(figure.axes[:-1]).reshape(len(WORDS), -1), comparisons, strict=True):
        images = [np.ma.filled(ax.images[0].get_array(), np.nan) for ax in row]
        np.testing.assert_array_equal(images[0], comparison.task.target)
        if comparison.optimum.rank == 0:
            assert np.isnan(images[1]).all()
        for image, one in zip(images[2:], comparison.models, strict=True):
            v = np.asarray(one.runs[0].final.embedding, dtype=np.float64)
            np.testing.assert_allclose(image, looped(v, comparison.optimum), atol=1e-12)
        for ax in row[1:]:
            assert ax.images[0].get_clim() == (-1.0, 1.0)
    # The cycle's optimum: the cosine of two nodes is that of the angle between them.
    image = np.asarray(figure.axes[1].images[0].get_array())
    turns = np.subtract.outer(np.arange(8), np.arange(8)) / 8
    np.testing.assert_allclose(image, np.cos(2 * np.pi * turns), atol=1e-6)


def test_nodes_at_the_mean_are_grey() -> None:
    comparisons, _ = heat_maps()
    optimum = comparisons[WORDS.index("irregular")].optimum
    lone = optimum.components == 1  # a complete graph, whose predicted Gram matrix is zero
    image = cosines(optimum.embedding(), optimum)
    assert np.isnan(image[lone]).all()
    assert np.isfinite(image[~lone][:, ~lone]).all()
    np.testing.assert_allclose(np.diag(image)[~lone], 1.0)


def test_neither_rotation_nor_scale_nor_the_common_part_matter() -> None:
    optimum, rng = heat_maps()[0][0].optimum, np.random.default_rng(0)
    v = rng.normal(size=(8, 5))
    rotation, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    np.testing.assert_allclose(cosines(9 * v @ rotation + 3.0, optimum), cosines(v, optimum), atol=1e-12)


def test_the_caption_says_what_is_left_out() -> None:
    caption = heat_maps_caption(heat_maps()[0])
    assert "less the mean row of each component" in caption
    assert "Seed 0." in caption


def test_different_models_are_refused() -> None:
    with pytest.raises(ValueError, match="same models"):
        plot_heat_maps([small_comparison("cycle:8", MODELS), small_comparison("cycle:8")])
