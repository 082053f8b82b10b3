"""The gallery: a row a graph and a column a model, every panel the positions it says it shows."""

from __future__ import annotations

import warnings
from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from comparisons import small_comparison
from fiedler.sims.compare.comparison import Comparison
from fiedler.sims.compare.show.gallery import THEORY, gallery_caption, plot_gallery
from fiedler.sims.draw.principal_plane import laplacian_positions, node_colours, predicted_plane, principal_positions
from figures import assert_legible

MODELS = ("node2vec", "node2vec-untied", "transformer")
WORDS = ("cycle:8", "path-star:3x3", "irregular", "hamming:1,5")


@lru_cache
def gallery() -> tuple[list[Comparison], Figure]:
    comparisons = [small_comparison(word, MODELS) for word in WORDS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_gallery(comparisons)
        figure.canvas.draw()
    plt.close(figure)
    return comparisons, figure


def test_the_gallery_is_legible() -> None:
    comparisons, figure = gallery()
    assert_legible(figure)
    axes = np.array(figure.axes).reshape(len(WORDS), -1)
    titles = [*THEORY, *(one.model.title for one in comparisons[0].models)]
    assert [ax.get_title() for ax in axes[0]] == titles
    assert [ax.get_ylabel() for ax in axes[:, 0]] == list(WORDS)


def test_every_panel_shows_its_embedding_with_edges_and_colours() -> None:
    comparisons, figure = gallery()
    for row, comparison in zip(np.array(figure.axes).reshape(len(WORDS), -1), comparisons, strict=True):
        optimum, graph = comparison.optimum, comparison.task.graph
        plane = predicted_plane(optimum)
        wanted = [plane, laplacian_positions(comparison.task.spaces, optimum, plane)]
        wanted += [principal_positions(one.runs[0].final.embedding, optimum, plane) for one in comparison.models]
        edges = {(i, j) for i, j in zip(*np.nonzero(graph.adjacency.toarray()), strict=True) if i < j}
        for ax, positions in zip(row, wanted, strict=True):
            if positions is None:
                assert [text.get_text() for text in ax.texts] == ["rank 0:\nno plane"]
                assert not ax.collections
                continue
            (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
            (nodes,) = [c for c in ax.collections if isinstance(c, PathCollection)]
            assert (nodes.get_offsets() == positions).all()
            drawn = sorted(np.round(segment, 12).ravel().tolist() for segment in lines.get_segments())
            assert drawn == sorted(np.round(positions[[i, j]], 12).ravel().tolist() for i, j in edges)
            assert [to_hex(c) for c in nodes.get_facecolors()] == node_colours(graph, plane)
            (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
            assert (positions >= [x0, y0]).all()
            assert (positions <= [x1, y1]).all()
            assert ax.get_aspect() == 1.0


def test_the_caption_says_how_it_was_aligned() -> None:
    caption = gallery_caption(gallery()[0])
    for said in ("rotation or reflection only", "cycle:8 2", "path-star:3x3 2", "Seed 0", "own scale"):
        assert said in caption


def test_six_models_by_four_graphs_fit() -> None:
    comparisons, _ = gallery()
    many = [
        Comparison(c.task, c.optimum, (*c.models, *c.models), None)  # six columns of models
        for c in comparisons
    ]
    figure = plot_gallery(many)
    assert len(figure.axes) == 4 * 8
    assert_legible(figure)
    plt.close(figure)


def test_different_models_are_refused() -> None:
    one, two = small_comparison("cycle:8", MODELS), small_comparison("cycle:8")
    with pytest.raises(ValueError, match="same models: cycle:8 has node2vec, transformer instead of node2vec, node2v"):
        plot_gallery([one, two])
    with pytest.raises(ValueError, match="at least one comparison"):
        plot_gallery([])
