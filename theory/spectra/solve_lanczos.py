"""The lowest eigenpairs of a sparse symmetric matrix by Lanczos iterations without a factorisation, and shared parts.

Everything here is about the lowest end of a real symmetric (n, n) CSR matrix M; ``spectra.eigensolver`` turns the
highest end into it by a sign. ARPACK does the iterations, from fixed random starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh, eigh_tridiagonal, qr
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from ..checks import Array
from .closed_form import EIGENVALUE_TOLERANCE, Integers, merge_eigenvalues

# Relative to the norm of M: a larger residual is an error.
_RESIDUAL = 1e-7
# Relative accuracy asked of ARPACK.
TOLERANCE = 1e-10
_RESTARTS = 1000
# Lanczos steps that estimate the spectrum, and the degree of the polynomial.
_STEPS = 100
_LARGEST_DEGREE = 100
_MOST_ADDED = 200
_STARTS = 3

Operator = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class SparsePairs:
    """``eigenvalues`` (m,) distinct, ascending; ``multiplicities`` (m,); ``basis`` (n, total) orthonormal or None;
    ``residual``; ``counts``: pairs (shift, eigenvalues below it); ``note`` as in ``Eigenpairs``."""

    eigenvalues: Array
    multiplicities: Integers
    basis: Array | None
    residual: float
    counts: tuple[tuple[float, int], ...]
    note: str


def lanczos_pairs(matrix: sp.csr_array, k: int) -> SparsePairs:
    """The k lowest eigenpairs, widened to the eigenspaces as found, without a factorisation and without a proof.

    Lanczos finds k + 1 pairs. A second Lanczos iteration from another random start on the complement of these then
    looks for a pair below the next eigenvalue; what it finds is added, until it finds none. 1 <= k <= n - 2. Raises
    RuntimeError if an iteration does not converge or more than 200 copies were missing.
    """
    n = matrix.shape[0]
    norm = norm_bound(matrix)
    values, basis, polynomial = _lowest(matrix, min(k + 1, n - 1))
    distinct, copies = merge(values, norm)
    last = min(int(np.searchsorted(np.cumsum(copies), k)), distinct.size - 1)
    added = 0
    while basis.shape[1] < n:
        missing = _below_on_complement(matrix, polynomial, basis, distinct[last : last + 2], norm, seed=1 + added)
        if missing is None:
            break
        if added == _MOST_ADDED:
            raise RuntimeError(f"more than {added} copies were missing; use method='shift-invert' or 'dense'")
        basis = orthonormal(np.column_stack([basis, missing]))
        values, basis = rayleigh_ritz(matrix, basis)
        added += 1
        distinct, copies = merge(values, norm)
        last = int(np.searchsorted(np.cumsum(copies), k))
    note = (
        f"not proved: a second Lanczos iteration on the complement found {added} missing pairs, then none below the "
        "last eigenvalue"
    )
    return finish(matrix, basis, k, norm, (), note)


@dataclass(frozen=True, eq=False)
class _Filter:
    """The Chebyshev polynomial T_degree(t) of M, t = 1 at ``low`` and -1 at ``high``: at most one between them, and
    growing below low. ``scaled`` is t(M)."""

    scaled: sp.csr_array
    low: float
    high: float
    degree: int

    def apply(self, x: Array) -> Array:
        before, now = x, self.scaled @ x
        for _ in range(self.degree - 1):
            following = self.scaled @ now
            following *= 2.0
            following -= before
            before, now = now, following
        return now

    def value(self, eigenvalue: float) -> float:
        """T_degree(t) at an eigenvalue that is at most low, or any for degree 1."""
        t = (self.high + self.low - 2.0 * eigenvalue) / (self.high - self.low)
        return float(np.cosh(self.degree * np.arccosh(max(t, 1.0)))) if self.degree > 1 else t


def _make_filter(matrix: sp.csr_array, low: float, high: float, degree: int) -> _Filter:
    middle, half = (low + high) / 2, (high - low) / 2
    identity = sp.eye_array(matrix.shape[0], format="csr")
    return _Filter(sp.csr_array((middle * identity - matrix) / half), low, high, degree)


def _lowest(matrix: sp.csr_array, count: int) -> tuple[Array, Array, _Filter]:
    """The ``count`` lowest pairs, ascending, by Lanczos on a Chebyshev polynomial of M, and the polynomial.

    The polynomial is at most one on [edge, upper], which holds the unwanted spectrum, and grows below, so that few
    steps of Lanczos, whose orthogonalisation is dear, are needed. What is found is right if the polynomial exceeds
    one on all of it; otherwise the edge was too low and is raised. The degree makes the polynomial about ten where
    the wanted eigenvalues end, but not so large at the lowest one that rounding would drown the others.
    """
    n = matrix.shape[0]
    ritz, weights, bound = lanczos(lambda x: matrix @ x, n, _STEPS)
    lowest, upper = float(ritz[0] - bound[0]), float(ritz[-1] + bound[-1])
    # The density of eigenvalues as the random start sees it: the edge is where four times the wanted number is.
    below = n * np.cumsum(weights)
    wanted, edge = (float(np.interp(number, below, ritz)) for number in (count, 4 * count))
    while True:
        degree = _degree(lowest, wanted, edge, upper)
        # Of degree one it is Lanczos on M itself, right for any edge.
        low, high = (edge, upper) if degree > 1 else (lowest, lowest + 2 * (upper - lowest) + 1.0)
        polynomial = _make_filter(matrix, low, high, degree)
        values, basis = largest(polynomial.apply, n, count, 0)
        if degree == 1 or values.min() > 1.0 + 1e-6:
            basis = basis[:, np.argsort(-values, kind="stable")]
            return np.einsum("ij,ij->j", basis, matrix @ basis), basis, polynomial
        wanted, edge = edge, edge + max(edge - lowest, 1e-3 * (upper - lowest))


def _degree(lowest: float, wanted: float, edge: float, upper: float) -> int:
    if not lowest < wanted < edge < upper:
        return 1
    # T_d is cosh(d angle) below the edge.
    near, far = np.arccosh(1.0 + 2.0 * (edge - np.array([wanted, lowest])) / (upper - edge))
    if near == 0:
        return 1
    limit = min(np.arccosh(10.0) / near, np.arccosh(1e6) / far, _LARGEST_DEGREE)
    # Odd, so that an eigenvalue above the estimated upper end is not mistaken for a low one.
    return 2 * (int(limit) // 2) + 1


def _below_on_complement(
    matrix: sp.csr_array, polynomial: _Filter, excluded: Array, neighbours: Array, norm: float, seed: int
) -> Array | None:
    """An eigenvector orthogonal to ``excluded`` whose eigenvalue is below the middle of ``neighbours`` (the last wanted
    eigenvalue and the next, if known), or None if the lowest of the complement is above."""
    gap = float(neighbours[1] - neighbours[0]) if neighbours.size == 2 else 1e-8 * norm
    end = float(neighbours[0]) + gap / 2
    if end > polynomial.low and polynomial.degree > 1:
        polynomial = _make_filter(matrix, -norm, 3.0 * norm, 1)

    def apply(x: Array) -> Array:
        # What was found gets the value zero, which is below every threshold.
        y = polynomial.apply(x - excluded @ (excluded.T @ x))
        return y - excluded @ (excluded.T @ y)

    n = matrix.shape[0]
    threshold = polynomial.value(end)
    resolution = 0.1 * (polynomial.value(float(neighbours[0])) - threshold) / max(abs(threshold), 1e-3)
    rough, _ = largest(apply, n, 1, seed, tolerance=max(TOLERANCE, resolution))
    # The errors of many such vectors would add up.
    return None if rough[0] < threshold else largest(apply, n, 1, seed, tolerance=1e-3 * TOLERANCE)[1]


def largest(apply: Operator, n: int, count: int, seed: int, tolerance: float = TOLERANCE) -> tuple[Array, Array]:
    """The ``count`` largest eigenvalues of a symmetric operator on (n,) vectors, and orthonormal eigenvectors."""
    operator = LinearOperator((n, n), matvec=lambda x: apply(x.ravel()), dtype=np.float64)
    width = min(n, max(2 * count + 1, 20))
    problem = ""
    for attempt in range(_STARTS):
        start = np.random.default_rng([seed, attempt]).standard_normal(n)
        try:
            values, vectors = eigsh(operator, count, which="LA", v0=start, ncv=width, tol=tolerance, maxiter=_RESTARTS)
        except ArpackNoConvergence as error:
            problem = str(error)
            break
        except ArpackError as error:
            # An exhausted Krylov space: another start in a larger one.
            problem = str(error)
            width = min(n, 2 * width)
        else:
            return np.asarray(values, dtype=np.float64), np.asarray(vectors, dtype=np.float64)
    raise RuntimeError(
        f"the Lanczos iteration for {count} pairs of {n} stopped: {problem.strip()}; use another method "
        "('shift-invert', 'dense' or 'lanczos')"
    )


def lanczos(apply: Operator, n: int, steps: int) -> tuple[Array, Array, Array]:
    """At most ``steps`` Lanczos steps from a fixed random start: the Ritz values ascending, the squared component of
    the start on each Ritz vector, and the residual of each. Without orthogonalisation against earlier vectors: a
    Ritz value that has converged may appear twice, which harms neither the ends nor the density."""
    steps = min(steps, n)
    alpha, beta = np.zeros(steps), np.zeros(steps)
    before = np.zeros(n)
    now = np.random.default_rng(2).standard_normal(n)
    now /= np.linalg.norm(now)
    for j in range(steps):
        following = apply(now)
        alpha[j] = now @ following
        following = following - alpha[j] * now
        if j > 0:
            following -= beta[j - 1] * before
        beta[j] = np.linalg.norm(following)
        if j + 1 == steps or beta[j] <= 1e-12 * np.abs(alpha).max():
            alpha, beta = alpha[: j + 1], beta[: j + 1]
            break
        before, now = now, following / beta[j]
    values, vectors = eigh_tridiagonal(alpha, beta[:-1])
    return values, vectors[0] ** 2, np.abs(beta[-1] * vectors[-1])


def norm_bound(matrix: sp.csr_array) -> float:
    """The largest absolute row sum, at least the spectral norm of a symmetric matrix; one for the zero matrix."""
    return float(abs(matrix).sum(axis=1).max()) or 1.0


def merge(values: Array, norm: float) -> tuple[Array, Integers]:
    """Distinct ascending eigenvalues and copies; the tolerance is relative to the whole spectrum, not to the part."""
    largest_here = float(np.abs(values).max(initial=0.0))
    return merge_eigenvalues(values, tolerance=EIGENVALUE_TOLERANCE * norm / largest_here if largest_here > 0 else 0.0)


def orthonormal(columns: Array) -> Array:
    """An orthonormal basis of the span of independent columns (n, m)."""
    q: Array = qr(columns, mode="economic", check_finite=False)[0]
    return q


def rayleigh_ritz(matrix: sp.csr_array, basis: Array) -> tuple[Array, Array]:
    """Eigenvalues (m,), ascending, and rotated basis (n, m) of M restricted to an orthonormal basis (n, m)."""
    small = basis.T @ (matrix @ basis)
    values, rotation = eigh((small + small.T) / 2)
    return values, basis @ rotation


def finish(
    matrix: sp.csr_array, basis: Array, k: int, norm: float, counts: tuple[tuple[float, int], ...], note: str
) -> SparsePairs:
    """The k lowest pairs, widened to whole eigenspaces, of an orthonormal basis of eigenvectors; their residual is
    checked."""
    image = matrix @ basis
    values = np.einsum("ij,ij->j", basis, image)
    order = np.argsort(values, kind="stable")
    if not np.array_equal(order, np.arange(order.size)):
        basis, image, values = basis[:, order], image[:, order], values[order]
    distinct, copies = merge(values, norm)
    last = int(np.searchsorted(np.cumsum(copies), k)) + 1
    distinct, copies = distinct[:last], copies[:last]
    total = int(copies.sum())
    basis = np.ascontiguousarray(basis[:, :total])
    image = image[:, :total] - basis * np.repeat(distinct, copies)
    residual = float(np.sqrt(np.einsum("ij,ij->j", image, image).max()))
    if residual > _RESIDUAL * norm:
        raise RuntimeError(f"the eigenvectors have residual {residual:.1e}; use method='dense'")
    return SparsePairs(distinct, copies, basis, residual, counts, note)
