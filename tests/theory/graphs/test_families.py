import time

import networkx as nx
import numpy as np
import pytest

from cases import ALL, BIPARTITE, REGULAR
from fiedler.theory.graphs import families
from fiedler.theory.graphs.words import parse


def matrix_of(reference, nodes=None):
    return nx.to_numpy_array(reference, nodelist=nodes, weight=None)


def product(graphs):
    result = graphs[0]
    for graph in graphs[1:]:
        result = nx.cartesian_product(result, graph)
    return result  # nodes in C order


@pytest.mark.parametrize(
    ("graph", "reference"),
    [
        (families.cycle(3), nx.cycle_graph(3)),
        (families.cycle(15), nx.cycle_graph(15)),
        (families.grid(6), nx.path_graph(6)),
        (families.grid(1), nx.empty_graph(1)),
        (families.grid(4, 4), product([nx.path_graph(4), nx.path_graph(4)])),
        (families.grid(2, 3, 4), product([nx.path_graph(2), nx.path_graph(3), nx.path_graph(4)])),
        (families.grid(1, 5, 1), nx.path_graph(5)),
        (families.torus(7), nx.cycle_graph(7)),
        (families.torus(3, 5), product([nx.cycle_graph(3), nx.cycle_graph(5)])),
        (families.torus(3, 4, 5), product([nx.cycle_graph(3), nx.cycle_graph(4), nx.cycle_graph(5)])),
        (families.hypercube(1), nx.path_graph(2)),
        (families.hypercube(5), product([nx.path_graph(2)] * 5)),
        (families.hamming(1, 6), nx.complete_graph(6)),
        (families.hamming(3, 3), product([nx.complete_graph(3)] * 3)),
        (families.hamming(2, 4), product([nx.complete_graph(4)] * 2)),
        (families.tree(3, 4), nx.balanced_tree(3, 4)),
        (families.tree(2, 1), nx.balanced_tree(2, 1)),
        (families.tree(1, 4), nx.path_graph(5)),
        (families.tree(5, 0), nx.empty_graph(1)),
        (families.path_star(1, 6), nx.path_graph(6)),
        (families.path_star(6, 2), nx.star_graph(6)),
        (families.tree_star(1, 2), nx.path_graph(2)),
        (families.tree_star(4, 2), nx.star_graph(4)),
        (families.petersen(), nx.petersen_graph()),
        (families.karate(), nx.karate_club_graph()),
        (families.les_miserables(), nx.les_miserables_graph()),
        (families.florentine(), nx.florentine_families_graph()),
        (families.davis(), nx.davis_southern_women_graph()),
    ],
    ids=lambda value: getattr(value, "name", None) or "reference",
)
def test_adjacency_is_that_of_networkx(graph, reference):
    assert np.array_equal(graph.adjacency.toarray(), matrix_of(reference))


@pytest.mark.parametrize(("arms", "length"), [(4, 5), (2, 3), (3, 2), (1, 4)])
def test_path_star_paths_share_the_root(arms, length):
    graph = families.path_star(arms, length)
    reference = nx.Graph()
    for arm in range(arms):
        start = 1 + arm * (length - 1)
        nx.add_path(reference, [0, *range(start, start + length - 1)])
    assert graph.n == arms * (length - 1) + 1
    assert np.array_equal(graph.adjacency.toarray(), matrix_of(reference, range(graph.n)))


def test_tree_star_has_binary_trees_below_the_root():
    graph = families.tree_star(4, 5)
    tree = graph.to_networkx()
    assert graph.n == 1 + 4 * (2**4 - 1)
    assert nx.is_tree(tree)
    assert tree.degree(0) == 4
    leaves = [v for v in tree if tree.degree(v) == 1]
    assert len(leaves) == 4 * 2**3
    assert {nx.shortest_path_length(tree, 0, leaf) + 1 for leaf in leaves} == {5}
    assert {tree.degree(v) for v in tree if v != 0 and v not in leaves} == {3}
    tree.remove_node(0)
    assert {frozenset(part) for part in nx.connected_components(tree)} == {
        frozenset(range(1 + 15 * i, 16 + 15 * i)) for i in range(4)
    }
    # Two arms of a tree-star are the two halves of a perfect binary tree, each in its own breadth-first order.
    assert nx.is_isomorphic(families.tree_star(2, 5).to_networkx(), nx.balanced_tree(2, 4))


def test_irregular_is_the_fixed_graph_of_the_paper():
    graph = families.irregular()
    reference = graph.to_networkx()
    assert (graph.n, graph.edge_count, graph.component_count) == (16, 20, 2)
    assert nx.is_isomorphic(reference.subgraph(range(12, 16)), nx.complete_graph(4))
    # A 12-cycle with the chords 1-3 and 5-8.
    large = reference.subgraph(range(12))
    assert nx.is_connected(large)
    assert sorted(map(tuple, map(sorted, large.edges))) == sorted(
        [(i, i + 1) for i in range(11)] + [(0, 11), (1, 3), (5, 8)]
    )


def test_fixed_graphs_are_unweighted_and_keep_their_labels():
    assert families.karate().edge_count == 78
    assert families.les_miserables().edge_count == 254
    assert "Valjean" in families.les_miserables().nodes
    assert "Medici" in families.florentine().nodes
    assert families.davis().nodes[0] == "Evelyn Jefferson"
    for word in ALL:
        assert set(parse(word).adjacency.data) == {1.0}


@pytest.mark.parametrize("word", ALL)
def test_name_is_the_word_and_traits_match_the_zoo(word):
    graph = parse(word)
    assert graph.name == word
    assert graph.family == word.partition(":")[0]
    assert nx.is_bipartite(graph.to_networkx()) == (word in BIPARTITE)
    assert (np.ptp(graph.degrees) == 0) == (word in REGULAR)
    assert graph.adjacency.diagonal().max() == 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: families.cycle(2), "cycle n must be at least 3; got 2"),
        (lambda: families.path_star(0, 3), "path-star arms must be at least 1; got 0"),
        (lambda: families.path_star(3, 1), "path-star length must be at least 2; got 1"),
        (lambda: families.tree_star(0, 3), "tree-star arms must be at least 1; got 0"),
        (lambda: families.tree_star(3, 1), "tree-star length must be at least 2; got 1"),
        (lambda: families.grid(), "grid needs at least one side"),
        (lambda: families.grid(3, 0), "grid side must be at least 1; got 0"),
        (lambda: families.torus(3, 2), "torus side must be at least 3; got 2"),
        (lambda: families.hypercube(0), "hypercube d must be at least 1; got 0"),
        (lambda: families.hamming(0, 3), "hamming d must be at least 1; got 0"),
        (lambda: families.hamming(3, 1), "hamming q must be at least 2; got 1"),
        (lambda: families.random(5, 3, 0), "random edges must be at least 4; got 3"),
        (lambda: families.random(5, 11, 0), "random edges must be at most 10 for 5 nodes; got 11"),
        (lambda: families.random(5, 6, -1), "random seed must be at least 0; got -1"),
        (lambda: families.tree(0, 3), "tree branching must be at least 1; got 0"),
        (lambda: families.tree(2, -1), "tree height must be at least 0; got -1"),
        (lambda: families.hypercube(60), "above the limit"),
        (lambda: families.hamming(10**9, 10**9), "above the limit"),
        (lambda: families.tree(10, 10**9), "above the limit"),
        (lambda: families.tree(1, 10**9), "above the limit"),
        (lambda: families.tree_star(3, 10**9), "above the limit"),
        (lambda: families.grid(10**6, 10**6), "above the limit"),
        (lambda: families.torus(10**9), "above the limit"),
        (lambda: families.path_star(10**6, 10**6), "above the limit"),
    ],
)
def test_parameters_out_of_range(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("value", [3.0, "3", None])
def test_parameters_must_be_integers(value):
    with pytest.raises(TypeError, match=f"cycle n must be a whole number; got {value!r}"):
        families.cycle(value)


def test_numpy_integers_are_integers():
    assert families.path_star(np.int64(4), np.int32(5)).parameters == (4, 5)


@pytest.mark.parametrize(
    ("word", "n", "edges"),
    [
        ("path-star:100000x10", 900_001, 900_000),
        ("hypercube:17", 2**17, 17 * 2**16),
        ("cycle:1000000", 1_000_000, 1_000_000),
    ],
)
def test_large_graphs_build_quickly(word, n, edges):
    start = time.perf_counter()
    graph = parse(word)
    assert time.perf_counter() - start < 20  # seconds; well under one on an idle machine
    assert (graph.n, graph.edge_count) == (n, edges)


@pytest.mark.parametrize(("nodes", "edges"), [(2, 1), (6, 15), (50, 49), (50, 75), (300, 4000)])
def test_random_graphs_are_connected_and_the_same_for_a_seed(nodes: int, edges: int) -> None:
    graph = families.random(nodes, edges, 7)
    assert (graph.n, graph.edge_count, graph.component_count) == (nodes, edges, 1)
    again, other = families.random(nodes, edges, 7), families.random(nodes, edges, 8)
    assert (graph.adjacency != again.adjacency).nnz == 0
    assert edges < 49 or (graph.adjacency != other.adjacency).nnz > 0


def test_random_trees_are_uniform_over_labelled_trees() -> None:
    """Of the 16 labelled trees on four nodes 4 are stars: seen as often as that, to four standard deviations."""
    stars = sum(int(families.random(4, 3, seed).degrees.max() == 3) for seed in range(600))
    assert abs(stars - 150) < 4 * np.sqrt(600 * 0.25 * 0.75)
