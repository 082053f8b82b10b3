import time

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import ALL
from fiedler.theory.graphs.convert import as_graph
from fiedler.theory.graphs.words import parse
from fiedler.theory.spectra.counting import front_width, inertia, shifted_factor
from fiedler.theory.spectra.laplacians import KINDS, laplacian

SYMMETRIC_KINDS = [kind for kind in KINDS if kind != "random-walk"]


@pytest.mark.parametrize("word", ALL)
@pytest.mark.parametrize("kind", SYMMETRIC_KINDS)
def test_counts_are_those_of_the_dense_spectrum(word, kind):
    matrix = laplacian(parse(word), kind)
    values = np.linalg.eigvalsh(matrix.toarray())
    for j in np.flatnonzero(np.diff(values) > 1e-6):
        shift = values[j] + 0.4567 * (values[j + 1] - values[j])
        assert inertia(matrix, shift) == j + 1
        assert inertia(-matrix, -shift) == values.size - j - 1
    assert inertia(matrix, values[0] - 0.1) == 0
    assert inertia(matrix, values[-1] + 0.1) == values.size


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), density=st.floats(0.02, 1.0))
def test_random_symmetric_matrices(seed, n, density):
    random = np.random.default_rng(seed)
    dense = np.where(random.random((n, n)) < density, random.standard_normal((n, n)), 0.0)
    dense = dense + dense.T
    values = np.linalg.eigvalsh(dense)
    shift = random.uniform(-3, 3)
    if np.abs(values - shift).min() > 1e-6:
        assert inertia(sp.csr_array(dense), shift) == np.count_nonzero(values < shift)


def test_five_thousand_arms():
    matrix = laplacian(parse("path-star:5000x5"), "combinatorial")
    start = time.perf_counter()
    assert inertia(matrix, 0.11) == 1
    assert inertia(matrix, 0.13) == 5000
    assert time.perf_counter() - start < 2


def test_every_sparse_format_and_dtype():
    dense = np.array([[2, -1, 0], [-1, 2, -1], [0, -1, 2]])
    for convert in (sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.dia_array):
        assert inertia(convert(dense), 1.0) == 1
        assert inertia(convert(dense.astype(np.float32)), 2.5) == 2
    assert inertia(sp.csr_array((3, 3)), 0.5) == 3


def test_the_matrix_is_factorised_on_the_diagonal():
    # With ordinary pivoting this one swaps rows: the pivot 1e-3 is smaller than what is below it.
    matrix = sp.csr_array(np.array([[1e-3, 1.0], [1.0, 1e-3]]))
    assert inertia(matrix, 0.0) == 1
    factor = shifted_factor(matrix, 0.0)
    assert factor.below == 1
    x = np.random.default_rng(0).standard_normal((2, 3))
    np.testing.assert_allclose(matrix @ factor.solve(x), x, atol=1e-10)


def test_an_eigenvalue_at_the_shift_is_refused():
    cycle = laplacian(parse("cycle:12"), "combinatorial")  # eigenvalues 0, 1, 2, 3, 4 and others
    for shift in (0.0, 1.0, 1.0 + 1e-15, 4.0):
        with pytest.raises(RuntimeError, match="move the shift"):
            inertia(cycle, shift)
    assert inertia(cycle, 1.0 + 1e-9) == 5
    assert inertia(cycle, 1.0 - 1e-9) == 3


def test_a_zero_or_small_pivot_is_refused():
    swap = sp.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))  # eigenvalues -1, 1; the pivot is zero
    with pytest.raises(RuntimeError, match="left the diagonal; move the shift"):
        inertia(swap, 0.0)
    with pytest.raises(
        RuntimeError, match=r"pivot at shift 9.9.* is so small that the count has error .*move the shift"
    ):
        inertia(swap, 1e-12)
    assert inertia(swap, 0.3) == 1


def test_the_error_bounds_what_the_factorisation_solves():
    swap = sp.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert shifted_factor(swap, 0.5).error < 1e-14
    # |L| |U| has the row sum 1 + 2e8.
    assert shifted_factor(swap, 1e-8).error == pytest.approx(4e8 * np.finfo(np.float64).eps, rel=1e-6)
    path = laplacian(parse("grid:9"), "combinatorial")
    assert shifted_factor(path, 0.01).distance == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize(
    ("matrix", "shift", "message"),
    [
        (np.eye(3), 0.5, "square sparse matrix; got ndarray"),
        (sp.csr_array((2, 3)), 0.5, r"square sparse matrix; got csr_array, shape \(2, 3\)"),
        (sp.csr_array(np.eye(2) * 1j), 0.5, "real matrix; got dtype complex128"),
        (sp.csr_array(np.array([[np.nan]])), 0.5, "NaN or infinity"),
        (sp.csr_array(np.array([[0, 1.0], [2.0, 0]])), 0.5, r"largest .* is 1.0e\+00"),
        (sp.csr_array(np.eye(2)), np.inf, "shift must be a finite number; got inf"),
    ],
)
def test_bad_input(matrix, shift, message):
    with pytest.raises(ValueError, match=message):
        inertia(matrix, shift)


def test_front_width_tells_meshes_and_trees_from_expanders():
    assert front_width(parse("grid:40x70").adjacency) in range(40, 44)
    assert front_width(parse("path-star:5000x5").adjacency) <= 3
    assert front_width(parse("tree:2,12").adjacency) <= 3
    assert front_width(parse("cycle:50000").adjacency) <= 4
    assert front_width(as_graph(nx.wheel_graph(3000)).adjacency) <= 6  # the hub is counted, not followed
    assert front_width(as_graph(nx.random_regular_graph(6, 4000, seed=1)).adjacency) > 1000
    assert front_width(as_graph(nx.barabasi_albert_graph(4000, 5, seed=1)).adjacency) > 1000
    assert front_width(as_graph(np.zeros((3, 3))).adjacency) == 1
    assert front_width(as_graph(np.array([[2.0]])).adjacency) == 1
