"""Proof that a Gram matrix, or logits, are optimal, or how far they may be from it: KKT violation and duality gap.

Primal: min L(VV' + 1a') + l ||V||^2.  Fenchel dual (lse is the conjugate of negative entropy): see ``feasible``. The
softmax P of the primal point misses feasibility; mixed with a strictly feasible point it is feasible, so that the gap
is an upper bound on the true suboptimality (in float64 arithmetic) at any V, however far from the optimum.

Untied: max sum_i w_i H(P_i) over ||diag(w)(T - P)||_2 <= l, with T itself as the strictly feasible point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.linalg import LinAlgError, eigvalsh

from ..checks import Array
from ..softmax import cross_entropy, row_softmax, target_entropy
from .feasible import circulation, inverse_weight, laplacian_of, mixing, with_column_sums
from .repair import local_repair
from .threads import symmetric_eigen


@dataclass(frozen=True)
class Certificate:
    """``max_violation``: the largest of max(0, eig(S) - l), ||(S - l I) V|| / max(1, ||V||) and the column-sum error
    (l = 0). ``duality_gap``: objective minus a feasible dual value, >= the true suboptimality; infinite when no
    strictly feasible dual point is known."""

    max_violation: float
    duality_gap: float


def tied_certificate(target: Array, row_weight: Array, weight_decay: float, factor: Array, bias: Array) -> Certificate:
    """The certificate of V = ``factor`` (n, r) and ``bias`` (n,) for the tied problem; see the module."""
    logits = factor @ factor.T + bias
    p = row_softmax(logits)
    violation = kkt_violation(target, row_weight, weight_decay, factor, p)
    objective = float(cross_entropy(logits, target, row_weight)) + weight_decay * float((factor**2).sum())
    dual = tied_dual_value(target, row_weight, weight_decay, p)
    return Certificate(violation, objective - dual if np.isfinite(dual) else float("inf"))


def kkt_violation(target: Array, w: Array, decay: float, factor: Array, p: Array) -> float:
    """``max_violation`` of V = ``factor`` (n, r), whose softmax is P."""
    last = len(target) - 1
    s = symmetric_residual(target, p, w)
    top = float(eigvalsh(without_constant(s) if decay == 0 else s, subset_by_index=[last, last])[0])
    stationarity = np.linalg.norm(s @ factor - decay * factor) / max(1.0, float(np.linalg.norm(factor)))
    columns = np.abs(w @ (target - p)).max() if decay == 0 else 0.0
    return max(0.0, top - decay, float(stationarity), float(columns))


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
    return Certificate(max(excess, stationarity), objective - untied_dual_value(target, row_weight, weight_decay, p))


def untied_dual_value(target: Array, w: Array, decay: float, p: Array) -> float:
    """The dual value of P (n, n) after it was mixed with T until ||R||_2 <= l."""
    mix = mixing(float(np.linalg.norm(w[:, None] * (target - p), 2)) - decay, decay)
    return target_entropy((1 - mix) * p + mix * target, w)


def tied_dual_value(
    target: Array, w: Array, decay: float, p: Array, factor: Array | None = None, enough: float = np.inf
) -> float:
    """The dual value of P (n, n) after it was made feasible; -inf where no strictly feasible point is known.

    With the ``factor`` V (n, r) of P, violations are repaired where they are (``repair``) unless the value reaches
    ``enough`` without, since that costs two more eigenvalue problems.
    """
    n = len(target)
    if n == 1 and decay == 0:
        return target_entropy(p, w)
    flow = circulation(sp.csr_array(w[:, None] * target), w, decay)
    if flow is None:
        return -np.inf
    laplacian = laplacian_of(flow).toarray()
    slack = (laplacian + laplacian.T) / 2
    if decay == 0:
        p = with_column_sums(p, w, w @ target)
    try:
        value, worst = _mixed(target, w, decay, p, laplacian, slack)
    except LinAlgError:  # Lap(b) is singular to rounding: weights of all sizes
        return -np.inf
    if factor is None or worst <= 0 or value >= enough:
        return value
    try:
        repaired = _repaired(target, w, decay, p, flow, factor)
        return max(value, _mixed(target, w, decay, repaired, laplacian, slack)[0])
    except LinAlgError:  # arcs of one direction, or a softmax without mass on the edges
        return value


def _mixed(target: Array, w: Array, decay: float, p: Array, laplacian: Array, slack: Array) -> tuple[float, float]:
    """The entropy of the feasible mixture of P, and the largest generalised eigenvalue that asked for it."""
    last = len(target) - 1
    metric = _with_ground(slack, decay)
    worst = float(
        symmetric_eigen(_excess(target, w, decay, p), metric, eigvals_only=True, subset_by_index=[last, last])[0]
    )
    mix = mixing(worst)
    towards = target + inverse_weight(w)[:, None] * laplacian
    return target_entropy((1 - mix) * p + mix * towards, w), worst


def _repaired(target: Array, w: Array, decay: float, p: Array, flow: sp.csr_array, factor: Array) -> Array:
    edges = sp.triu(flow.minimum(flow.T), k=1).tocoo()
    i, j = edges.row, edges.col
    b = np.minimum(edges.data, np.minimum(w[i] * p[i, j], w[j] * p[j, i]))
    n = len(w)
    weighted = sp.coo_array((b, (i, j)), shape=(n, n))
    metric = _with_ground(laplacian_of(sp.csr_array(weighted + weighted.T)).toarray(), decay)
    excess, modes = symmetric_eigen(_excess(target, w, decay, p), metric, subset_by_value=(0.0, np.inf))
    moved = local_repair(b, ((factor[i] - factor[j]) ** 2).sum(axis=1), modes[i] - modes[j], excess)
    repaired, each = p.copy(), inverse_weight(w)
    np.add.at(repaired, (i, j), -moved * each[i])
    np.add.at(repaired, (j, i), -moved * each[j])
    repaired[np.diag_indices(n)] += (np.bincount(i, moved, n) + np.bincount(j, moved, n)) * each
    return repaired


def _excess(target: Array, w: Array, decay: float, p: Array) -> Array:
    s = symmetric_residual(target, p, w)
    if decay == 0:
        return without_constant(s)
    s[np.diag_indices(len(s))] -= decay
    return s


def _with_ground(slack: Array, decay: float) -> Array:
    """M: with l I, or with weight on the constant, along which S is zero without decay."""
    if decay == 0:
        return slack + float(slack.diagonal().mean()) / len(slack)
    return slack + decay * np.eye(len(slack))


def symmetric_residual(target: Array, p: Array, w: Array) -> Array:
    """S = sym(diag(w) (T - P))."""
    r = w[:, None] * (target - p)
    return np.asarray((r + r.T) / 2)


def without_constant(s: Array) -> Array:
    """J S J: the constant mode carries no constraint when K is free along 11'."""
    s = s - s.mean(axis=0)
    return np.asarray(s - s.mean(axis=1, keepdims=True))
