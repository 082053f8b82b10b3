"""Eigenpairs of Laplacians against dense spectra: an oracle that shares no code with the solver."""

from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest

from fiedler.theory.spectra.laplacians import KINDS, laplacian

SYMMETRIC_KINDS = [kind for kind in KINDS if kind != "random-walk"]


@lru_cache(maxsize=4)  # the same for every k and method, which tests try in turn
def dense_spaces(graph, kind, which):
    """An oracle that shares no code with the solver: (eigenvalue, multiplicity, projector) from the end on."""
    symmetric_kind = "symmetric" if kind == "random-walk" else kind
    values, vectors = np.linalg.eigh(laplacian(graph, symmetric_kind).toarray())
    if which == "top":
        values, vectors = values[::-1], vectors[:, ::-1]
    starts = [0, *(np.flatnonzero(np.abs(np.diff(values)) > 1e-8) + 1), values.size]
    return [(values[a:b].mean(), b - a, vectors[:, a:b] @ vectors[:, a:b].T) for a, b in pairwise(starts)]


@lru_cache(maxsize=4)
def dense_values(graph, kind):
    return np.linalg.eigvalsh(laplacian(graph, "symmetric" if kind == "random-walk" else kind).toarray())


def check(pairs, graph, kind, which, k, *, complete=True):
    expected, total = [], 0
    for space in dense_spaces(graph, kind, which):
        expected.append(space)
        total += space[1]
        if total >= k:
            break
    assert list(pairs.multiplicities) == [space[1] for space in expected]
    np.testing.assert_allclose(pairs.eigenvalues, [space[0] for space in expected], atol=1e-9)
    assert pairs.eigenvalues.dtype == np.float64
    assert pairs.multiplicities.dtype == np.int64
    assert pairs.total == total
    assert pairs.requested == k
    assert pairs.complete is complete
    matrix = laplacian(graph, "symmetric" if kind == "random-walk" else kind)
    if pairs.basis is None:
        assert np.isnan(pairs.residual)
    else:
        assert pairs.basis.shape == (graph.n, total)
        np.testing.assert_allclose(pairs.basis.T @ pairs.basis, np.eye(total), atol=1e-9)
        defect = matrix @ pairs.basis - pairs.basis * np.repeat(pairs.eigenvalues, pairs.multiplicities)
        assert pairs.residual == pytest.approx(np.linalg.norm(defect, axis=0).max(), rel=1e-3, abs=1e-17)
        assert pairs.residual < 1e-8 * max(1, abs(matrix).max())
        for j, (_, _, projector) in enumerate(expected):
            columns = pairs.columns(j)
            np.testing.assert_allclose(columns @ columns.T, projector, atol=1e-6)
    if pairs.method == "shift-invert":
        values = dense_values(graph, kind)
        for shift, count in pairs.inertia:
            assert count == np.count_nonzero(values < shift)
    else:
        assert pairs.inertia == (() if complete else None)
