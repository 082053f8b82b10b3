"""Views of embeddings: only rotations and reflections of their own principal directions, whatever their disguise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from fiedler.sims.draw.principal_plane import (
    GREY,
    directions,
    laplacian_positions,
    node_colours,
    predicted_plane,
    principal_positions,
)
from fiedler.theory import TiedOptimum, laplacian_eigenspaces, one_hop_target, parse, tied_optimum

ROUNDING = 1e-8  # a few SVDs in float64
SOLVED = 1e-5  # the optimum's own accuracy, relative

WORDS = ("cycle:15", "path-star:4x5", "grid:4x4", "irregular")
RANKS = {"cycle:15": 2, "path-star:4x5": 3, "grid:4x4": 2, "irregular": 2}


@lru_cache
def optimum_of(word: str) -> TiedOptimum:
    return tied_optimum(one_hop_target(parse(word)))


@pytest.mark.parametrize("word", WORDS)
def test_as_many_directions_as_the_prediction_has_large_eigenvalues(word: str) -> None:
    assert directions(optimum_of(word)) == RANKS[word]


@pytest.mark.parametrize("word", WORDS)
def test_the_prediction_in_any_disguise_lies_on_itself(word: str) -> None:
    optimum, rng = optimum_of(word), np.random.default_rng(0)
    plane = predicted_plane(optimum)
    assert plane is not None
    rotation, _ = np.linalg.qr(rng.normal(size=(9, 9)))
    v = np.pad(optimum.embedding(), ((0, 0), (0, 9 - optimum.rank))) @ rotation + rng.normal(size=9)
    np.testing.assert_allclose(principal_positions(v, optimum, plane), plane, atol=SOLVED * np.abs(plane).max())
    # Half the size is drawn half the size: nothing is scaled.
    np.testing.assert_allclose(
        principal_positions(0.5 * v, optimum, plane), 0.5 * plane, atol=SOLVED * np.abs(plane).max()
    )


@pytest.mark.parametrize("word", ["cycle:15", "grid:4x4"])
def test_only_the_embeddings_own_directions_are_drawn(word: str) -> None:
    """For two directions the drawing is the best rank-two approximation of the centred Gram matrix (Eckart-Young)."""
    optimum, rng = optimum_of(word), np.random.default_rng(1)
    v = rng.normal(size=(len(optimum.gram), 6))
    drawn = principal_positions(v, optimum, predicted_plane(optimum))
    centred = v - v.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    best = (vectors[:, -2:] * values[-2:]) @ vectors[:, -2:].T
    np.testing.assert_allclose(drawn @ drawn.T, best, atol=ROUNDING * values[-1])
    # The signal of the prediction in a smaller direction is not brought up.
    hidden = np.hstack([0.01 * optimum.embedding()[:, :2], 100 * rng.normal(size=(len(v), 2))])
    drawn = principal_positions(hidden, optimum, predicted_plane(optimum))
    centred = hidden - hidden.mean(axis=0)
    np.testing.assert_allclose(drawn @ drawn.T, (centred @ centred.T), atol=0.2 * np.abs(centred @ centred.T).max())


@pytest.mark.parametrize("word", WORDS)
def test_rotations_and_shifts_of_an_embedding_change_nothing(word: str) -> None:
    optimum, rng = optimum_of(word), np.random.default_rng(2)
    v = rng.normal(size=(len(optimum.gram), 7))
    rotation, _ = np.linalg.qr(rng.normal(size=(7, 7)))
    shift = rng.normal(size=(optimum.components.max() + 1, 7))[optimum.components]
    plane = predicted_plane(optimum)
    same = principal_positions(v @ rotation + shift, optimum, plane)
    np.testing.assert_allclose(same, principal_positions(v, optimum, plane), atol=ROUNDING * 10)


def test_laplacian_eigenvectors_are_turned_onto_the_plane() -> None:
    for word in ("cycle:15", "hypercube:3"):  # here they are the prediction, up to size
        optimum = optimum_of(word)
        plane = predicted_plane(optimum)
        assert plane is not None
        drawn = laplacian_positions(laplacian_eigenspaces(parse(word)), optimum, plane)
        size = np.linalg.norm(plane) / np.linalg.norm(drawn)
        np.testing.assert_allclose(drawn * size, plane, atol=SOLVED * np.abs(plane).max())


def test_laplacian_positions_of_a_disconnected_graph_leave_out_the_components() -> None:
    optimum, graph = optimum_of("irregular"), parse("irregular")
    drawn = laplacian_positions(laplacian_eigenspaces(graph), optimum, predicted_plane(optimum))
    for c in range(graph.component_count):
        np.testing.assert_allclose(drawn[optimum.components == c].mean(axis=0), 0.0, atol=1e-12)
    assert np.abs(drawn).max() > 0.3


def test_without_a_predicted_plane_the_first_two_directions_are_drawn() -> None:
    optimum = optimum_of("hamming:1,5")
    assert predicted_plane(optimum) is None
    v = np.diag([5.0, 4, 3, 2, 1])
    drawn = principal_positions(v, optimum, None)
    centred = v - v.mean(axis=0)
    values = np.linalg.eigvalsh(centred @ centred.T)[::-1]
    np.testing.assert_allclose(np.linalg.eigvalsh(drawn.T @ drawn)[::-1], values[:2])
    assert principal_positions(np.ones((5, 1)), optimum, None).shape == (5, 2)


def test_arms_have_a_colour_each_and_the_root_is_black() -> None:
    graph = parse("path-star:4x5")
    colours = node_colours(graph, predicted_plane(optimum_of("path-star:4x5")))
    (root,) = np.flatnonzero(np.diff(graph.adjacency.indptr) == 4)
    assert colours[root] == "#000000"
    others = [i for i in range(graph.n) if i != root]
    assert len({colours[i] for i in others}) == 4
    adjacency = graph.adjacency.toarray()
    for i in others:
        for j in others:
            assert not adjacency[i, j] or colours[i] == colours[j]


def test_other_nodes_are_coloured_by_angle() -> None:
    plane = predicted_plane(optimum_of("cycle:15"))
    colours = node_colours(parse("cycle:15"), plane)
    assert len(set(colours)) == 15
    split = parse("irregular")
    colours = node_colours(split, predicted_plane(optimum_of("irregular")))
    grey = [i for i, colour in enumerate(colours) if colour == GREY]
    assert [int(optimum_of("irregular").components[i]) for i in grey] == [1] * 4  # the complete graph, at one point
    assert len(set(node_colours(parse("hamming:1,5"), None))) == 5
