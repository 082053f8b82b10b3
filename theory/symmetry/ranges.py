"""The range of an optimum's rank that a duality gap proves, on the blocks of a symmetry: ``optimum.rank`` per block.

Colour c of row type a carries the weighted mass N_a w_a k_c P_c, and v' M_b u = sum_c x_c v' B_b[c] u. With t_c the
error of log P_c, sum_c t_c^2 / E_c <= 1 for E_c = ``squared_error`` of that mass, so by Cauchy and Schwarz
(v' (M*_b - M_b) u)^2 <= sum_c E_c (v' B_b[c] u)^2 <= sum_ij v_i^2 u_j^2 E_ij, E_ij = sum_c E_c nnz(B_b[c]) B_b[c]_ij^2.
Untied, the blocks of Z and R take the places of those of M and S.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigvalsh

from ..checks import Array
from ..optimum.rank import RankRange, log_ratio_bounds, rank_at_least, slack_error, squared_error, usable_gap
from .blocks import NEGLIGIBLE
from .face import twin_blocks
from .problem import ReducedProblem


def block_rank_range(
    problem: ReducedProblem, blocks: tuple[Array, ...], z: Array, gap: float, magnitude: float
) -> RankRange:
    """The range for blocks M_b (untied: Z_b) of the whole algebra, logits ``z`` (q,) and a duality gap; ``magnitude``:
    the size of the objective."""
    algebra = problem.algebra
    mass, w = problem.masses(z), problem.row_weight[algebra.row_type]
    g = usable_gap(gap, magnitude)
    total = problem.total * problem.row_mass[algebra.row_type] * mass
    errors = squared_error(g, total)
    residual = w * (problem.target - mass / algebra.valency)
    slacks = algebra.to_blocks((residual + residual[algebra.transpose]) / 2 if problem.tied else residual)
    low = high = 0
    unresolved: list[tuple[float, int]] = []
    parts = zip(algebra.multiplicity, blocks, slacks, algebra.basis, twin_blocks(problem), strict=True)
    for b, (m, block, s, basis, twin) in enumerate(parts):
        constant = algebra.constant() if b == 0 else None
        if constant is not None:
            off = np.eye(len(block)) - np.outer(constant, constant)
            block = off @ block @ off
        least = 0 if twin else rank_at_least(block, _entry_errors(basis, errors), constant)
        if not twin and not least and problem.tied:
            least = int(_is_not_zero(block, basis, total, g, trivial=b == 0))
        most = least if twin else _at_most(problem, s, slack_error(g, w, m), trivial=b == 0)
        most = max(least, most)
        low, high = low + m * least, high + m * most
        if most > least:
            values = np.linalg.svd(block, compute_uv=False)
            unresolved += [(float(v), m) for v in values[least:] if v > NEGLIGIBLE * max(1.0, float(values[0]))]
    unresolved.sort(key=lambda pair: -pair[0])
    return RankRange(low, high, tuple(v for v, _ in unresolved), tuple(m for _, m in unresolved))


def _is_not_zero(block: Array, basis: Array, total: Array, gap: float, *, trivial: bool) -> bool:
    """Whether v' M*_b v > 0 is proved for the block's leading eigenvector or (but in the trivial block, where v must be
    orthogonal to the constant vector) one of its unit vectors v."""
    if not block.any() or not (total > 0).all():
        return False
    below, above = log_ratio_bounds(gap, total)
    leading = np.linalg.eigh(block)[1][:, -1]
    for v in (leading,) if trivial else (leading, *np.eye(len(block))):
        beta = np.einsum("i,cij,j->c", v, basis, v)
        least = np.where(beta > 0, below, above)
        used = np.abs(beta) > NEGLIGIBLE
        if float(v @ block @ v) + float(beta[used] @ least[used]) > 0:
            return True
    return False


def _at_most(problem: ReducedProblem, s: Array, error: float, *, trivial: bool) -> int:
    """The rank of a block that slacks known to ``error`` leave room for."""
    if not problem.tied:
        return int((np.linalg.svd(s, compute_uv=False) >= problem.decay - error).sum())
    if trivial:
        s = problem.frame.T @ s @ problem.frame
    return int((problem.decay - eigvalsh(s) <= error).sum()) if len(s) else 0


def _entry_errors(basis: Array, errors: Array) -> Array:
    present = np.abs(basis) > NEGLIGIBLE
    count = present.sum(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        terms = np.where(present, (errors * count)[:, None, None] * basis**2, 0.0)
    return np.asarray(terms.sum(axis=0))
