"""The dual bound of a large problem without an n x n array: the softmax as few stored entries and a background.

    P = C + rho kappa',   C sparse, the entries of the softmax above a level; rho_i the mass of the rest in row i,
    kappa its average over rows

is row-stochastic and has the column sums of the softmax exactly, and any such P is a point of the dual: nothing is
neglected, an entry that is averaged only makes the bound a little weaker. The largest eigenvalue that the repair needs
comes from k steps of Lanczos' method from a Gaussian start, and is raised by the bound of Kuczynski and Wozniakowski
(1992, theorem 4.2): with probability 1 - delta the Ritz value misses at most
[log(1.648 sqrt(n) / delta) / (2 k - 1)]^2 of the whole range of eigenvalues. The failure probability is FAILURE.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import LinearOperator, cg, splu
from scipy.special import entr

from ..checks import Array
from ..spectra.counting import front_width
from .feasible import circulation, laplacian_of
from .objectives import Objective
from .row_pass import block_rows

MOST_ENTRIES = 12_000_000  # stored entries of C
LEVEL = 1e-7  # softmax entries below it belong to the background where there is room for the others
SINKHORN_SWEEPS = 200
FAILURE = 1e-6
STEPS = (60, 120, 250, 500, 1000)  # of Lanczos' method, until the miss is small beside the eigenvalue
ENOUGH = 0.1
MOST_FRONT = 3000  # of a sparse factorisation; conjugate gradients above
SOLVED = 1e-10


@dataclass(frozen=True, eq=False)
class SparseSoftmax:
    """``stored`` C (n, n) CSR, ``rest`` rho (n,), ``background`` kappa (n,) with sum one."""

    stored: sp.csr_array
    rest: Array
    background: Array

    def times(self, x: Array) -> Array:
        return np.asarray(self.stored @ x + self.rest * (self.background @ x))

    def transpose_times(self, x: Array) -> Array:
        return np.asarray(self.stored.T @ x + self.background * (self.rest @ x))

    def scaled(self, rows: Array, columns: Array) -> SparseSoftmax:
        stored = sp.csr_array(sp.diags_array(rows) @ self.stored @ sp.diags_array(columns))
        moved = self.background * columns
        total = float(moved.sum())
        if total <= 0:
            return SparseSoftmax(stored, np.zeros_like(self.rest), self.background)
        return SparseSoftmax(stored, self.rest * rows * total, moved / total)


def sparse_softmax(v: Array, u: Array, c: Array | None, w: Array, check: Callable[[], None]) -> SparseSoftmax:
    """The softmax of the logits VU' + 1c' with about MOST_ENTRIES entries stored, the largest of each block."""
    n, m = len(v), len(u)
    rows, share = block_rows(m), MOST_ENTRIES / n / m
    left, right = v.astype(np.float32), u.astype(np.float32)
    parts, rest, background = [], np.zeros(n), np.zeros(m)
    for start in range(0, n, rows):
        check()
        z = left[start : start + rows] @ right.T
        if c is not None:
            z += c.astype(np.float32)
        z -= z.max(axis=1, keepdims=True)
        np.exp(z, out=z)
        p = z / z.sum(axis=1, dtype=np.float64, keepdims=True)
        level = LEVEL
        if share < 1:
            level = max(level, float(np.quantile(p.ravel()[:: max(1, p.size // 200_000)], 1 - share)))
        small = p <= level
        dropped = np.where(small, p, 0.0)
        rest[start : start + rows] = dropped.sum(axis=1)
        background += w[start : start + rows] @ dropped
        p[small] = 0.0
        parts.append(sp.csr_array(p))
    stored = sp.csr_array(sp.vstack(parts, format="csr"))
    rest = np.maximum(1.0 - np.asarray(stored.sum(axis=1)).ravel(), 0.0)
    total = float(background.sum())
    return SparseSoftmax(stored, rest, background / total if total > 0 else np.full(m, 1.0 / m))


def sparse_dual_value(objective: Objective, f: Array, b: Array) -> float:
    """A lower bound on the tied optimum from the softmax at (F, b); -inf where no feasible point is known."""
    check = objective.check or (lambda: None)
    w, decay, uniform = objective.w, objective.decay, objective.target.uniform
    flow = circulation(objective.sparse_wt, w, decay)
    if flow is None:
        return -np.inf
    p = sparse_softmax(f, f, objective.column_bias(f, b), w, check)
    if decay == 0:
        p = _with_column_sums(p, w, objective.columns, check)
    laplacian = laplacian_of(flow)
    slack = sp.csr_array((laplacian + laplacian.T) / 2 + decay * sp.eye_array(objective.n))

    def excess(x: Array) -> Array:
        x = x - x.mean() if decay == 0 else x
        wx = w * x
        target = objective.wt @ x + objective.wt.T @ x + uniform * (w * x.sum() + w @ x)
        s = (target - w * p.times(x) - p.transpose_times(wx)) / 2 - decay * x
        return s - s.mean() if decay == 0 else np.asarray(s)

    worst = largest_generalised(excess, slack, singular=decay == 0, check=check)
    mix = max(0.0, worst) / (1.0 + max(0.0, worst))
    inverse = sp.diags_array(np.divide(1.0, w, out=np.zeros_like(w), where=w > 0))
    towards = sp.csr_array(inverse @ (objective.sparse_wt + laplacian))
    return _entropy(
        sp.csr_array((1 - mix) * p.stored + mix * towards), (1 - mix) * p.rest, p.background, mix * uniform, w
    )


def sparse_untied_dual_value(objective: Objective, f: Array, b: Array) -> float:
    """The same for untied logits under decay: mixing with T until ||R||_2 <= l."""
    check = objective.check or (lambda: None)
    w, decay, uniform, n = objective.w, objective.decay, objective.target.uniform, objective.n
    p = sparse_softmax(*objective.halves(f), None, w, check)

    def squared(x: Array) -> Array:
        r = objective.wt @ x + uniform * w * x.sum() - w * p.times(x)
        return np.asarray(objective.wt.T @ r + uniform * (w @ r) - p.transpose_times(w * r))

    norm = np.sqrt(max(0.0, largest_generalised(squared, sp.eye_array(n, format="csr"), singular=False, check=check)))
    mix = max(0.0, norm - decay) / (decay + max(0.0, norm - decay))
    inverse = sp.diags_array(np.divide(1.0, w, out=np.zeros_like(w), where=w > 0))
    mixed = sp.csr_array((1 - mix) * p.stored + mix * (inverse @ objective.sparse_wt))
    return _entropy(mixed, (1 - mix) * p.rest, p.background, mix * uniform, w)


def largest_generalised(
    matrix: Callable[[Array], Array], slack: sp.csr_array, *, singular: bool, check: Callable[[], None]
) -> float:
    """An upper bound, but for probability FAILURE, on the largest t with A x = t M x, A symmetric, M = ``slack``.

    ``singular``: M has the constant in its null space, as has A, and x is orthogonal to it.
    """
    n = slack.shape[0]
    solve, sample = _solver(slack, singular), np.random.default_rng(0)
    x = solve(_gaussian(slack, sample))
    q = slack @ x
    norm = np.sqrt(x @ q)
    x, q = x / norm, q / norm
    before, beta = np.zeros(n), 0.0
    diagonal: list[float] = []
    off: list[float] = []
    bound = np.inf
    for steps in STEPS:
        while len(diagonal) < min(steps, n):
            check()
            image = matrix(x) - beta * before
            alpha = float(x @ image)
            r = image - alpha * q
            y = solve(r)
            beta = float(np.sqrt(max(0.0, y @ r)))
            diagonal.append(alpha)
            if beta <= 1e-13 * max(1.0, abs(alpha)):
                return max(diagonal) if len(diagonal) == 1 else _ritz(diagonal, off)[-1]
            off.append(beta)
            before, x, q = q, y / beta, r / beta
        ritz = _ritz(diagonal, off[: len(diagonal) - 1])
        part = (np.log(1.648 * np.sqrt(n) / FAILURE) / (2 * len(diagonal) - 1)) ** 2
        miss = part * (ritz[-1] - ritz[0]) if part < 1 else np.inf
        bound = min(bound, ritz[-1] + miss)
        if miss <= ENOUGH * max(ritz[-1], 0.0) or bound <= 0 or len(diagonal) >= n:
            break
    return float(bound)


def _ritz(diagonal: list[float], off: list[float]) -> Array:
    return np.asarray(eigh_tridiagonal(np.array(diagonal), np.array(off), eigvals_only=True))


def _gaussian(slack: sp.csr_array, sample: np.random.Generator) -> Array:
    """A Gaussian vector with covariance M = diag(row sums) + Lap: M^-1 times it is isotropic in M's inner product."""
    upper = sp.triu(slack, k=1).tocoo()
    weights = np.sqrt(np.maximum(-upper.data, 0.0)) * sample.standard_normal(len(upper.data))
    row_sums = np.maximum(np.asarray(slack.sum(axis=1)).ravel(), 0.0)
    y = np.sqrt(row_sums) * sample.standard_normal(slack.shape[0])
    np.add.at(y, upper.row, weights)
    np.add.at(y, upper.col, -weights)
    return y


def _solver(slack: sp.csr_array, singular: bool) -> Callable[[Array], Array]:
    n = slack.shape[0]
    if n == 1:
        return lambda y: np.zeros(1) if singular else y / slack.toarray()[0]
    if slack.nnz == n and not singular:
        diagonal = slack.diagonal()
        return lambda y: y / diagonal
    if front_width(slack) > MOST_FRONT:
        scale = LinearOperator((n, n), matvec=lambda y: y / slack.diagonal(), dtype=np.float64)

        def iterate(y: Array) -> Array:
            y = y - y.mean() if singular else y
            x = cg(slack, y, rtol=SOLVED, maxiter=2000, M=scale)[0]
            return np.asarray(x - x.mean() if singular else x)

        return iterate
    options: dict[str, Any] = {
        "permc_spec": "MMD_AT_PLUS_A",
        "diag_pivot_thresh": 0.0,
        "options": {"SymmetricMode": True},
    }
    if not singular:
        return splu(sp.csc_array(slack), **options).solve
    grounded = splu(sp.csc_array(slack[: n - 1][:, : n - 1]), **options)

    def apply(y: Array) -> Array:
        x = np.append(grounded.solve((y - y.mean())[: n - 1]), 0.0)
        return np.asarray(x - x.mean())

    return apply


def _with_column_sums(p: SparseSoftmax, w: Array, columns: Array, check: Callable[[], None]) -> SparseSoftmax:
    """P with w P = ``columns`` to rounding, as ``feasible.with_column_sums``; what is left goes into the background."""
    ones = np.ones(len(w))
    for _ in range(SINKHORN_SWEEPS):
        check()
        received = p.transpose_times(w)
        scale = columns / np.where(received > 0, received, columns)
        if np.abs(scale - 1).max() <= 4e-16 * len(w):
            break
        p = p.scaled(ones, scale)
        sums = np.asarray(p.stored.sum(axis=1)).ravel() + p.rest
        p = p.scaled(1.0 / sums, ones)
    received = p.transpose_times(w)
    p = p.scaled(ones, np.minimum(1.0, columns / np.where(received > 0, received, columns)))
    rows_left = np.maximum(w - w * (np.asarray(p.stored.sum(axis=1)).ravel() + p.rest), 0.0) / w
    columns_left = np.maximum(columns - p.transpose_times(w), 0.0)
    missing = float(columns_left.sum())
    if missing <= 0:
        return p
    # One background for both: exact in the column sums, and in the rows.
    together = p.background * (w @ p.rest) + columns_left
    return SparseSoftmax(p.stored, p.rest + rows_left, together / together.sum())


def _entropy(stored: sp.csr_array, rest: Array, background: Array, uniform: float, w: Array) -> float:
    """sum_i w_i H of the rows C_i + rho_i kappa' + e 1'."""
    n = len(w)
    indices, indptr = stored.indices, stored.indptr
    rows = np.repeat(np.arange(n), np.diff(indptr))
    under = rest[rows] * background[indices] + uniform
    value = float(w[rows] @ (entr(stored.data + under) - entr(under)))
    if uniform == 0:
        each = rest * float(entr(background).sum()) + entr(rest)  # sum_j entr(rho kappa_j), sum kappa = 1
        return value + float(w @ each)
    block = block_rows(n)
    for start in range(0, n, block):
        value += float(
            w[start : start + block] @ entr(np.outer(rest[start : start + block], background) + uniform).sum(axis=1)
        )
    return value
