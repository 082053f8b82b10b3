"""Where untied logits go without weight decay: the direction of least nuclear norm with margin one.

    minimise ||Z||_*  over  C = { Z : Z_ij = m_i for j in the support of row i, Z_ik <= m_i - 1 outside it, any m_i }.

As the weight decay vanishes, the untied optimum diverges along such a Z (regularisation path of exponential-tailed
losses: Rosset, Zhu and Hastie 2004; not proved again here). The probabilities within a support only shift logits by
finite amounts, so that it depends on the support alone. Convex; the solution need not be unique.

Dual: maximise sum_{i, k outside} |G_ik|  over  ||G||_2 <= 1, rows of G summing to zero, G <= 0 outside the support.
Solved by the alternating direction method of multipliers: singular values are thresholded, rows projected onto C
exactly. Both ends of the gap are feasible points, whatever the iteration did.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Array
from ..softmax import check_target

NODE_LIMIT = 400  # a singular value decomposition an iteration: minutes there
ITERATIONS = 20_000
GOAL = 1e-7  # duality gap, relative to the nuclear norm, at which the iteration stops
ACCEPTED = 1e-4  # relative duality gap above which there is no answer
CHECK_EVERY = 25
RELAXATION = 1.6
BALANCE = 5.0  # ratio of the residuals at which the penalty is doubled or halved


@dataclass(frozen=True, eq=False)
class MaxMarginLogits:
    """``logits`` (n, n): feasible, margins exactly one where they bind. ``singular_values``: the non-zero ones of the
    thresholded iterate, descending. ``nuclear_norm`` of ``logits``; ``gap``: that minus a feasible dual value, an upper
    bound of what any other Z could save."""

    logits: Array
    singular_values: Array
    nuclear_norm: float
    gap: float
    iterations: int

    @property
    def rank(self) -> int:
        return len(self.singular_values)


def untied_max_margin(target: ArrayLike) -> MaxMarginLogits:
    """The max-margin direction for the support of a row-stochastic ``target`` (n, n), n <= 400; see the module.

    A target without zeros has no direction: Z = 0. ``closed_forms.untied_cycle_max_margin`` has cycles exactly.
    Raises ValueError for a bad target or too many nodes, RuntimeError when the relative gap stays above 1e-4.
    Source: arXiv 2510.26745's untied runs diverge along it; the program is standard.
    """
    t = check_target(target)
    n = len(t)
    if n > NODE_LIMIT:
        raise ValueError(f"the max-margin direction is solved for up to {NODE_LIMIT} nodes, got {n}")
    support = t > 0
    if support.all():
        return MaxMarginLogits(np.zeros((n, n)), np.zeros(0), 0.0, 0.0, 0)
    rho, u = 1.0, np.zeros((n, n))
    x = _project(np.zeros((n, n)), support)
    best, lower = (np.inf, x, np.zeros(0)), 0.0
    for step in range(1, ITERATIONS + 1):
        left, values, right = np.linalg.svd(x - u)
        thresholded = np.maximum(values - 1.0 / rho, 0.0)
        z = (left * thresholded) @ right
        relaxed = RELAXATION * z + (1 - RELAXATION) * x
        before, x = x, _project(relaxed + u, support)
        u = u + relaxed - x
        if step % CHECK_EVERY and step < ITERATIONS:
            continue
        norm = float(np.linalg.svd(x, compute_uv=False).sum())
        if norm < best[0]:
            best = (norm, x, thresholded[thresholded > 0])
        lower = max(lower, float(-_dual_point(-rho * u, support)[~support].sum()))
        if best[0] - lower <= GOAL * best[0]:
            break
        rho, u = _balance(rho, u, float(np.linalg.norm(z - x)), rho * float(np.linalg.norm(x - before)))
    gap = best[0] - lower
    if gap > ACCEPTED * best[0]:
        raise RuntimeError(
            f"the max-margin direction was not found to better than {gap / best[0]:.1e} in {ITERATIONS} steps; "
            "use a smaller graph"
        )
    return MaxMarginLogits(best[1], best[2], best[0], gap, step)


def _project(y: Array, support: NDArray[np.bool_]) -> Array:
    """The nearest point of C. A row's common level m solves |S| (m - mean_S y) = sum_{k outside} (y_k + 1 - m)_+ : m is
    the mean over S and the j largest y_k + 1 outside, for the first j at which the next one does not exceed it."""
    inside = support.sum(axis=1)
    outside = np.sort(np.where(support, -np.inf, y + 1.0), axis=1)[:, ::-1]
    filled = np.where(np.isfinite(outside), outside, 0.0)
    sums = np.where(support, y, 0.0).sum(axis=1)[:, None] + np.pad(np.cumsum(filled, axis=1), ((0, 0), (1, 0)))
    levels = sums / (inside[:, None] + np.arange(y.shape[1] + 1))
    above = np.pad(outside, ((0, 0), (0, 1)), constant_values=-np.inf) > levels
    first = np.argmin(above, axis=1)
    level = levels[np.arange(len(y)), first][:, None]
    return np.where(support, level, np.minimum(y, level - 1.0))


def _dual_point(g: Array, support: NDArray[np.bool_]) -> Array:
    """The dual feasible point next to G: clipped outside, rows evened out inside, scaled."""
    clipped = np.where(support, g, np.minimum(g, 0.0))
    excess = clipped.sum(axis=1) / support.sum(axis=1)
    even = np.where(support, clipped - excess[:, None], clipped)
    return np.asarray(even / max(1.0, float(np.linalg.norm(even, 2))))


def _balance(rho: float, u: Array, primal: float, dual: float) -> tuple[float, Array]:
    """The penalty that keeps both residuals alike; u is the multiplier over rho."""
    if primal > BALANCE * dual:
        return 2.0 * rho, u / 2.0
    if dual > BALANCE * primal:
        return rho / 2.0, 2.0 * u
    return rho, u
