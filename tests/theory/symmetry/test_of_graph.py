import networkx as nx
import numpy as np
import pytest

from cases import SMALL
from fiedler.theory import from_networkx, graph_symmetry, hamming_symmetry, one_hop_target, parse, path_star_symmetry

ROUNDING = 1e-14


@pytest.mark.parametrize("word", [*SMALL, "karate"])
@pytest.mark.parametrize(("loops", "smoothing"), [(False, 0.0), (True, 0.0), (True, 0.3)])
def test_the_target_on_the_colours_is_the_target(word, loops, smoothing):
    graph = parse(word)
    symmetry = graph_symmetry(graph, family=False)
    target = symmetry.expand(symmetry.target(self_edges=loops, label_smoothing=smoothing))
    expected = one_hop_target(graph, self_edges=loops, label_smoothing=smoothing)
    assert np.allclose(target, expected, rtol=0, atol=ROUNDING)


def test_the_cost_of_a_path_star_does_not_depend_on_its_arms():
    few, many = path_star_symmetry(4, 6), path_star_symmetry(100_000, 6)
    assert few.algebra.colours == many.algebra.colours == 61
    assert few.algebra.dimensions == many.algebra.dimensions == (6, 5)
    assert many.algebra.multiplicity == (1, 99_999)
    assert many.algebra.n == 500_001


def test_distances_of_the_hypercube():
    found = hamming_symmetry(20, 2)
    assert found.algebra.n == 2**20
    assert found.algebra.colours == 21
    assert sum(found.algebra.multiplicity) == 2**20
    values = sorted(float(b[0, 0]) for b in found.algebra.to_blocks(found.adjacency))
    assert values == [20 - 2 * k for k in range(20, -1, -1)]


def test_where_there_is_none():
    asymmetric = from_networkx(nx.gnp_random_graph(70, 0.2, seed=0))
    assert graph_symmetry(asymmetric) is None  # 4,900 pairs, all different
    assert graph_symmetry(parse("grid:60x61")) is None  # too large to list its pairs


def test_refusals():
    with pytest.raises(ValueError, match="from two on; got 1"):
        path_star_symmetry(1, 4)
    symmetry = path_star_symmetry(3, 4)
    with pytest.raises(ValueError, match="label_smoothing must lie"):
        symmetry.target(label_smoothing=1.0)
    with pytest.raises(ValueError, match="were not listed"):
        symmetry.expand(symmetry.adjacency)
    lonely = from_networkx(nx_with_isolated_node())
    with pytest.raises(ValueError, match="isolated"):
        graph_symmetry(lonely).target()
    assert graph_symmetry(lonely).target(self_edges=True).max() == 1.0


def nx_with_isolated_node():
    graph = nx.cycle_graph(4)
    graph.add_node("alone")
    return graph


def test_a_path_star_too_long_for_its_blocks_has_none():
    # Two blocks of 2 length^2 colours would take 16 length^4 bytes, 50 GB here.
    assert graph_symmetry(parse("path-star:2x200")) is None
    with pytest.raises(ValueError, match="length must be at most 64"):
        path_star_symmetry(2, 200)


def test_hamming_graphs_that_cannot_be_counted_are_refused():
    for d, q in ((65, 2), (60, 2**40), (10**12, 2)):
        with pytest.raises(ValueError, match=r"d must be at most 64|more than 2\^1000 nodes"):
            hamming_symmetry(d, q)


@pytest.mark.parametrize("x", [np.ones(3), np.ones((9, 9)), np.full(9, np.nan)])
def test_values_that_are_not_one_a_colour_are_refused(x):
    symmetry = graph_symmetry(parse("florentine"), family=False) or graph_symmetry(parse("irregular"))
    with pytest.raises(ValueError, match=r"^x "):
        symmetry.expand(x)
