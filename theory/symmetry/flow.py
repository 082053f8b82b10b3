"""Exact gradient flow of Node2Vec on the blocks of a graph's symmetry, from the infinite-width start.

From K(0) = s^2 I the flow never leaves the coherent algebra: softmax is entrywise exponentials and row sums, and the
algebra is closed under products. With factors of the blocks, K_b = F_b F_b' and F_b(0) = s I,

    tied:    dF_b/dt = (S_b - 2 l) F_b,                    S = R + R',  R = diag(w) (T - P)
    untied:  dV_b/dt = R_b U_b - l V_b,  dU_b/dt = R_b' V_b - l U_b,     V_b(0) = [s I, 0],  U_b(0) = [0, s I],

P from the logits' colours. Time is step size times steps, as in theory.flow; the cost depends on the blocks, not on n.
It is the case L = 0 of ``symmetry.block_flow``, which integrates it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Array, check_flag
from ..flow.integrator import check_times, check_tolerance
from ..flow.starts import check_scale
from ..softmax import check_row_weight, check_weight_decay
from .block_flow import RELATIVE_TOLERANCE, BlockFlow, integrate_blocks
from .blocks import BlockAlgebra
from .problem import check_colour_target


@dataclass(frozen=True, eq=False)
class ReducedTrajectory:
    """``times`` (k,), ascending; ``blocks``: V's Gram matrix per block, (k, d_b, d_b) each, repeated ``multiplicity``
    times; ``logits`` (k, q), one value a colour; ``loss`` (k,), summed over nodes, without weight decay."""

    times: Array
    blocks: tuple[Array, ...]
    multiplicity: NDArray[np.int64]
    logits: Array
    loss: Array

    def eigenvalues(self, index: int = -1) -> tuple[Array, NDArray[np.int64]]:
        """Eigenvalues of V V' at one time, descending, blocks apart, with their multiplicities."""
        each = [np.linalg.eigvalsh(b[index]) for b in self.blocks]
        values = np.concatenate(each)
        counts = np.concatenate([np.full(len(v), m) for v, m in zip(each, self.multiplicity, strict=True)])
        order = np.argsort(-values, kind="stable")
        return values[order], counts[order]


def reduced_flow(
    algebra: BlockAlgebra,
    target: ArrayLike,
    times: ArrayLike,
    *,
    init_scale: float,
    tied: bool = True,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> ReducedTrajectory:
    """The flow at ``times`` from K(0) = s^2 I, s = ``init_scale`` > 0, for a target (q,) on the algebra's colours.

    Untied, V and U start orthogonal to each other (logits zero). ``row_weight`` (r,) per node type. Raises ValueError
    for bad times, scale, decay or weights, RuntimeError when the integrator gives up.
    """
    t, decay, s = check_times(times), check_weight_decay(weight_decay), check_scale(init_scale, "init_scale")
    x = check_colour_target(algebra, target)
    w = check_row_weight(row_weight, len(algebra.type_sizes))
    check_tolerance(rtol, "rtol")
    one = check_flag(tied, "tied")
    system = BlockFlow(algebra, x, w, 2 * decay if one else decay, one)
    states = integrate_blocks(system, system.start(s), t, rtol)
    z = system.logits(states)
    loss = np.array([system.loss(at_time) for at_time in z])
    return ReducedTrajectory(t, system.grams(states), np.array(algebra.multiplicity), z, loss)
