import itertools
import math

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from cases import ALL
from fiedler.theory import from_networkx, one_hop_target, parse
from fiedler.theory.targets.walks import directed_target, window_target

EXACT = 1e-13  # sums of a few hundred products


def weighted_graph():
    """A triangle with a tail, a self-loop and unequal weights."""
    graph = nx.Graph()
    graph.add_weighted_edges_from(
        [("a", "b", 2.0), ("b", "c", 1.0), ("c", "a", 0.5), ("c", "c", 3.0), ("c", "d", 4.0), ("d", "e", 0.25)]
    )
    return from_networkx(graph)


def lollipop():
    return from_networkx(nx.lollipop_graph(4, 3))


def neighbours(graph):
    """{u: {v: weight}} from a plain loop over the dense matrix."""
    a = graph.adjacency.toarray()
    return {u: {v: float(a[u, v]) for v in range(graph.n) if a[u, v] > 0} for u in range(graph.n)}


@pytest.mark.parametrize("window", [1, 2, 5])
@pytest.mark.parametrize("word", ALL)
def test_window_target_is_the_mean_of_dense_matrix_powers(word, window):
    graph = parse(word)
    for self_edges in (False, True):
        one = one_hop_target(graph, self_edges=self_edges)
        expected = sum(np.linalg.matrix_power(one, r) for r in range(1, window + 1)) / window
        found = window_target(graph, window, self_edges=self_edges)
        assert found.dtype == np.float64
        assert np.allclose(found, expected, rtol=0, atol=EXACT)
        assert np.allclose(found.sum(axis=1), 1, rtol=0, atol=EXACT)


@pytest.mark.parametrize("window", [1, 2, 3, 4])
@pytest.mark.parametrize("graph", [weighted_graph(), parse("path-star:3x3"), lollipop()], ids=["w", "star", "lollipop"])
def test_window_target_counts_first_order_walks(graph, window):
    near = neighbours(graph)
    degree = {u: math.fsum(near[u].values()) for u in near}
    expected = np.zeros((graph.n, graph.n))
    for steps in range(1, window + 1):
        for walk in itertools.product(range(graph.n), repeat=steps + 1):
            pairs = list(itertools.pairwise(walk))
            if all(v in near[u] for u, v in pairs):
                expected[walk[0], walk[-1]] += math.prod(near[u][v] / degree[u] for u, v in pairs) / window
    assert np.allclose(window_target(graph, window), expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize("word", ALL)
def test_a_window_of_one_is_the_one_hop_target(word):
    graph = parse(word)
    assert np.array_equal(window_target(graph, 1), one_hop_target(graph))
    smoothed = window_target(graph, 1, self_edges=True, label_smoothing=0.2)
    assert np.allclose(smoothed, one_hop_target(graph, self_edges=True, label_smoothing=0.2), rtol=0, atol=EXACT)


def test_a_wide_window_forgets_the_centre_even_on_a_bipartite_graph():
    graph = parse("grid:3x5")
    wide = window_target(graph, 4000)
    assert np.allclose(wide, graph.degrees / graph.degrees.sum(), rtol=0, atol=1e-2)  # the mean converges as 1 / w


DIRECTED = np.array([[0, 2.0, 1.0, 0], [0, 0, 0, 4.0], [1.0, 0, 3.0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array, sp.coo_matrix])
def test_a_directed_target_divides_by_out_degrees(convert):
    expected = np.array([[0, 2 / 3, 1 / 3, 0], [0, 0, 0, 1], [0.25, 0, 0.75, 0], [0, 0, 0, 1]])
    found = directed_target(convert(DIRECTED), dangling="self-edge")
    assert found.dtype == np.float64
    assert np.allclose(found, expected, rtol=0, atol=EXACT)
    expected[3] = 0.25
    assert np.allclose(directed_target(convert(DIRECTED), dangling="uniform"), expected, rtol=0, atol=EXACT)
    mean = (expected + expected @ expected + expected @ expected @ expected) / 3
    found = directed_target(convert(DIRECTED), dangling="uniform", window=3, label_smoothing=0.2)
    assert np.allclose(found, 0.8 * mean + 0.05, rtol=0, atol=EXACT)
    loops = [[1 / 4, 2 / 4, 1 / 4, 0], [0, 1 / 5, 0, 4 / 5], [1 / 5, 0, 4 / 5, 0], [0, 0, 0, 1]]
    assert np.allclose(directed_target(convert(DIRECTED), self_edges=True), loops, rtol=0, atol=EXACT)


def test_dangling_nodes_are_refused_with_the_remedies():
    with pytest.raises(ValueError, match=r"1 node\(s\) \(3\) have no edge out.*self_edges=True.*'uniform'"):
        directed_target(DIRECTED)
    with pytest.raises(ValueError, match=r"5 node\(s\) \(0, 1, 2, \.\.\.\)"):
        directed_target(np.zeros((5, 5)))
    assert np.array_equal(directed_target(np.zeros((3, 3)), dangling="self-edge"), np.eye(3))
    assert np.allclose(directed_target(np.zeros((3, 3)), dangling="uniform"), 1 / 3, rtol=0, atol=EXACT)


@pytest.mark.parametrize("word", ["karate", "irregular", "florentine"])
def test_an_undirected_graph_as_a_directed_one(word):
    graph = parse(word)
    assert np.allclose(directed_target(graph.adjacency, window=3), window_target(graph, 3), rtol=0, atol=EXACT)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.zeros((2, 3)), ValueError, r"square.*\(2, 3\)"),
        (np.zeros((0, 0)), ValueError, "non-empty"),
        (np.array([[0, -1.0], [1, 0]]), ValueError, r"weight -1.* 0 -> 1"),
        (np.array([[0, 1.0], [np.nan, 0]]), ValueError, r"weight nan.* 1 -> 0"),
        (np.array([["a"]]), TypeError, "dtype"),
    ],
)
def test_bad_directed_matrices_are_refused(bad, error, message):
    with pytest.raises(error, match=message):
        directed_target(bad)


def test_a_bad_dangling_word_is_refused():
    with pytest.raises(ValueError, match="dangling 'drop'"):
        directed_target(DIRECTED, dangling="drop")


@pytest.mark.parametrize(("bad", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_bad_window_is_refused(bad, error):
    with pytest.raises(error, match="window"):
        directed_target(np.eye(2), window=bad)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, np.nan])
def test_smoothing_outside_its_range_is_refused(smoothing):
    with pytest.raises(ValueError, match="label_smoothing"):
        directed_target(np.eye(2), label_smoothing=smoothing)
