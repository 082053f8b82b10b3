import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import ALL
from fiedler.theory.graphs.convert import as_graph
from fiedler.theory.graphs.graph import Graph
from fiedler.theory.graphs.words import parse
from fiedler.theory.spectra.closed_form import closed_form_spectrum, merge_eigenvalues
from fiedler.theory.spectra.laplacians import KINDS, laplacian

SOLVED = {"cycle", "torus", "hypercube", "hamming", "petersen", "path-star"}

EXTRA = (
    *("cycle:4", "cycle:5", "cycle:100", "torus:6", "torus:6x6", "torus:3x4x5", "torus:5x5x5", "hypercube:1"),
    *("hypercube:7", "hamming:3,3", "hamming:4,2", "hamming:1,2", "hamming:1,40", "grid:1", "grid:9", "grid:12x12"),
    *("grid:1x4", "grid:3x3x3", "path-star:1x2", "path-star:2x2", "path-star:1x3", "path-star:2x6", "path-star:3x3"),
    *("path-star:40x2", "path-star:30x7", "path-star:2x60"),
)


def dense_eigenvalues(graph, kind):
    """An oracle that shares no code with the closed forms: every eigenvalue of the dense matrix, ascending."""
    matrix = laplacian(graph, kind).toarray()
    if kind == "random-walk":
        values = np.linalg.eigvals(matrix)
        assert np.abs(values.imag).max() < 1e-6
        return np.sort(values.real)
    return np.linalg.eigvalsh(matrix)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("word", ALL + EXTRA)
def test_closed_form_is_the_dense_spectrum(word, kind):
    graph = parse(word)
    known = closed_form_spectrum(graph, kind)
    if not (graph.family in SOLVED or (graph.family == "grid" and kind == "combinatorial")):
        assert known is None
        return
    assert known is not None
    values, multiplicities = known
    assert values.dtype == np.float64
    assert multiplicities.dtype == np.int64
    assert multiplicities.sum() == graph.n
    assert multiplicities.min() >= 1
    dense = dense_eigenvalues(graph, kind)
    # The nonsymmetric oracle loses half the digits at repeated eigenvalues.
    atol = 1e-6 if kind == "random-walk" else 1e-11
    np.testing.assert_allclose(np.repeat(values, multiplicities), dense, atol=atol)
    # Listed values are truly distinct, and those that coincide are listed once.
    assert (np.diff(values) > 1e-7).all()
    gaps = np.diff(dense)
    assert values.size == 1 + np.count_nonzero(gaps > 2 * atol if kind != "random-walk" else gaps > 1e-4)


@settings(max_examples=40, deadline=None)
@given(arms=st.integers(1, 9), length=st.integers(2, 9), kind=st.sampled_from([k for k in KINDS if k != "random-walk"]))
def test_path_stars_of_every_shape(arms, length, kind):
    graph = parse(f"path-star:{arms}x{length}")
    values, multiplicities = closed_form_spectrum(graph, kind)
    np.testing.assert_allclose(np.repeat(values, multiplicities), dense_eigenvalues(graph, kind), atol=1e-11)
    assert sorted(multiplicities)[:length] == [1] * length


@settings(max_examples=30, deadline=None)
@given(sides=st.lists(st.integers(3, 7), min_size=1, max_size=3), wrap=st.booleans())
def test_grids_and_tori_of_every_shape(sides, wrap):
    graph = parse(("torus:" if wrap else "grid:") + "x".join(map(str, sides)))
    values, multiplicities = closed_form_spectrum(graph, "combinatorial")
    np.testing.assert_allclose(np.repeat(values, multiplicities), dense_eigenvalues(graph, "combinatorial"), atol=1e-11)


def test_known_values():
    def of(word, kind="combinatorial"):
        values, multiplicities = closed_form_spectrum(parse(word), kind)
        return [(round(float(v), 6) + 0.0, int(m)) for v, m in zip(values, multiplicities, strict=True)]

    assert of("petersen") == [(0, 1), (2, 5), (5, 4)]
    assert of("petersen", "symmetrized-random-walk") == [(0, 1), (1.333333, 5), (3.333333, 4)]
    assert of("cycle:4") == [(0, 1), (2, 2), (4, 1)]
    assert of("hypercube:3") == [(0, 1), (2, 3), (4, 3), (6, 1)]
    assert of("hypercube:3", "symmetric") == [(0, 1), (0.666667, 3), (1.333333, 3), (2, 1)]
    assert of("hamming:1,5", "random-walk") == [(0, 1), (1.25, 4)]
    # 1 + 3 = 0 + 4: sums that coincide are one eigenvalue.
    assert of("torus:6x6") == [(0, 1), (1, 4), (2, 4), (3, 4), (4, 10), (5, 4), (6, 4), (7, 4), (8, 1)]
    assert of("grid:2x2") == [(0, 1), (2, 2), (4, 1)]
    # A star with k leaves: 0, 1 (k - 1 times), k + 1.
    assert of("path-star:7x2") == [(0, 1), (1, 6), (8, 1)]


def test_path_star_of_the_paper():
    start = time.perf_counter()
    graph = parse("path-star:5000x5")
    values, multiplicities = closed_form_spectrum(graph, "combinatorial")
    assert time.perf_counter() - start < 5
    assert graph.n == 20_001
    assert values[0] == 0
    assert values[1] == pytest.approx(0.120615, abs=5e-7)
    assert multiplicities[1] == 4999
    assert multiplicities.sum() == graph.n
    # tr L = sum of degrees and tr L^2 = sum of squared degrees + twice the number of edges.
    assert values @ multiplicities == pytest.approx(2 * graph.edge_count, rel=1e-12)
    assert values**2 @ multiplicities == pytest.approx(
        float((graph.degrees**2).sum()) + 2 * graph.edge_count, rel=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("word", "distinct"), [("cycle:1000000", 500_001), ("torus:300x300", None)])
def test_large_graphs_need_no_square_array(word, distinct, kind):
    graph = parse(word)
    tracemalloc.start()
    start = time.perf_counter()
    values, multiplicities = closed_form_spectrum(graph, kind)
    assert time.perf_counter() - start < 20
    assert tracemalloc.get_traced_memory()[1] < 200e6  # bytes; a square array would take 8e12
    tracemalloc.stop()
    assert multiplicities.sum() == graph.n
    assert (np.diff(values) > 0).all()
    assert values @ multiplicities == pytest.approx(laplacian(graph, kind).trace(), rel=1e-9)
    if distinct is not None:
        # The smallest eigenvalues differ by 4e-11 but are not merged.
        assert values.size == distinct
        assert list(multiplicities[:3]) == [1, 2, 2]


def test_hypercube_20():
    values, multiplicities = closed_form_spectrum(parse("hypercube:20"), "combinatorial")
    assert list(values) == list(range(0, 41, 2))
    assert multiplicities[10] == 184_756
    assert multiplicities.sum() == 2**20


def test_unknown_graphs_and_kinds():
    assert closed_form_spectrum(as_graph(parse("cycle:5").adjacency), "combinatorial") is None
    with pytest.raises(ValueError, match="unknown Laplacian kind 'signless'"):
        closed_form_spectrum(parse("cycle:5"), "signless")
    graph = parse("cycle:5")
    assert closed_form_spectrum(Graph(graph.adjacency, graph.nodes, "renamed"), "symmetric") is None


def test_merge_eigenvalues():
    values, multiplicities = merge_eigenvalues(np.array([2.0, 1.0, 2.0 + 1e-12, 0.0]), np.array([3, 1, 1, 0]))
    np.testing.assert_allclose(values, [1.0, 2.0 + 0.25e-12], rtol=0, atol=1e-15)
    assert list(multiplicities) == [1, 4]
    # Neighbours chain: what counts is the gap, not the distance from the first.
    chain = np.array([0.0, 0.9e-10, 1.8e-10, 1.0])
    assert list(merge_eigenvalues(chain)[1]) == [3, 1]
    assert list(merge_eigenvalues(chain, tolerance=0.0)[1]) == [1, 1, 1, 1]
