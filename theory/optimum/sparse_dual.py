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
from time import perf_counter
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, cg, eigsh
from scipy.special import entr

from ..checks import Array
from ..spectra.counting import front_width, symmetric_factor
from .feasible import balanced, circulation, inverse_weight, laplacian_of, mixing
from .objectives import Objective
from .repair import local_repair
from .row_pass import block_rows
from .threads import symmetric_eigen

MOST_ENTRIES = 3_000_000  # stored entries of C
LEVEL = 1e-7  # softmax entries below it belong to the background where there is room for the others
FAILURE = 1e-6
STEPS = (60, 120, 250, 500, 1000)  # of Lanczos' method, until the miss is small beside the eigenvalue
CHANCE = FAILURE / (2 * len(STEPS))  # at either end of the spectrum, whenever it is asked
ENOUGH = 0.1
SMALL = 100  # nodes up to which all eigenvalues are found: fewer than the bound needs steps
MOST_FRONT = 3000  # of a sparse factorisation; conjugate gradients above
SOLVED = 1e-10
REPAIRED = 40  # violated directions that are repaired where they are
CANCELLED = 1e-12  # what is left of two equal numbers
GROUND = 1e-6  # of the mean conductance: the Laplacian's zero, for a factorisation


@dataclass(frozen=True, eq=False)
class SparseSoftmax:
    """``stored`` C (n, n) CSR, ``rest`` rho (n,), ``background`` kappa (n,) with sum one."""

    stored: sp.csr_array
    rest: Array
    background: Array

    def times(self, x: Array) -> Array:
        return np.asarray(self.stored @ x + np.multiply.outer(self.rest, self.background @ x))

    def transpose_times(self, x: Array) -> Array:
        return np.asarray(self.stored.T @ x + self.background * (self.rest @ x))

    def scaled(self, columns: Array) -> SparseSoftmax:
        stored, moved = sp.csr_array(self.stored @ sp.diags_array(columns)), self.background * columns
        total = float(moved.sum())
        rest = self.rest * total
        sums = np.asarray(stored.sum(axis=1)).ravel() + rest
        stored = sp.csr_array(sp.diags_array(1.0 / sums) @ stored)
        return SparseSoftmax(stored, rest / sums, moved / total if total > 0 else self.background)


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
    w, decay = objective.w, objective.decay
    flow = circulation(objective.sparse_wt, w, decay, objective.target.uniform)
    if flow is None:
        return -np.inf
    p = sparse_softmax(f, f, objective.column_bias(f, b), w, check)
    if decay == 0:
        p = _with_column_sums(p, w, objective.columns, check)
    laplacian = laplacian_of(flow)
    # Without decay the same flow u between all pairs of nodes: Lap = u (n I - 11'), and the constant is left out.
    everywhere = objective.target.uniform * float(w.min()) if decay == 0 else 0.0
    ground = decay + objective.n * everywhere
    slack = sp.csr_array((laplacian + laplacian.T) / 2 + ground * sp.eye_array(objective.n))
    solve = _solver(slack, ground == 0)
    if front_width(slack) <= MOST_FRONT:
        p = _repaired(objective, p, flow, f)
    return _mixed(objective, p, laplacian, slack, solve, everywhere)


def _mixed(
    objective: Objective,
    p: SparseSoftmax,
    laplacian: sp.csr_array,
    slack: sp.csr_array,
    solve: Callable[[Array], Array],
    everywhere: float,
) -> float:
    """The entropy of the feasible mixture of P."""
    w = objective.w
    excess, check = _excess(objective, p), objective.check or (lambda: None)
    worst = largest_generalised(
        excess, slack, solve, check=check, accuracy=objective.accuracy, seconds=objective.seconds
    )
    mix, each = mixing(worst), inverse_weight(w)
    moved = laplacian + objective.n * everywhere * sp.eye_array(objective.n)
    towards = sp.csr_array(sp.diags_array(each) @ (objective.sparse_wt + moved))
    mixed = sp.csr_array((1 - mix) * p.stored + mix * towards)
    uniform = mix * (objective.target.uniform - everywhere * each)
    return _entropy(mixed, (1 - mix) * p.rest, p.background, uniform, w)


def _excess(objective: Objective, p: SparseSoftmax) -> Callable[[Array], Array]:
    """x -> (S(P) - l I) x, on the complement of the constant without decay."""
    decay, (forth, back) = objective.decay, residual_products(objective, p)

    def apply(x: Array) -> Array:
        x = x - x.mean() if decay == 0 else x
        s = (forth(x) + back(x)) / 2 - decay * x
        return s - s.mean() if decay == 0 else s

    return apply


def residual_products(
    objective: Objective, p: SparseSoftmax
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """x -> R x and x -> R' x, x (n,) or (n, 1), as SciPy's svds hands it."""
    w, uniform = objective.w, objective.target.uniform

    def forth(x: Array) -> Array:
        x = x.ravel()
        return np.asarray(objective.wt @ x + uniform * w * x.sum() - w * p.times(x))

    def back(x: Array) -> Array:
        x = x.ravel()
        return np.asarray(objective.wt.T @ x + uniform * (w @ x) - p.transpose_times(w * x))

    return forth, back


def _repaired(objective: Objective, p: SparseSoftmax, flow: sp.csr_array, f: Array) -> SparseSoftmax:
    """P after ``local_repair`` along the leading violated directions."""
    n, w, decay = objective.n, objective.w, objective.decay
    weighted = sp.csr_array(sp.diags_array(w) @ p.stored)
    least = sp.csr_array(flow.minimum(flow.T).minimum(weighted.minimum(weighted.T)))
    edges = sp.triu(least, k=1).tocoo()
    i, j, b = edges.row, edges.col, edges.data
    if not (b > 0).any():  # arcs of one direction
        return p
    laplacian = laplacian_of(least)
    metric = sp.csc_array(laplacian + (decay + GROUND * float(laplacian.diagonal().mean())) * sp.eye_array(n))
    solve = symmetric_factor(metric).solve
    first = np.random.default_rng(2).standard_normal(n)
    options: dict[str, Any] = {"k": min(REPAIRED, n - 2), "which": "LA", "tol": 0.1, "maxiter": 3, "v0": first}
    try:
        excess, modes = eigsh(
            LinearOperator((n, n), matvec=_excess(objective, p), dtype=np.float64),
            M=metric,
            Minv=LinearOperator((n, n), matvec=solve, dtype=np.float64),
            **options,
        )
    except ArpackNoConvergence as reached:
        excess, modes = reached.eigenvalues, reached.eigenvectors
    positive = excess > 0
    moved = local_repair(
        b, ((f[i] - f[j]) ** 2).sum(axis=1), modes[i][:, positive] - modes[j][:, positive], excess[positive]
    )
    change = sp.coo_array((moved, (i, j)), shape=(n, n))
    towards = sp.csr_array(sp.diags_array(inverse_weight(w)) @ laplacian_of(sp.csr_array(change + change.T)))
    return SparseSoftmax(sp.csr_array(p.stored + towards), p.rest, p.background)


def sparse_untied_dual_value(objective: Objective, f: Array, b: Array) -> float:
    """The same for untied logits under decay: mixing with T until ||R||_2 <= l."""
    check = objective.check or (lambda: None)
    w, decay, uniform, n = objective.w, objective.decay, objective.target.uniform, objective.n
    p = sparse_softmax(*objective.halves(f), None, w, check)
    forth, back = residual_products(objective, p)
    identity = sp.eye_array(n, format="csr")
    largest = largest_generalised(lambda x: back(forth(x)), identity, _solver(identity, False), check=check)
    mix = mixing(np.sqrt(max(0.0, largest)) - decay, decay)
    mixed = sp.csr_array((1 - mix) * p.stored + mix * (sp.diags_array(inverse_weight(w)) @ objective.sparse_wt))
    return _entropy(mixed, (1 - mix) * p.rest, p.background, np.full(n, mix * uniform), w)


def largest_generalised(
    matrix: Callable[[Array], Array],
    slack: sp.csr_array,
    solve: Callable[[Array], Array],
    *,
    check: Callable[[], None] = lambda: None,
    accuracy: float = 0.0,
    seconds: float = np.inf,
) -> float:
    """An upper bound, but for probability FAILURE, on the largest t with A x = t M x, A symmetric, M = ``slack`` with
    the inverse ``solve``, on the complement of the constant where M is singular there.

    More steps are taken until the bound misses the Ritz value by ``accuracy`` or a part of it, at least STEPS[0], and
    no more than about ``seconds`` allow.
    """
    n, began = slack.shape[0], perf_counter()
    if n <= SMALL:
        return _largest_dense(matrix, slack)
    x = solve(_gaussian(slack, np.random.default_rng(0)))
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
        part = (np.log(1.648 * np.sqrt(n) / CHANCE) / (2 * len(diagonal) - 1)) ** 2
        # The range itself is known to within a miss at either end.
        miss = part * (ritz[-1] - ritz[0]) / (1 - 2 * part) if part < 0.4 else np.inf
        bound = min(bound, ritz[-1] + miss)
        spent = perf_counter() - began
        if miss <= max(ENOUGH * ritz[-1], accuracy) or bound <= 0 or len(diagonal) >= n or 2 * spent > seconds:
            break
    return float(bound)


def _largest_dense(matrix: Callable[[Array], Array], slack: sp.csr_array) -> float:
    """The same from all eigenvalues, for a few nodes. A constant that M does not see is given weight: A does not."""
    n, metric = slack.shape[0], slack.toarray()
    if np.abs(metric.sum(axis=1)).max() <= CANCELLED * max(metric.max(), 1e-300):
        metric = metric + float(metric.diagonal().mean()) / n
    whole = np.column_stack([matrix(column) for column in np.eye(n)])
    return float(symmetric_eigen((whole + whole.T) / 2, metric, eigvals_only=True, subset_by_index=[n - 1, n - 1])[0])


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
    if not singular:
        symmetric = symmetric_factor(slack)
        return lambda y: np.asarray(symmetric.solve(y))
    grounded = symmetric_factor(slack[: n - 1][:, : n - 1])

    def apply(y: Array) -> Array:
        x = np.append(grounded.solve((y - y.mean())[: n - 1]), 0.0)
        return np.asarray(x - x.mean())

    return apply


def _with_column_sums(p: SparseSoftmax, w: Array, columns: Array, check: Callable[[], None]) -> SparseSoftmax:
    """P with w P = ``columns`` to rounding, as ``feasible.with_column_sums``; what is left goes into the background."""
    p = balanced(p, w, columns, check)
    received = p.transpose_times(w)
    scale = np.minimum(1.0, columns / np.where(received > 0, received, columns))
    stored, moved = sp.csr_array(p.stored @ sp.diags_array(scale)), p.background * scale
    rest = p.rest * float(moved.sum())
    rows_left = np.maximum(1.0 - np.asarray(stored.sum(axis=1)).ravel() - rest, 0.0)
    # One background for what there was and what is missing: exact in the column sums, and in the rows.
    columns_left = np.maximum(columns - stored.T @ w - p.background * scale * (w @ p.rest), 0.0)
    together = moved * (w @ p.rest) + columns_left
    total = float(together.sum())
    return SparseSoftmax(stored, rest + rows_left, together / total if total > 0 else p.background)


def _entropy(stored: sp.csr_array, rest: Array, background: Array, uniform: Array, w: Array) -> float:
    """sum_i w_i H of the rows C_i + rho_i kappa' + e_i 1'."""
    n = len(w)
    indices, indptr = stored.indices, stored.indptr
    rows = np.repeat(np.arange(n), np.diff(indptr))
    uniform = np.where(uniform > CANCELLED * uniform.max(initial=0.0), uniform, 0.0)
    under = rest[rows] * background[indices] + uniform[rows]
    value = float(w[rows] @ (entr(np.maximum(stored.data + under, 0.0)) - entr(under)))
    if not uniform.any():
        each = rest * float(entr(background).sum()) + entr(rest)  # sum_j entr(rho kappa_j), sum kappa = 1
        return value + float(w @ each)
    block = block_rows(n)
    for start in range(0, n, block):
        part = slice(start, start + block)
        under = np.outer(rest[part], background) + uniform[part, None]
        value += float(w[part] @ entr(under).sum(axis=1))
    return value
