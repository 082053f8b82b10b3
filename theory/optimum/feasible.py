"""Strictly feasible points of the tied dual, and what mixing with one repairs.

    max over row-stochastic P of  sum_i w_i H(P_i)   subject to  S(P) <= l I,   S(P) = sym(diag(w) (T - P)),

for l = 0 with the bias: also equal column sums, sum_i w_i P_ij = sum_i w_i T_ij. Q = T + W^-1 Lap(b), Lap(b) =
diag(b1) - b for a circulation b <= diag(w) T (as much flows into a node as out of it), is row-stochastic with the
column sums of T, and S(Q) = -Lap(sym b) <= 0. For M = l I + Lap(sym b), m = t / (1 + t), t >= 0 the largest generalised
eigenvalue of (S(P) - l I) x = t M x, the mixture (1 - m) P + m Q is feasible. Mixing node by node this way is far less
than what the smallest eigenvalue of M would ask for: a violation among the ends of a long chain costs what it is there.

With arcs both ways b_ij = min(w_i T_ij, w_j T_ji); on a directed graph, whose arcs lie on cycles, b_ij = s p_i T_ij for
the stationary law p of T and s = min_i w_i / p_i.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, cg, splu

from ..checks import Array

FLAT = 1e-12  # a part of the law, or of a Laplacian, that is rounding
# Of column sums: Newton steps, the part of the mass that may stay misplaced, the least part of a step, and the largest
# change of a log mass in one.
NEWTON_STEPS, BALANCED, LEAST_STEP, MOST_MOVED = 30, 1e-13, 1e-3, 5.0


def circulation(
    weighted_target: sp.csr_array, row_weight: Array, weight_decay: float, uniform: float = 0.0
) -> sp.csr_array | None:
    """b (n, n) CSR for diag(w) T, without its diagonal, or None where l = 0 and no Q is strictly feasible.

    ``uniform``: what every entry of T has beside ``weighted_target``; min(w) of it flows between every pair of nodes,
    and is not in the result.
    """
    both = sp.csr_array(weighted_target.minimum(weighted_target.T))
    if weight_decay > 0 or uniform * row_weight.min() > 0 or _connected(both):
        return _without_diagonal(both)
    if not _connected(weighted_target, strongly=True):
        return None
    sums = np.asarray(weighted_target.sum(axis=1)).ravel()  # w, but for what is uniform
    chain = sp.csr_array(sp.diags_array(1.0 / sums) @ weighted_target)
    law = _stationary_law(chain)
    if not (law > FLAT * law.max()).all():
        return None
    return _without_diagonal(sp.csr_array(sp.diags_array(law * float((sums / law).min())) @ chain))


def laplacian_of(flow: sp.csr_array) -> sp.csr_array:
    """Lap(b) = diag(b1) - b."""
    return sp.csr_array(sp.diags_array(np.asarray(flow.sum(axis=1)).ravel()) - flow)


def mixing(excess: float, slack: float = 1.0) -> float:
    """The part m of a point with that much slack which mends an ``excess``: (1 - m) excess <= m slack."""
    return max(0.0, excess) / (slack + max(0.0, excess)) if np.isfinite(excess) else 1.0


def inverse_weight(w: Array) -> Array:
    """1 / w, zero for rows of weight zero."""
    return np.divide(1.0, w, out=np.zeros_like(w), where=w > 0)


class Softmax(Protocol):
    """A row-stochastic P (n, n), dense or not."""

    def times(self, x: Array) -> Array:
        """P x."""

    def transpose_times(self, x: Array) -> Array:
        """P' x."""

    def scaled(self, columns: Array) -> Self:
        """P diag(columns), its rows divided by their sums."""


@dataclass(frozen=True, eq=False)
class DenseSoftmax:
    matrix: Array

    def times(self, x: Array) -> Array:
        return np.asarray(self.matrix @ x)

    def transpose_times(self, x: Array) -> Array:
        return np.asarray(self.matrix.T @ x)

    def scaled(self, columns: Array) -> DenseSoftmax:
        moved = self.matrix * columns
        return DenseSoftmax(moved / moved.sum(axis=1, keepdims=True))


P = TypeVar("P", bound=Softmax)


def balanced(p: P, w: Array, columns: Array, check: Callable[[], None] = lambda: None) -> P:
    """P diag(e^d), rows normalised, with column sums w P near ``columns``: Newton steps on the convex function of d
    whose gradient is the difference, by conjugate gradients; a step that does not help is halved."""
    miss = p.transpose_times(w) - columns
    for _ in range(NEWTON_STEPS):
        size = float(np.abs(miss).sum())
        if size <= BALANCED * w.sum():
            break
        mass = p.transpose_times(w)

        def curvature(x: Array, p: P = p, mass: Array = mass) -> Array:
            check()
            x = x - x.mean()
            return np.asarray(mass * x - p.transpose_times(w * p.times(x)))

        n = len(w)
        scale = LinearOperator((n, n), matvec=lambda x, mass=mass: x / np.maximum(mass, 1e-300), dtype=np.float64)
        step = cg(LinearOperator((n, n), matvec=curvature, dtype=np.float64), -miss, rtol=1e-2, maxiter=60, M=scale)[0]
        step, part = step - step.mean(), 1.0
        while part > LEAST_STEP:
            trial = p.scaled(np.exp(np.clip(part * step, -MOST_MOVED, MOST_MOVED)))
            left = trial.transpose_times(w) - columns
            if float(np.abs(left).sum()) < size:
                break
            part /= 2
        else:
            break
        p, miss = trial, left
    return p


def with_column_sums(p: Array, w: Array, columns: Array) -> Array:
    """The row-stochastic matrix near P with w P = ``columns`` (which sum to sum_i w_i), exact to rounding.

    ``balanced``, then the rounding of Altschuler, Weed and Rigollet (2017), algorithm 2: scale down what is too large,
    add what is missing as one product of the remainders.
    """
    plan = w[:, None] * balanced(DenseSoftmax(p), w, columns).matrix
    received = plan.sum(axis=0)
    plan *= np.minimum(1.0, columns / np.where(received > 0, received, columns))
    rows_left, columns_left = w - plan.sum(axis=1), np.maximum(columns - plan.sum(axis=0), 0.0)
    missing = columns_left.sum()
    if missing > 0:
        plan += np.outer(np.maximum(rows_left, 0.0), columns_left) / missing
    return np.asarray(plan / plan.sum(axis=1, keepdims=True))


def _connected(flow: sp.csr_array, *, strongly: bool = False) -> bool:
    kind = "strong" if strongly else "weak"
    return bool(connected_components(flow, connection=kind, return_labels=False) == 1)


def _without_diagonal(matrix: sp.csr_array) -> sp.csr_array:
    off = sp.csr_array(matrix - sp.diags_array(matrix.diagonal()))
    off.eliminate_zeros()
    return off


def _stationary_law(chain: sp.csr_array) -> Array:
    """p with p T = p, sum p = 1, for an irreducible row-stochastic T."""
    n = chain.shape[0]
    if n == 1:
        return np.ones(1)
    balance = sp.csc_array(chain.T - sp.eye_array(n))
    # p_n = 1, the last equation follows from the others.
    law = splu(sp.csc_array(balance[: n - 1, : n - 1])).solve(-balance[: n - 1, [n - 1]].toarray()[:, 0])
    law = np.abs(np.append(law, 1.0))
    return np.asarray(law / law.sum())
