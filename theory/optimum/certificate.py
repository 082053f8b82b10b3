"""Proof that a Gram matrix is optimal: KKT violation and duality gap of the tied problem.

Primal: min L(VV' + 1a') + l ||V||^2.  Fenchel dual (lse is the conjugate of negative entropy):

    max over row-stochastic P of  sum_i w_i H(P_i)   subject to  S(P) <= l I,   S(P) = sym(diag(w) (T - P)),

for l = 0 with the bias: also equal column sums, sum_i w_i P_ij = sum_i w_i T_ij. The solver's P misses feasibility by
rounding; it is repaired by mixing with a strictly feasible point Q, so that the gap is an upper bound on the true
suboptimality (in float64 arithmetic): l > 0: Q = T, S(Q) = 0. l = 0: Q = T + W^-1 Lap(b), Lap(b) = diag(b1) - b for
a circulation b <= diag(w) T (as much flows into a node as out of it), so that Q is row-stochastic with the column sums
of T and S(Q) = -Lap(sym b) <= 0. With arcs both ways b_ij = min(w_i T_ij, w_j T_ji); on a directed graph, whose arcs
lie on cycles, b_ij = s p_i T_ij for the stationary law p of T and s = min_i w_i / p_i.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigvalsh

from ..checks import Array
from ..softmax import cross_entropy, row_softmax, target_entropy

FLAT = 1e-12  # an eigenvalue of a Laplacian, relative to its largest entry, that is rounding
SINKHORN_SWEEPS = 50  # the solver's column sums are right to about 1e-9; a few sweeps bring them to rounding


@dataclass(frozen=True)
class Certificate:
    """``max_violation``: the largest of max(0, eig(S) - l), ||(S - l I) V|| / max(1, ||V||) and the column-sum error
    (l = 0). ``duality_gap``: objective minus a feasible dual value, >= the true suboptimality; infinite when no
    strictly feasible dual point is known."""

    max_violation: float
    duality_gap: float


def tied_certificate(target: Array, row_weight: Array, weight_decay: float, factor: Array, bias: Array) -> Certificate:
    """The certificate of V = ``factor`` (n, r) and ``bias`` (n,) for the tied problem; see the module."""
    n = len(target)
    logits = factor @ factor.T + bias
    p = row_softmax(logits)
    s = _symmetric_residual(target, p, row_weight)
    top = float(eigvalsh(_without_constant(s) if weight_decay == 0 else s, subset_by_index=[n - 1, n - 1])[0])
    stationarity = np.linalg.norm(s @ factor - weight_decay * factor) / max(1.0, float(np.linalg.norm(factor)))
    columns = np.abs(row_weight @ (target - p)).max() if weight_decay == 0 else 0.0
    violation = max(0.0, top - weight_decay, float(stationarity), float(columns))
    objective = float(cross_entropy(logits, target, row_weight)) + weight_decay * float((factor**2).sum())
    dual = _dual_value(target, row_weight, weight_decay, p)
    return Certificate(violation, objective - dual if np.isfinite(dual) else float("inf"))


def untied_certificate(target: Array, row_weight: Array, weight_decay: float, factor: Array) -> Certificate:
    """The certificate of V stacked over U = ``factor`` (2n, r) for min L(VU') + l/2 (||V||^2 + ||U||^2), l > 0.

    Optimality: ||R||_2 <= l with R U = l V, R' V = l U. Dual: max sum_i w_i H(P_i) over ||diag(w)(T - P)||_2 <= l,
    repaired by mixing P with T. ``max_violation``: the largest of max(0, ||R||_2 - l) and the stationarity residual.
    """
    n = len(target)
    v, u = factor[:n], factor[n:]
    p = row_softmax(v @ u.T)
    r = row_weight[:, None] * (target - p)
    excess = max(0.0, float(np.linalg.norm(r, 2)) - weight_decay)
    miss = np.concatenate([r @ u, r.T @ v]) - weight_decay * factor
    stationarity = float(np.linalg.norm(miss)) / max(1.0, float(np.linalg.norm(factor)))
    objective = float(cross_entropy(v @ u.T, target, row_weight)) + weight_decay / 2 * float((factor**2).sum())
    mix = excess / (weight_decay + excess)
    return Certificate(max(excess, stationarity), objective - target_entropy((1 - mix) * p + mix * target, row_weight))


def _dual_value(target: Array, w: Array, decay: float, p: Array) -> float:
    n = len(target)
    if decay > 0:
        top = float(eigvalsh(_symmetric_residual(target, p, w), subset_by_index=[n - 1, n - 1])[0])
        excess = max(0.0, top - decay)
        mix = excess / (decay + excess)
        return target_entropy((1 - mix) * p + mix * target, w)
    if n == 1:
        return target_entropy(p, w)
    weights = np.minimum(w[:, None] * target, (w[:, None] * target).T)
    laplacian = np.diag(weights.sum(axis=1)) - weights
    gap = float(eigvalsh(laplacian, subset_by_index=[1, 1])[0])
    if gap <= FLAT * float(laplacian.max()):
        laplacian = _circulation_laplacian(target, w)
        gap = float(eigvalsh((laplacian + laplacian.T) / 2, subset_by_index=[1, 1])[0])
    if gap <= FLAT * float(laplacian.max()):
        return -np.inf
    p = _with_column_sums(p, w, w @ target)
    s = _without_constant(_symmetric_residual(target, p, w))
    excess = max(0.0, float(eigvalsh(s, subset_by_index=[n - 1, n - 1])[0]))
    mix = excess / (gap + excess)
    return target_entropy((1 - mix) * p + mix * (target + laplacian / w[:, None]), w)


def _circulation_laplacian(target: Array, w: Array) -> Array:
    """diag(b1) - b for b_ij = s p_i T_ij, p the stationary law of the irreducible T and s = min_i w_i / p_i."""
    n = len(target)
    balance = np.vstack([target.T - np.eye(n), np.ones(n)])
    law = np.abs(np.linalg.lstsq(balance, np.append(np.zeros(n), 1.0), rcond=None)[0])
    flow = float((w[law > 0] / law[law > 0]).min()) * law[:, None] * target
    return np.asarray(np.diag(flow.sum(axis=1)) - flow)


def _with_column_sums(p: Array, w: Array, columns: Array) -> Array:
    """The row-stochastic matrix near P with w P = ``columns`` (which sum to sum_i w_i), exact to rounding.

    Sinkhorn sweeps, which are slow where P is nearly zero, then the rounding of Altschuler, Weed and Rigollet (2017),
    algorithm 2: scale down what is too large, add what is missing as one product of the remainders.
    """
    for _ in range(SINKHORN_SWEEPS):
        received = w @ p
        p = p * (columns / np.where(received > 0, received, columns))
        p = p / p.sum(axis=1, keepdims=True)
    plan = w[:, None] * p
    received = plan.sum(axis=0)
    plan = plan * np.minimum(1.0, columns / np.where(received > 0, received, columns))
    rows_left, columns_left = w - plan.sum(axis=1), np.maximum(columns - plan.sum(axis=0), 0.0)
    missing = columns_left.sum()
    if missing > 0:
        plan = plan + np.outer(np.maximum(rows_left, 0.0), columns_left) / missing
    return np.asarray(plan / plan.sum(axis=1, keepdims=True))


def _symmetric_residual(target: Array, p: Array, w: Array) -> Array:
    r = w[:, None] * (target - p)
    return np.asarray((r + r.T) / 2)


def _without_constant(s: Array) -> Array:
    """J S J: the constant mode carries no constraint when K is free along 11'."""
    s = s - s.mean(axis=0)
    return np.asarray(s - s.mean(axis=1, keepdims=True))
