"""Lanczos iterations that lose pairs, stop, or were told a wrong spectrum: supplied, or an error, never silent."""

import networkx as nx
import numpy as np
import pytest
from scipy.sparse.linalg import ArpackError

from eigenpairs import SYMMETRIC_KINDS, check
from fiedler.theory.graphs.convert import as_graph
from fiedler.theory.graphs.words import parse
from fiedler.theory.spectra import solve_lanczos as eigensolver_lanczos
from fiedler.theory.spectra.eigensolver import laplacian_eigenpairs
from fiedler.theory.spectra.laplacians import laplacian


def drop(monkeypatch, rank):
    """Make ARPACK's first answer lose the pair of that rank, as it loses copies of repeated eigenvalues."""
    calls = []
    true = eigensolver_lanczos.eigsh

    def lossy(operator, k, **options):
        values, vectors = true(operator, k, **options)
        calls.append(k)
        keep = np.argsort(-values) if len(calls) > 1 else np.delete(np.argsort(-values), rank)
        return values[keep], vectors[:, keep]

    monkeypatch.setattr(eigensolver_lanczos, "eigsh", lossy)
    return calls


@pytest.mark.parametrize("method", ["shift-invert", "lanczos"])
@pytest.mark.parametrize("kind", SYMMETRIC_KINDS)
@pytest.mark.parametrize("which", ["bottom", "top"])
@pytest.mark.parametrize("word", ["karate", "torus:5x7", "irregular"])
@pytest.mark.parametrize("rank", [1, 6])
def test_a_lost_pair_is_noticed_and_supplied(monkeypatch, method, kind, which, word, rank):
    graph = parse(word)
    calls = drop(monkeypatch, rank)
    pairs = laplacian_eigenpairs(graph, 6, kind, which, method=method)
    assert calls[0] == 7
    check(pairs, graph, kind, which, 6, complete=method != "lanczos")


def test_what_cannot_be_supplied_is_an_error(monkeypatch):
    # No iteration ever returns the second pair of karate, a simple eigenvalue of which there is no copy.
    true = eigensolver_lanczos.eigsh
    fiedler = np.linalg.eigh(laplacian(parse("karate"), "combinatorial").toarray())[1][:, 1]

    def blind(operator, k, **options):
        values, vectors = true(operator, k, **options)
        keep = np.abs(fiedler @ vectors) < 0.5
        return values[keep], vectors[:, keep]

    monkeypatch.setattr(eigensolver_lanczos, "eigsh", blind)
    for vectors in (True, False):
        with pytest.raises(
            RuntimeError, match=r"eigenvalues lie below .* not all of them were found; use method='dense'"
        ):
            laplacian_eigenpairs(parse("karate"), 6, "combinatorial", method="shift-invert", vectors=vectors)


@pytest.mark.parametrize("seen", [0.2, 30.0])
def test_a_wrong_guess_of_the_spectrum_does_no_harm(monkeypatch, seen):
    # The density of eigenvalues decides on the polynomial; here it is wrong by a factor at the lower end.
    true = eigensolver_lanczos.lanczos

    def wrong(apply, n, steps):
        values, weights, bound = true(apply, n, steps)
        return values, np.where(np.arange(values.size) < 12, seen, 1.0) * weights, bound

    monkeypatch.setattr(eigensolver_lanczos, "lanczos", wrong)
    graph = as_graph(nx.random_regular_graph(6, 240, seed=0))
    for kind in SYMMETRIC_KINDS:
        check(laplacian_eigenpairs(graph, 12, kind, method="lanczos"), graph, kind, "bottom", 12, complete=False)


def test_the_degree_of_the_polynomial():
    assert eigensolver_lanczos._degree(0.0, 1.6, 1.77, 10.5) in range(7, 15)
    assert eigensolver_lanczos._degree(0.0, 1.6, 1.77, 10.5) % 2 == 1
    assert eigensolver_lanczos._degree(-700.0, -30.0, -20.0, 0.0) <= 5  # far eigenvalues would drown the others
    assert eigensolver_lanczos._degree(0.0, 1.0, 1.0, 2.0) == 1
    assert eigensolver_lanczos._degree(0.0, 1.0, 1.0 + 1e-16, 2.0) == 1


def test_an_exhausted_krylov_space_is_left_by_another_start(monkeypatch):
    true, starts = eigensolver_lanczos.eigsh, []

    def stuck(operator, k, **options):
        starts.append(options["v0"])
        if len(starts) == 1:
            raise ArpackError(3)
        return true(operator, k, **options)

    monkeypatch.setattr(eigensolver_lanczos, "eigsh", stuck)
    graph = parse("karate")
    check(laplacian_eigenpairs(graph, 5, method="shift-invert"), graph, "symmetrized-random-walk", "bottom", 5)
    assert not np.array_equal(starts[0], starts[1])


def test_no_convergence_is_an_error(monkeypatch):
    monkeypatch.setattr(eigensolver_lanczos, "_RESTARTS", 1)
    with pytest.raises(
        RuntimeError, match=r"Lanczos iteration for 31 pairs of 400 stopped: .*No convergence.* use another"
    ):
        laplacian_eigenpairs(parse("grid:20x20"), 30, "combinatorial", method="lanczos")


def test_an_inaccurate_vector_is_an_error(monkeypatch):
    monkeypatch.setattr(eigensolver_lanczos, "TOLERANCE", 1e-2)
    monkeypatch.setattr(eigensolver_lanczos.largest, "__defaults__", (1e-1,))
    with pytest.raises(RuntimeError, match=r"residual .* use method='dense'"):
        laplacian_eigenpairs(parse("grid:20x20"), 30, "symmetric", method="lanczos")


@pytest.mark.parametrize("kind", ["combinatorial", "symmetrized-random-walk"])
@pytest.mark.parametrize("which", ["bottom", "top"])
@pytest.mark.parametrize("maker", ["regular", "hubs"])
def test_expanders_by_lanczos(kind, which, maker):
    source = nx.random_regular_graph(6, 2500, seed=0) if maker == "regular" else nx.barabasi_albert_graph(2500, 5, 0)
    graph = as_graph(source)
    pairs = laplacian_eigenpairs(graph, 16, kind, which, method="lanczos")
    proved = laplacian_eigenpairs(graph, 16, kind, which, method="shift-invert")
    assert proved.complete
    assert (pairs.inertia, pairs.complete) == (None, False)
    assert pairs.note.startswith("not proved: a second Lanczos iteration")
    assert list(pairs.multiplicities) == list(proved.multiplicities)
    np.testing.assert_allclose(pairs.eigenvalues, proved.eigenvalues, atol=1e-8)
    scale = abs(laplacian(graph, kind)).max()
    assert max(pairs.residual, proved.residual) < 1e-8 * scale
