"""``optimum.certificate.tied_certificate`` on the blocks of a graph's symmetry: same quantities, no n x n matrix."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigvalsh, null_space

from ..checks import Array
from ..optimum.certificate import Certificate
from .blocks import BlockAlgebra
from .problem import ReducedProblem

SINKHORN_SWEEPS = 50  # the solver's column sums are right to about 1e-9; a few sweeps bring them to rounding
CONNECTED = 1e-13  # smallest Laplacian eigenvalue that is not rounding, relative to the largest weight


def reduced_certificate(problem: ReducedProblem, factors: list[Array], p: Array, loss: float) -> Certificate:
    """The certificate of blocks M_b = F_b F_b' with softmax p (q,) and loss L. Column sums count relative to their
    size, which grows with n at a hub."""
    algebra, decay = problem.algebra, problem.decay
    weight = problem.row_weight[algebra.row_type]
    s = _residual_blocks(problem, p)
    top = max(float(eigvalsh(b)[-1]) for b in s if len(b))
    counts = [float(m) for m in algebra.multiplicity]
    miss = sum(m * float(((b @ f - decay * f) ** 2).sum()) for m, b, f in zip(counts, s, factors, strict=True))
    energy = sum(m * float((f**2).sum()) for m, f in zip(counts, factors, strict=True))
    columns = 0.0
    if decay == 0:
        wanted, attained = column_sums(algebra, weight * problem.target), column_sums(algebra, weight * p)
        columns = float((np.abs(wanted - attained) / np.maximum(1.0, wanted)).max())
    violation = max(0.0, top - decay, np.sqrt(miss) / max(1.0, np.sqrt(energy)), columns)
    return Certificate(float(violation), loss + decay * energy - _dual_value(problem, p))


def connectivity(algebra: BlockAlgebra, target: Array, row_weight: Array) -> float:
    """Smallest eigenvalue, away from the constant vector, of the Laplacian of the weights min(w_i T_ij, w_j T_ji); zero
    when they leave the graph in pieces."""
    laplacian = _laplacian(algebra, target, row_weight)
    first, *rest = algebra.to_blocks(laplacian)
    frame = null_space(algebra.constant()[None])
    least = min((float(eigvalsh(b)[0]) for b in (frame.T @ first @ frame, *rest) if len(b)), default=np.inf)
    return least if least > CONNECTED * float(np.abs(laplacian).max()) else 0.0


def column_sums(algebra: BlockAlgebra, x: Array) -> Array:
    """Column sums of sum_c x_c A_c, one a type (r,)."""
    sums = np.bincount(algebra.column_type, weights=algebra.class_sizes * x, minlength=len(algebra.type_sizes))
    return np.asarray(sums / algebra.type_sizes)


def row_sums(algebra: BlockAlgebra, x: Array) -> Array:
    """Row sums of sum_c x_c A_c, one a type (r,)."""
    sums = np.bincount(algebra.row_type, weights=algebra.valency * x, minlength=len(algebra.type_sizes))
    return np.asarray(sums, dtype=np.float64)


def _residual_blocks(problem: ReducedProblem, p: Array) -> tuple[Array, ...]:
    """The blocks of S = sym(diag(w) (T - P)), without the constant vector when there is no decay."""
    algebra = problem.algebra
    r = problem.row_weight[algebra.row_type] * (problem.target - p)
    first, *rest = algebra.to_blocks((r + r[algebra.transpose]) / 2)
    if problem.decay == 0:
        off = np.eye(len(first)) - np.multiply.outer(algebra.constant(), algebra.constant())
        first = off @ first @ off
    return tuple((b + b.T) / 2 for b in (first, *rest))


def _dual_value(problem: ReducedProblem, p: Array) -> float:
    algebra, target, w, decay = problem.algebra, problem.target, problem.row_weight, problem.decay
    weight = w[algebra.row_type]
    if decay == 0:
        p = _with_column_sums(algebra, p, w, column_sums(algebra, weight * target))
    s = _residual_blocks(problem, p)
    excess = max(0.0, max(float(eigvalsh(b)[-1]) for b in s if len(b)) - decay)
    if decay > 0:
        mix, feasible = excess / (decay + excess), target
    else:
        gap = connectivity(algebra, target, w)
        mix = excess / (gap + excess)
        feasible = target + _laplacian(algebra, target, w) / weight
    p = (1 - mix) * p + mix * feasible
    positive = np.where(p > 0, p, 1.0)
    return float(-((weight * algebra.class_sizes) @ (p * np.log(positive))))


def _with_column_sums(algebra: BlockAlgebra, p: Array, w: Array, wanted: Array) -> Array:
    """The row-stochastic element near P with these column sums: see ``optimum.certificate._with_column_sums``."""
    weight = w[algebra.row_type]
    for _ in range(SINKHORN_SWEEPS):
        received = column_sums(algebra, weight * p)
        p = p * (wanted / np.where(received > 0, received, wanted))[algebra.column_type]
        p = p / row_sums(algebra, p)[algebra.row_type]
    received = column_sums(algebra, weight * p)
    plan = weight * p * np.minimum(1.0, wanted / np.where(received > 0, received, wanted))[algebra.column_type]
    rows_left = np.maximum(w - row_sums(algebra, plan), 0.0)
    columns_left = np.maximum(wanted - column_sums(algebra, plan), 0.0)
    missing = float(algebra.type_sizes @ columns_left)
    if missing > 0:
        plan = plan + rows_left[algebra.row_type] * columns_left[algebra.column_type] / missing
    return np.asarray(plan / row_sums(algebra, plan)[algebra.row_type])


def _laplacian(algebra: BlockAlgebra, target: Array, w: Array) -> Array:
    """Combinatorial Laplacian (q,) of the weights min(w_i T_ij, w_j T_ji): the strictly feasible dual point."""
    flow = w[algebra.row_type] * target
    weights = np.minimum(flow, flow[algebra.transpose])
    laplacian = -weights
    laplacian[algebra.identity] += row_sums(algebra, weights)[algebra.row_type[algebra.identity]]
    return np.asarray(laplacian)
