import networkx as nx
import numpy as np
import pytest

from cases import ALL
from fiedler.theory import from_networkx, one_hop_sparse, one_hop_target, parse

EXACT = 1e-14  # one division per entry


def weighted_graph():
    graph = nx.Graph()
    graph.add_weighted_edges_from([("a", "b", 2.0), ("b", "c", 1.0), ("c", "a", 0.5), ("c", "c", 3.0)])
    return from_networkx(graph)


@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("word", ALL)
def test_rows_are_probabilities(word, smoothing, self_edges):
    target = one_hop_target(parse(word), self_edges=self_edges, label_smoothing=smoothing)
    assert target.dtype == np.float64
    assert target.min() >= 0
    assert np.allclose(target.sum(axis=1), 1, rtol=0, atol=EXACT)


@pytest.mark.parametrize("word", ALL)
def test_one_hop_divides_each_row_by_its_degree(word):
    graph = parse(word)
    a = graph.adjacency.toarray()
    d = a.sum(axis=1)
    assert np.allclose(one_hop_target(graph), np.diag(1 / d) @ a, rtol=EXACT, atol=0)
    with_loops = np.diag(1 / (d + 1)) @ (a + np.eye(graph.n))
    assert np.allclose(one_hop_target(graph, self_edges=True), with_loops, rtol=EXACT, atol=0)


@pytest.mark.parametrize("word", ALL)
def test_sparse_and_dense_agree(word):
    graph = parse(word)
    for self_edges in (False, True):
        sparse = one_hop_sparse(graph, self_edges=self_edges)
        assert np.array_equal(sparse.toarray(), one_hop_target(graph, self_edges=self_edges))
        assert sparse.nnz == graph.adjacency.nnz + self_edges * graph.n


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.999])
def test_label_smoothing_mixes_with_the_uniform_distribution(smoothing):
    graph = parse("florentine")
    for self_edges in (False, True):
        plain = one_hop_target(graph, self_edges=self_edges)
        mixed = one_hop_target(graph, self_edges=self_edges, label_smoothing=smoothing)
        assert np.allclose(mixed, (1 - smoothing) * plain + smoothing / graph.n, rtol=0, atol=EXACT)


def test_weights_count_as_repeated_edges():
    expected = [[0, 2 / 2.5, 0.5 / 2.5], [2 / 3, 0, 1 / 3], [0.5 / 4.5, 1 / 4.5, 3 / 4.5]]
    assert np.allclose(one_hop_target(weighted_graph()), expected, rtol=EXACT, atol=0)


def test_self_edges_add_one_on_top_of_a_self_loop():
    expected = [[1 / 3.5, 2 / 3.5, 0.5 / 3.5], [2 / 4, 1 / 4, 1 / 4], [0.5 / 5.5, 1 / 5.5, 4 / 5.5]]
    assert np.allclose(one_hop_target(weighted_graph(), self_edges=True), expected, rtol=EXACT, atol=0)


def test_an_isolated_node_is_refused_by_name_unless_self_edges_help():
    source = nx.Graph([("a", "b")])
    source.add_nodes_from(["hermit", "p", "q", "r"])
    graph = from_networkx(source)
    with pytest.raises(ValueError, match=r"4 isolated node\(s\) \(hermit, p, q, \.\.\.\).*self-edges"):
        one_hop_target(graph)
    with pytest.raises(ValueError, match="hermit"):
        one_hop_sparse(graph)
    target = one_hop_target(graph, self_edges=True)
    assert np.array_equal(target[2], np.eye(6)[2])
    assert np.array_equal(target[0], [0.5, 0.5, 0, 0, 0, 0])


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 2.0, np.nan])
def test_smoothing_outside_its_range_is_refused(smoothing):
    with pytest.raises(ValueError, match="label_smoothing"):
        one_hop_target(parse("cycle:5"), label_smoothing=smoothing)


def test_a_graph_too_large_for_a_dense_target_is_refused():
    with pytest.raises(ValueError, match="the dense target would hold"):
        one_hop_target(parse("cycle:100000"))
    assert one_hop_sparse(parse("cycle:100000")).nnz == 200_000


@pytest.mark.parametrize("graph", ["cycle:5", None, nx.path_graph(3)])
def test_what_is_no_graph_is_refused(graph):
    with pytest.raises(TypeError, match=r"graph must be a Graph, not .*; make one with as_graph"):
        one_hop_target(graph)
