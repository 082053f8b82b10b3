"""Shift and invert: counts that prove a spectrum, on large meshes and without any edge."""

import numpy as np
import pytest
import scipy.sparse as sp

from eigenpairs import SYMMETRIC_KINDS, check
from fiedler.theory.graphs.convert import as_graph
from fiedler.theory.graphs.words import parse
from fiedler.theory.spectra import solve_inverse as eigensolver_inverse
from fiedler.theory.spectra.closed_form import closed_form_spectrum
from fiedler.theory.spectra.counting import inertia
from fiedler.theory.spectra.eigensolver import laplacian_eigenpairs
from fiedler.theory.spectra.laplacians import KINDS, laplacian


@pytest.mark.parametrize("which", ["bottom", "top"])
@pytest.mark.parametrize("kind", SYMMETRIC_KINDS)
def test_hundreds_of_missing_copies_are_supplied(kind, which):
    graph = parse("path-star:150x4")
    pairs = laplacian_eigenpairs(graph, 4, kind, which, method="shift-invert")
    check(pairs, graph, kind, which, 4)
    assert "of them found at once" in pairs.note
    exact = laplacian_eigenpairs(graph, 4, kind, which, method="closed-form")
    assert list(exact.multiplicities) == list(pairs.multiplicities) == [1, 149]
    np.testing.assert_allclose(exact.columns(1) @ exact.columns(1).T, pairs.columns(1) @ pairs.columns(1).T, atol=1e-7)


def test_a_count_with_a_large_rounding_error_is_made_elsewhere():
    swap = sp.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    counter = eigensolver_inverse._Counter(swap, 1.0)
    # The first shift tried is 2e-15, a pivot with an error of 0.4.
    shift, below = counter.between(-0.5402, 0.4598 + 4e-15)
    assert abs(shift) > 0.01
    assert below == 1
    assert counter.pairs() == ((shift, 1),)
    with pytest.raises(RuntimeError, match=r"no factorisation between 1 and 1 is accurate enough for a count"):
        counter.between(1.0, 1.0)


@pytest.mark.parametrize("which", ["bottom", "top"])
def test_only_isolated_nodes(which):
    graph = as_graph(sp.csr_array((400, 400)))
    for kind in KINDS:
        pairs = laplacian_eigenpairs(graph, 3, kind, which, method="shift-invert")
        assert list(pairs.multiplicities) == [400]
        assert abs(pairs.eigenvalues[0]) < 1e-12
        assert pairs.complete


@pytest.mark.parametrize(("word", "kind"), [("grid:100x100", "combinatorial"), ("grid:60x70", "symmetric")])
@pytest.mark.parametrize("which", ["bottom", "top"])
def test_large_meshes_by_factorisation(word, kind, which):
    graph = parse(word)
    pairs = laplacian_eigenpairs(graph, 16, kind, which, method="shift-invert")
    assert pairs.complete
    assert pairs.residual < 1e-9
    if kind == "combinatorial":
        values, copies = closed_form_spectrum(graph, kind)
        step, m = (1 if which == "bottom" else -1), pairs.eigenvalues.size
        np.testing.assert_allclose(pairs.eigenvalues, values[::step][:m], atol=1e-11)
        assert list(pairs.multiplicities) == list(copies[::step][:m])
    end = pairs.eigenvalues[-1] + (1e-7 if which == "bottom" else -1e-7)
    count = inertia(laplacian(graph, kind), end)
    assert (count if which == "bottom" else graph.n - count) == pairs.total
    again = laplacian_eigenpairs(graph, 16, kind, which, method="shift-invert")
    assert np.array_equal(pairs.basis, again.basis)
