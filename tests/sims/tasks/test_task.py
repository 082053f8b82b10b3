"""The task: the targets the training is given, and the modes everything is measured in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from cases import PAPER
from fiedler.sims.tasks.task import Task
from fiedler.theory import as_graph, node2vec_target, one_way_target, parse, target_entropy

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


@pytest.mark.parametrize("weights", ["node", "line"])
@pytest.mark.parametrize("edges", ["both", "forward", "backward"])
@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("word", [*PAPER, "weighted"])
def test_directions_and_weights(word: str, self_edges: bool, edges: str, weights: str) -> None:
    graph = WEIGHTED if word == "weighted" else parse(word)
    task = Task(graph, self_edges, 0.1, edges=edges, weights=weights)
    target, weight = one_way_target(graph, edges, self_edges=self_edges, label_smoothing=0.1, weights=weights)
    np.testing.assert_allclose(task.target, target, atol=SAME)
    if (weight == 1).all():
        assert task.row_weight is None
    else:
        assert task.row_weight is not None
        assert np.array_equal(task.row_weight, weight)
        assert task.row_weight.dtype == np.float64
    assert task.total_weight == pytest.approx(weight.sum(), rel=SAME)
    assert task.entropy_floor == pytest.approx(target_entropy(target, weight) / weight.sum(), rel=SAME)
    assert task.directed == (edges != "both")
    assert task.graph_target == (edges == "both" and (weight == 1).all())


def test_line_weights_sum_to_the_nodes_and_node_weights_to_those_with_a_line() -> None:
    star = parse("path-star:4x5")
    by_line, by_node = (Task(star, edges="forward", weights=weights) for weights in ("line", "node"))
    assert by_line.total_weight == pytest.approx(17, rel=SAME)
    assert by_node.total_weight == 13
    assert by_line.row_weight is not None
    np.testing.assert_allclose(by_line.row_weight[:5] * 16 / 17, [4, 1, 1, 1, 0], atol=SAME)
    assert Task(parse("cycle:15"), weights="line").row_weight is None
    assert by_line.entropy_floor == pytest.approx(np.log(4) / 4, rel=SAME)
    assert Task(parse("cycle:15"), edges="forward").entropy_floor == 0.0
    large = parse("path-star:600x5")  # more nodes than a matrix of all pairs is made for
    assert Task(large).entropy_floor == pytest.approx((np.log(600) + 1800 * np.log(2)) / 2401, rel=SAME)


def test_only_unusual_lines_are_described() -> None:
    """A run folder of before there were directions describes the same run as one of now."""
    star = parse("path-star:4x5")
    assert Task(star, edges="both", weights="node").describe() == Task(star).describe()
    assert "direction" not in Task(star, weights="line").describe()
    described = Task(star, edges="backward", weights="line").describe()
    assert (described["direction"], described["weights"], described["edges"]) == ("backward", "line", 16)
    assert Task(star).title == "path-star:4x5"
    assert Task(star, edges="backward", weights="line").title == "path-star:4x5, backward edges, weighted by line"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edges": "up"}, "unknown edges 'up'; choose from both, forward, backward"),
        ({"weights": "edge"}, "unknown weights 'edge'; choose from node, line"),
        ({"edges": "forward", "window": 2}, "the forward edges have no walks"),
        ({"edges": "backward", "q": 2.0}, "the backward edges have no walks"),
        ({"weights": "line", "p": 0.5}, "no training lines"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Task(parse("cycle:5"), **options)


def test_above_the_dense_size_modes_are_the_lowest_of_the_complete_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = parse("irregular")
    whole = Task(graph).spaces
    monkeypatch.setattr("fiedler.sims.tasks.task.DENSE_NODES", graph.n - 1)
    monkeypatch.setattr("fiedler.sims.tasks.task.LEADING_MODES", 5)
    task = Task(graph)
    assert task.partial_modes
    assert sp.issparse(task.solver_target)
    found = task.spaces
    count = len(found.eigenvalues)
    assert found.basis.shape == (graph.n, found.multiplicities.sum())
    np.testing.assert_allclose(found.eigenvalues, whole.eigenvalues[:count], atol=1e-10)
    for k in range(count):
        np.testing.assert_allclose(found.projector(k), whole.projector(k), atol=1e-8)


@pytest.mark.parametrize("self_edges", [False, True])
def test_the_sparse_target_of_neighbours_is_the_dense_one(self_edges: bool) -> None:
    task = Task(parse("irregular"), self_edges=self_edges)
    assert np.array_equal(task.sparse_target.toarray(), task.target)


def test_lines_that_count_too_differently_are_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "g.edgelist").write_text("a b 1e12\nb c 1e12\nc d 1e-12\n")
    task = Task(parse(str(tmp_path / "g.edgelist")), weights="line")
    with pytest.raises(ValueError, match=r"weighted by line, the nodes of .* count too differently .*leave --weights"):
        _ = task.row_weight
