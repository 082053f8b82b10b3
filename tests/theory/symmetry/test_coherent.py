import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import SMALL
from fiedler.theory import coherent_colouring, from_networkx, one_hop_target, parse, tied_gram_descent
from fiedler.theory.symmetry.coherent import COLOURING_LIMIT, node_refinement

CONSTANT = 1e-12  # spread inside a class after many float64 products, relative to the largest entry

COUNTS = {  # nodes, colours
    "cycle:15": (15, 8),
    "path-star:4x6": (21, 61),
    "path-star:20x6": (101, 61),
    "hypercube:6": (64, 7),
    "petersen": (10, 3),
    "tree:3,4": (121, 55),
    "karate": (34, 735),
    "hamming:1,5": (5, 2),
}


def refine_by_counting(adjacency):
    """2-dimensional Weisfeiler-Leman with dictionaries of exact multisets: slow, and nothing random in it."""
    n = len(adjacency)
    colour = {(i, j): (i == j, adjacency[i, j]) for i in range(n) for j in range(n)}
    while True:
        new = {
            (i, j): (c, tuple(sorted((colour[i, k], colour[k, j]) for k in range(n)))) for (i, j), c in colour.items()
        }
        names = {c: number for number, c in enumerate(sorted(set(new.values())))}
        new = {pair: names[c] for pair, c in new.items()}
        if len(names) == len(set(colour.values())):
            return np.array([[new[i, j] for j in range(n)] for i in range(n)])
        colour = new


def same_partition(a, b):
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    return len(pairs) == len(set(a.ravel().tolist())) == len(set(b.ravel().tolist()))


@pytest.mark.parametrize("word", COUNTS)
def test_number_of_colours(word):
    found = coherent_colouring(parse(word))
    assert (found.n, found.count) == COUNTS[word]


@pytest.mark.parametrize("word", ["cycle:7", "path-star:3x3", "petersen", "grid:3x3", "tree:2,2", "irregular"])
def test_it_is_the_stable_partition(word):
    graph = parse(word)
    assert same_partition(coherent_colouring(graph).colour, refine_by_counting(graph.adjacency.toarray()))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**31), st.booleans())
def test_it_is_the_stable_partition_of_random_graphs(n, seed, weighted):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.integers(0, 3 if weighted else 2, (n, n)), 0).astype(float)
    graph = from_networkx(nx.from_numpy_array(upper + np.triu(upper, 1).T))
    assert same_partition(coherent_colouring(graph).colour, refine_by_counting(graph.adjacency.toarray()))


@pytest.mark.parametrize("word", [*SMALL[:8], "torus:4x6", "hamming:3,3"])
def test_the_algebra_is_closed_and_described(word):
    graph = parse(word)
    found = coherent_colouring(graph)
    ones = [(found.colour == c).astype(int) for c in range(found.count)]
    if found.count > 80:
        return
    for a in ones:
        assert any(np.array_equal(a.T, b) for b in ones)
        for b in ones:
            product = a @ b
            assert all(np.ptp(product[c > 0]) == 0 for c in ones)
    for c, matrix in enumerate(ones):
        rows, columns = np.nonzero(matrix)
        assert set(found.node_type[rows]) == {found.row_type[c]}
        assert set(found.node_type[columns]) == {found.column_type[c]}
        assert np.array_equal(matrix.sum(axis=1)[np.unique(rows)], np.full(len(set(rows)), found.valency[c]))
        assert np.array_equal(ones[found.transpose[c]], matrix.T)
    assert np.array_equal(found.type_sizes, np.bincount(found.node_type))


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "tree:3,2", "grid:4x4", "petersen"])
def test_gradient_descent_stays_constant_on_the_colours(word):
    graph = parse(word)
    gram = tied_gram_descent(one_hop_target(graph), 4.0 * np.eye(graph.n), 0.02, 300).gram[0]
    colour = coherent_colouring(graph).colour
    spread = max(np.ptp(gram[colour == c]) for c in range(colour.max() + 1))
    assert spread < CONSTANT * np.abs(gram).max()


def test_node_permutation_permutes_the_colours():
    graph = nx.convert_node_labels_to_integers(nx.balanced_tree(2, 3))
    order = np.random.default_rng(0).permutation(len(graph))
    plain = coherent_colouring(from_networkx(graph)).colour
    mixed = nx.from_numpy_array(nx.to_numpy_array(graph)[np.ix_(order, order)])
    moved = coherent_colouring(from_networkx(mixed)).colour
    assert same_partition(plain[np.ix_(order, order)], moved)


def test_a_strongly_regular_graph_has_three_classes():
    rook = nx.cartesian_product(nx.complete_graph(4), nx.complete_graph(4))
    assert coherent_colouring(from_networkx(rook)).count == 3


def test_weights_and_self_loops_count():
    square = nx.cycle_graph(4)
    assert coherent_colouring(from_networkx(square)).count == 3
    square.edges[0, 1]["weight"] = 2.0
    assert coherent_colouring(from_networkx(square)).count == 8  # only the mirror that keeps the heavy edge is left
    square.edges[0, 1]["weight"] = 1.0
    square.add_edge(0, 0)
    assert len(coherent_colouring(from_networkx(square)).type_sizes) == 3


def test_too_many_nodes_are_refused():
    with pytest.raises(ValueError, match=f"up to {COLOURING_LIMIT} nodes, got 4096"):
        coherent_colouring(parse("hypercube:12"))


@pytest.mark.parametrize("word", ["path-star:4x5", "tree:2,3", "irregular", "karate", "grid:3x5", "cycle:9"])
def test_node_refinement_is_colour_refinement(word):
    graph = parse(word)
    neighbours = [row.indices.tolist() for row in graph.adjacency]
    colour = [0] * graph.n
    for _ in range(graph.n):
        keys = [(colour[i], tuple(sorted(colour[j] for j in neighbours[i]))) for i in range(graph.n)]
        names = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        colour = [names[key] for key in keys]
    assert node_refinement(graph).tolist() == colour
    assert node_refinement(graph).max() <= coherent_colouring(graph).node_type.max()
