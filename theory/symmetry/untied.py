"""The certified optimum of untied Node2Vec on the blocks of a graph's symmetry: its cost does not grow with n.

    minimise L(Z) + l ||Z||_*,   Z = sum_c x_c A_c  with blocks Z_b (d_b, d_b) repeated m_b times:
    ||Z||_* = sum_b m_b ||Z_b||_*,   ||Z||_2 = max_b ||Z_b||_2.

Averaging over the coherent algebra lowers neither side's convexity nor raises the objective (the nuclear norm is convex
and unchanged by the unitaries of the commutant), so some optimum lies in the algebra; with l > 0 conditions and
certificate are those of ``theory.untied`` over the blocks. Without decay the infimum is the target's entropy: attained,
by Z = log T with row means removed, exactly when the target has no zero; otherwise the logits diverge.
Limits: row weights may only differ between node types.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Array
from ..optimum.certificate import Certificate
from ..optimum.rank import RankRange
from ..softmax import check_row_weight, check_weight_decay
from .blocks import BlockAlgebra
from .certificate import row_sums
from .face import find_face
from .factor_descent import descend
from .optimum import ACCEPTED, UNKNOWNS_LIMIT, complementary
from .problem import ReducedProblem, check_colour_target
from .ranges import block_rank_range

ZERO_VALUE = 1e-10  # singular values below this part of the largest are rounding of the exact zeros of the factors


@dataclass(frozen=True, eq=False)
class ReducedUntiedOptimum:
    """The optimal logits on the blocks. ``logits`` (q,): Z on the colours, or None where the infimum is not attained.
    ``singular_values`` (descending) and ``multiplicities``: those of Z that are not zero. ``rank_range``: what is
    proved of their number (none where the logits diverge). ``loss``: L, without weight decay, summed over nodes."""

    logits: Array | None
    loss: float
    weight_decay: float
    total_weight: float
    singular_values: Array
    multiplicities: NDArray[np.int64]
    rank_range: RankRange
    certificate: Certificate
    method: str

    @property
    def attained(self) -> bool:
        return self.logits is not None

    @property
    def loss_per_node(self) -> float:
        """L / sum_i w_i."""
        return self.loss / self.total_weight

    @property
    def rank(self) -> int:
        """Rank of the logits."""
        return int(self.multiplicities.sum())


def reduced_untied_optimum(
    algebra: BlockAlgebra, target: ArrayLike, *, weight_decay: float = 0.0, row_weight: ArrayLike | None = None
) -> ReducedUntiedOptimum:
    """The certified untied optimum for a target (q,) on the algebra's colours; ``row_weight`` (r,) per node type.

    Raises ValueError for a target whose rows do not sum to one or too many unknowns; RuntimeError when no certified
    optimum is found.
    """
    decay, target = check_weight_decay(weight_decay), check_colour_target(algebra, target)
    w = check_row_weight(row_weight, len(algebra.type_sizes))
    if decay == 0:
        return _without_decay(algebra, target, w)
    unknowns = untied_unknowns(algebra)
    if unknowns > UNKNOWNS_LIMIT:
        raise ValueError(f"the blocks hold {unknowns} numbers, above {UNKNOWNS_LIMIT}: use the general optimum")
    problem = ReducedProblem(algebra, target, w, decay, tied=False)
    factors = descend(problem, _aligned_start(problem))[0]
    # No block of Z can have a singular value where ||R_b|| < l: those directions are dropped from the factors.
    slopes = problem.slopes(problem.gradient(problem.join([f @ f.T for f in factors], np.zeros(0))))
    factors = [complementary(f @ f.T, z) for f, z in zip(factors, slopes, strict=True)]
    factors, _, proved = find_face(problem, factors, np.zeros(0))
    halves = [(f[: len(f) // 2], f[len(f) // 2 :]) for f in factors]
    blocks = tuple(v @ u.T for v, u in halves)
    z = algebra.to_colours(blocks)
    loss = problem.loss(z) * problem.total
    certificate = _certificate(problem, halves, z, loss)
    if certificate.max_violation > ACCEPTED:
        reached = f"KKT violation {certificate.max_violation:.1e}"
        raise RuntimeError(f"no certified optimum on the blocks ({reached}); use a larger weight decay")
    values, counts = _singular_values(algebra, blocks)
    method, rank = "descent over factors of the blocks of the symmetry", int(counts.sum())
    ranks = RankRange(rank, rank)
    if not proved:
        ranks = block_rank_range(problem, blocks, z, certificate.duality_gap, loss)
    return ReducedUntiedOptimum(z, loss, decay, problem.total, values, counts, ranks, certificate, method)


def untied_unknowns(algebra: BlockAlgebra) -> int:
    """Numbers in the blocks of twice the size, which the untied problem is solved over."""
    return sum(d * (2 * d + 1) for d in algebra.dimensions)


def _without_decay(algebra: BlockAlgebra, target: Array, w: Array) -> ReducedUntiedOptimum:
    sizes, weight = algebra.class_sizes, w[algebra.row_type]
    total = float(algebra.type_sizes @ w)
    floor = _entropy(algebra, w, target)
    if (target <= 0).any():
        method = "closed form: entropy of the target, approached as the logits diverge"
        nothing, ranks, certificate = np.zeros(0, dtype=np.int64), RankRange(0, 0), Certificate(0.0, 0.0)
        return ReducedUntiedOptimum(None, floor, 0.0, total, np.zeros(0), nothing, ranks, certificate, method)
    z = np.log(target)
    z = z - (row_sums(algebra, z) / algebra.n)[algebra.row_type]
    lse = np.log(row_sums(algebra, np.exp(z)))
    gap = float((weight * sizes) @ (target * (lse[algebra.row_type] - z))) - floor
    values, counts = _singular_values(algebra, algebra.to_blocks(z))
    certificate = Certificate(abs(gap), gap)
    method, rank = "closed form: log of the target", int(counts.sum())
    # A singular value that rounds to zero is not proved to be zero; only the constant vector's is.
    ranks = RankRange(rank, algebra.n - 1)
    return ReducedUntiedOptimum(z, floor, 0.0, total, values, counts, ranks, certificate, method)


def _aligned_start(problem: ReducedProblem) -> list[Array]:
    """V_b over U_b, (2 d_b, d_b): singular vectors of the residual at Z = 0, so that Z_b starts as its polar factor.
    (V = U would stay tied on a graph with a symmetric residual.) Z_b has rank at most d_b, the width."""
    algebra = problem.algebra
    residual = problem.row_weight[algebra.row_type] * (problem.target - 1.0 / algebra.n)
    start = []
    for block in algebra.to_blocks(residual):
        left, _, right = np.linalg.svd(block)
        start.append(np.concatenate([left, right.T]))
    return start


def _certificate(problem: ReducedProblem, halves: list[tuple[Array, Array]], z: Array, loss: float) -> Certificate:
    """``optimum.certificate.untied_certificate`` over the blocks: V_b, U_b (d_b, r_b) in ``halves``, logits z (q,)."""
    algebra, decay, w = problem.algebra, problem.decay, problem.row_weight
    p = problem.masses(z) / algebra.valency
    residual = algebra.to_blocks(w[algebra.row_type] * (problem.target - p))
    excess = max(0.0, max(float(np.linalg.norm(r, 2)) for r in residual) - decay)
    miss = energy = 0.0
    for m, r, (v, u) in zip(algebra.multiplicity, residual, halves, strict=True):
        miss += m * float(((r @ u - decay * v) ** 2).sum() + ((r.T @ v - decay * u) ** 2).sum())
        energy += m * float((v**2).sum() + (u**2).sum())
    violation = max(excess, np.sqrt(miss) / max(1.0, np.sqrt(energy)))
    mix = excess / (decay + excess)
    dual = _entropy(algebra, w, (1 - mix) * p + mix * problem.target)
    return Certificate(float(violation), loss + decay / 2 * energy - dual)


def _entropy(algebra: BlockAlgebra, w: Array, p: Array) -> float:
    """sum_i w_i H(P_i)."""
    positive = np.where(p > 0, p, 1.0)
    return float(-((w[algebra.row_type] * algebra.class_sizes) @ (p * np.log(positive))))


def _singular_values(algebra: BlockAlgebra, blocks: tuple[Array, ...]) -> tuple[Array, NDArray[np.int64]]:
    each = [np.linalg.svd(b, compute_uv=False) for b in blocks]
    values = np.concatenate(each)
    counts = np.concatenate([np.full(len(v), m) for v, m in zip(each, algebra.multiplicity, strict=True)])
    keep = values > ZERO_VALUE * max(1.0, float(values.max(initial=0.0)))
    order = np.argsort(-values[keep], kind="stable")
    return values[keep][order], counts[keep][order].astype(np.int64)
