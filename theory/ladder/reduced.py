"""The flow of a net of any depth on the blocks of a graph's symmetry: exact on graphs of any size, for any R.

From E(0) = s I and W_l(0) = 0 with residual connections, W_l(0) = c I without, nothing leaves the coherent algebra of
the graph (``symmetry.block_flow``): a path-star costs the same for any number of arms, a hypercube of 2^d nodes d + 1
numbers a matrix. Objective L + (l/2) (||E||^2 + sum_l ||W_l||^2), ||U||^2 added where untied: Node2Vec, L = 0 tied, has
the decay l/2 in the convention of ``reduced_flow``. Untied, E = [s I, 0] and U = [0, s I] (logits zero at the start).
Time is step size times steps, float64. Row weights may differ between node types only. Source: ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_flag, check_whole_number
from ..flow.integrator import check_times, check_tolerance
from ..flow.starts import check_scale
from ..softmax import check_row_weight, check_weight_decay
from ..symmetry.block_flow import RELATIVE_TOLERANCE, BlockFlow, integrate_blocks
from ..symmetry.blocks import BlockAlgebra
from ..symmetry.flow import ReducedTrajectory
from ..symmetry.problem import check_colour_target
from .gram_flow import VANISHING
from .spectral import DEEPEST

STATE_LIMIT = 4000  # numbers: the integrator's Jacobian is dense, and is made of as many evaluations


@dataclass(frozen=True, eq=False)
class ReducedLadderTrajectory(ReducedTrajectory):
    """A ``ReducedTrajectory`` (``blocks``: Gram matrix of E) with ``layers``, W per block (k, L, m_b, m_b), m_b = d_b
    or 2 d_b untied, and ``asymmetry`` (k,) = ||R - R'|| / ||R|| over all pairs of nodes."""

    layers: tuple[Array, ...]
    asymmetry: Array


def reduced_ladder_flow(
    algebra: BlockAlgebra,
    target: ArrayLike,
    depth: int,
    times: ArrayLike,
    *,
    init_scale: float,
    residual: bool = True,
    inner_scale: float | None = None,
    tied: bool = True,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> ReducedLadderTrajectory:
    """The flow of L = ``depth`` >= 0 layers at ``times`` (k,), for a target (q,) on the algebra's colours.

    ``init_scale`` s > 0; ``inner_scale`` c > 0 without residual connections, None for the balanced s / sqrt(2) (tied)
    or s; ``row_weight`` (r,) per node type. Raises ValueError for bad arguments or a state of more than STATE_LIMIT
    numbers, RuntimeError when the integrator gives up.

    >>> from fiedler.theory import path_star_symmetry, reduced_ladder_flow
    >>> star = path_star_symmetry(200_000, 5)  # 800,001 nodes
    >>> flow = reduced_ladder_flow(star.algebra, star.target(), 1, [0, 0.1, 1.0], init_scale=1.0)
    >>> (flow.loss / star.algebra.n).round(3).tolist()
    [13.592, 11.669, 0.527]
    """
    t, decay, s = check_times(times), check_weight_decay(weight_decay), check_scale(init_scale, "init_scale")
    x = check_colour_target(algebra, target)
    w = check_row_weight(row_weight, len(algebra.type_sizes))
    layers, one = check_whole_number(depth, "depth", 0, DEEPEST), check_flag(tied, "tied")
    check_tolerance(rtol, "rtol")
    inner = inner_start(s, check_flag(residual, "residual"), inner_scale, one)
    size = (1 + layers) * sum(d**2 for d in algebra.dimensions) * (1 if one else 4)
    if size > STATE_LIMIT:
        raise ValueError(f"depth {layers} makes a state of {size} numbers, above the limit of {STATE_LIMIT}")
    system = BlockFlow(algebra, x, w, decay, one, depth=layers, skip=bool(residual))
    states = integrate_blocks(system, system.start(s, inner), t, rtol)
    z = system.logits(states)
    return ReducedLadderTrajectory(
        t,
        system.grams(states),
        np.array(algebra.multiplicity),
        z,
        np.array([system.loss(at_time) for at_time in z]),
        tuple(_stack(block, layers) for block in system.split(states)),
        _asymmetry(system, z),
    )


def inner_start(s: float, residual: bool, inner_scale: float | None, tied: bool) -> float:
    """The c of W_l(0) = c I: zero with residual connections, balanced when None without."""
    if residual:
        if inner_scale is not None:
            raise ValueError("inner_scale is for residual=False: with residual connections W = 0 at the start")
        return 0.0
    if inner_scale is None:
        return float(s * np.sqrt(0.5)) if tied else s
    return check_scale(inner_scale, "inner_scale")


def _stack(block: Array, depth: int) -> Array:
    m = block.shape[-1]
    return np.asarray(block[:, m:, :].reshape(len(block), depth, m, m))


def _asymmetry(system: BlockFlow, z: Array) -> Array:
    algebra, r = system.algebra, system.residual(z)
    size, apart = (np.sqrt(x**2 @ algebra.class_sizes) for x in (r, r - r[..., algebra.transpose]))
    least = VANISHING * np.sqrt((system.weight * system.target) ** 2 @ algebra.class_sizes)
    return np.asarray(np.where(size > least, apart / np.maximum(size, least), 0.0))
