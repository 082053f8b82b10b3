"""The lowest eigenpairs of a sparse symmetric matrix by Lanczos iterations without a factorisation, and shared parts.

Everything here is about the lowest end of a real symmetric (n, n) CSR matrix M; ``eigensolver`` turns the highest end
into it by a sign. ARPACK does the iterations, from fixed random starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh, eigh_tridiagonal, qr
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from .spectra import EIGENVALUE_TOLERANCE, Floats, Integers, merge_eigenvalues

# Relative to the norm of M: a larger residual is an error.
_RESIDUAL = 1e-7
# Relative accuracy asked of ARPACK.
TOLERANCE = 1e-10
_RESTARTS = 1000
# Lanczos steps that estimate the spectrum, and the degree of the polynomial.
_STEPS = 50
_DEGREE = 10
_MOST_ADDED = 200
_STARTS = 3

Operator = Callable[[Floats], Floats]


@dataclass(frozen=True, eq=False)
class SparsePairs:
    """``eigenvalues`` (m,) distinct, ascending; ``multiplicities`` (m,); ``basis`` (n, total) orthonormal or None;
    ``residual``; ``counts``: pairs (shift, eigenvalues below it); ``note`` as in ``Eigenpairs``."""

    eigenvalues: Floats
    multiplicities: Integers
    basis: Floats | None
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
    values, basis = _lowest(matrix, min(k + 1, n - 1))
    distinct, copies = merge(values, norm)
    last = min(int(np.searchsorted(np.cumsum(copies), k)), distinct.size - 1)
    added = 0
    while basis.shape[1] < n:
        missing = _below_on_complement(matrix, basis, distinct[last : last + 2], norm, seed=1 + added)
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
    return finish(matrix, basis[:, : int(copies[: last + 1].sum())], norm, (), note)


def _lowest(matrix: sp.csr_array, count: int) -> tuple[Floats, Floats]:
    """The ``count`` lowest pairs, ascending, by Lanczos on a Chebyshev polynomial of M.

    On [a, b], which holds the unwanted spectrum, the polynomial T(t), t = (2 M - a - b) / (a - b), is at most one
    and below a it grows, so the matrix-vector products replace most of the orthogonalisation, which costs more. What
    is found is right if all found values of the polynomial exceed one; otherwise a was too low and is raised.
    """
    n = matrix.shape[0]
    ritz, weights, bound = lanczos(lambda x: matrix @ x, n, _STEPS)
    upper = ritz[-1] + bound[-1]
    bulk = float(np.interp(0.9, np.cumsum(weights), ritz))
    # The estimated number of eigenvalues below a is several times the number wanted.
    edge = float(np.interp(4.0 * count / n, np.cumsum(weights), ritz))
    degree = _DEGREE
    while True:
        plain = edge >= upper or bulk - edge < 0.3 * (upper - edge)
        if plain:
            # A few far eigenvalues would have to be damped along; Lanczos itself adapts to them.
            inverse, basis = largest(lambda x: -(matrix @ x), n, count, 0)
        else:
            apply = _chebyshev(matrix, edge, upper, degree)
            inverse, basis = largest(apply, n, count, 0)
            if inverse.min() <= 1.0 + 1e-6:
                edge += 0.5 * (edge - ritz[0]) + 1e-3 * (upper - ritz[0])
                continue
        basis = basis[:, np.argsort(-inverse, kind="stable")]
        return np.einsum("ij,ij->j", basis, matrix @ basis), basis


def _chebyshev(matrix: sp.csr_array, low: float, high: float, degree: int) -> Operator:
    """x -> T_degree(t) x with t = 1 at low and -1 at high, so that T grows below low."""
    middle, half = (low + high) / 2, (high - low) / 2
    scaled = sp.csr_array((middle * sp.eye_array(matrix.shape[0], format="csr") - matrix) / half)
    doubled = 2.0 * scaled

    def apply(x: Floats) -> Floats:
        before, now = x, scaled @ x
        for _ in range(degree - 1):
            following = doubled @ now
            following -= before
            before, now = now, following
        return now

    return apply


def _below_on_complement(
    matrix: sp.csr_array, found: Floats, neighbours: Floats, norm: float, seed: int
) -> Floats | None:
    """An eigenvector orthogonal to ``found`` whose eigenvalue is below the middle of ``neighbours`` (the last wanted
    eigenvalue and the next, if known), or None if the lowest of the complement is above."""
    gap = float(neighbours[1] - neighbours[0]) if neighbours.size == 2 else 1e-8 * norm
    end = float(neighbours[0]) + gap / 2

    def apply(x: Floats) -> Floats:
        y = x - found @ (found.T @ x)
        y = norm * y - matrix @ y
        return y - found @ (found.T @ y)

    n = matrix.shape[0]
    rough, _ = largest(apply, n, 1, seed, tolerance=max(TOLERANCE, 0.1 * gap / norm))
    if norm - rough[0] > end:
        return None
    return largest(apply, n, 1, seed)[1]


def largest(apply: Operator, n: int, count: int, seed: int, tolerance: float = TOLERANCE) -> tuple[Floats, Floats]:
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


def lanczos(apply: Operator, n: int, steps: int) -> tuple[Floats, Floats, Floats]:
    """At most ``steps`` Lanczos steps with full orthogonalisation from a fixed random start: the Ritz values
    ascending, the squared component of the start on each Ritz vector, and the residual of each."""
    steps = min(steps, n)
    q = np.zeros((steps, n))
    alpha, beta = np.zeros(steps), np.zeros(steps)
    x = np.random.default_rng(2).standard_normal(n)
    q[0] = x / np.linalg.norm(x)
    for j in range(steps):
        y = apply(q[j])
        alpha[j] = q[j] @ y
        for _ in range(2):
            y = y - (q[: j + 1] @ y) @ q[: j + 1]
        beta[j] = np.linalg.norm(y)
        if j + 1 == steps or beta[j] <= 1e-12 * max(np.abs(alpha).max(), beta.max()):
            alpha, beta = alpha[: j + 1], beta[: j + 1]
            break
        q[j + 1] = y / beta[j]
    values, vectors = eigh_tridiagonal(alpha, beta[:-1])
    return values, vectors[0] ** 2, np.abs(beta[-1] * vectors[-1])


def norm_bound(matrix: sp.csr_array) -> float:
    """The largest absolute row sum, at least the spectral norm of a symmetric matrix."""
    return float(abs(matrix).sum(axis=1).max())


def merge(values: Floats, norm: float) -> tuple[Floats, Integers]:
    """Distinct ascending eigenvalues and copies; the tolerance is relative to the whole spectrum, not to the part."""
    largest_here = float(np.abs(values).max(initial=0.0))
    return merge_eigenvalues(values, tolerance=EIGENVALUE_TOLERANCE * norm / largest_here if largest_here > 0 else 0.0)


def orthonormal(columns: Floats) -> Floats:
    """An orthonormal basis of the span of independent columns (n, m)."""
    q: Floats = qr(columns, mode="economic", check_finite=False)[0]
    return q


def rayleigh_ritz(matrix: sp.csr_array, basis: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues (m,), ascending, and rotated basis (n, m) of M restricted to an orthonormal basis (n, m)."""
    small = basis.T @ (matrix @ basis)
    values, rotation = eigh((small + small.T) / 2)
    return values, basis @ rotation


def finish(
    matrix: sp.csr_array, basis: Floats, norm: float, counts: tuple[tuple[float, int], ...], note: str
) -> SparsePairs:
    """The result for an orthonormal basis of eigenvectors (n, total) in ascending order, its residual checked."""
    image = matrix @ basis
    values = np.einsum("ij,ij->j", basis, image)
    order = np.argsort(values, kind="stable")
    if not np.array_equal(order, np.arange(order.size)):
        basis, image, values = basis[:, order], image[:, order], values[order]
    distinct, copies = merge(values, norm)
    image -= basis * np.repeat(distinct, copies)
    residual = float(np.sqrt(np.einsum("ij,ij->j", image, image).max()))
    if residual > _RESIDUAL * norm:
        raise RuntimeError(f"the eigenvectors have residual {residual:.1e}; use method='dense'")
    return SparsePairs(distinct, copies, basis, residual, counts, note)
