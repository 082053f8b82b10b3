"""The task: the targets the training is given, and the modes everything is measured in."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from cases import PAPER
from fiedler.sims.tasks import Task
from fiedler.theory import as_graph, node2vec_target, parse

SAME = 1e-14  # one division and one sum
BASIS = 1e-12  # an eigendecomposition's rounding, relative to eigenvalues of order one

WEIGHTED = as_graph(np.array([[0.0, 2.0, 1.0], [2.0, 0.5, 0.0], [1.0, 0.0, 0.0]]))


def expected_target(adjacency: np.ndarray, self_edges: bool, smoothing: float) -> np.ndarray:
    """(1 - a) (share of the weight of i's edges that goes to j) + a / n, entry by entry."""
    n = len(adjacency)
    target = np.zeros((n, n))
    for i in range(n):
        weights = [adjacency[i, j] + (1.0 if self_edges and i == j else 0.0) for j in range(n)]
        for j in range(n):
            target[i, j] = (1 - smoothing) * weights[j] / sum(weights) + smoothing / n
    return target


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("word", [*PAPER, "karate", "weighted"])
def test_the_target(word: str, self_edges: bool, smoothing: float) -> None:
    graph = WEIGHTED if word == "weighted" else parse(word)
    task = Task(graph, self_edges=self_edges, label_smoothing=smoothing)
    expected = expected_target(graph.adjacency.toarray(), self_edges, smoothing)
    assert task.target.dtype == np.float64
    np.testing.assert_allclose(task.target, expected, atol=SAME)
    assert isinstance(task.sparse_target, sp.csr_array)
    assert np.array_equal(task.sparse_target.toarray(), task.target)
    assert task.sparse_target.nnz == np.count_nonzero(expected)


@pytest.mark.parametrize("word", [*PAPER, "karate", "weighted"])
def test_the_modes_are_those_of_the_symmetrised_random_walk(word: str) -> None:
    graph = WEIGHTED if word == "weighted" else parse(word)
    adjacency = graph.adjacency.toarray()
    walk = np.eye(graph.n) - adjacency / adjacency.sum(axis=1)[:, None]
    spaces = Task(graph).spaces
    rebuilt = sum(value * spaces.projector(j) for j, value in enumerate(spaces.eigenvalues))
    np.testing.assert_allclose(rebuilt, walk + walk.T, atol=10 * BASIS)
    np.testing.assert_allclose(spaces.basis.T @ spaces.basis, np.eye(graph.n), atol=BASIS)
    assert (np.diff(spaces.eigenvalues) > 1e-9).all()  # distinct: far above rounding


def test_the_modes_are_the_graph_s_whatever_the_target() -> None:
    plain, other = Task(parse("grid:3x5")), Task(parse("grid:3x5"), self_edges=True, label_smoothing=0.4)
    assert np.array_equal(plain.spaces.eigenvalues, other.spaces.eigenvalues)
    assert np.array_equal(plain.spaces.basis, other.spaces.basis)
    assert not np.allclose(plain.target, other.target)


def test_everything_is_computed_once() -> None:
    task = Task(parse("cycle:5"))
    for name in ("target", "sparse_target", "spaces"):
        assert getattr(task, name) is getattr(task, name)


def test_the_description() -> None:
    assert Task(parse("path-star:4x5")).describe() == {
        "graph": "path-star:4x5",
        "n": 17,
        "edges": 16,
        "self_edges": False,
        "label_smoothing": 0.0,
        "window": 1,
        "p": 1.0,
        "q": 1.0,
    }
    smoothed = Task(parse("cycle:4"), self_edges=True, label_smoothing=0.1).describe()
    assert (smoothed["edges"], smoothed["self_edges"], smoothed["label_smoothing"]) == (4, True, 0.1)


def test_walk_targets() -> None:
    graph = parse("karate")
    p = graph.adjacency.toarray() / graph.degrees[:, None]
    assert Task(graph).one_hop
    wide = Task(graph, window=2)
    assert not wide.one_hop
    assert np.allclose(wide.target, (p + p @ p) / 2)
    biased = Task(graph, window=2, q=4.0)
    assert not biased.one_hop
    assert np.array_equal(biased.target, node2vec_target(graph, 1.0, 4.0, 2))
    assert np.abs(biased.target - wide.target).max() > 0.01


def test_isolated_nodes_have_no_target_without_self_edges() -> None:
    lonely = as_graph(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    with pytest.raises(ValueError, match=r"1 isolated node\(s\) \(2\) have no neighbour to predict"):
        _ = Task(lonely).target
    assert Task(lonely, self_edges=True).target[2].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_out_of_range(smoothing: float) -> None:
    with pytest.raises(ValueError, match=r"label_smoothing must lie in \[0, 1\)"):
        _ = Task(parse("cycle:5"), label_smoothing=smoothing).target
