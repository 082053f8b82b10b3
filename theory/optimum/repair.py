"""What makes a nearly feasible point of the tied dual feasible where it is not, and leaves it alone elsewhere.

Mixing all of P with a strictly feasible point (``feasible``) costs every node what the worst direction asks for. Here
mass moves from neighbours to the node itself along some edges only: P + W^-1 Lap(m b), b_ij <= w_i P_ij, w_j P_ji, and
0 <= m_ij < 1, keeps the sums of rows and columns and lowers S by Lap(m b). With (S - l I) x_k = t_k M x_k, M = Lap(b)
(+ l I), x_k' M x_k = 1, the violation is the sum of t_k M x_k x_k' M over t_k > 0, and

    t (M x)(M x)' <= Lap(m b)  where  m_e = t |y_e| / sqrt(c_e) sum_e' |y_e'| sqrt(c_e'),  y_e = sqrt(b_e) (x_i - x_j)

(by Cauchy's inequality, for M = Lap(b)). The entropy falls by sum m_e c_e, c_e = b_e |v_i - v_j|^2, to first order,
and these m_e are those of least cost. What all directions have in common is left to the mixture. The caller checks what
is left: nothing is assumed of the accuracy of t and x.
"""

from __future__ import annotations

import numpy as np

from ..checks import Array

MOST = 0.9  # of an edge's b that may be moved
CHEAPEST = 1e-12  # of the mean cost of an edge: two nodes at one place


def local_repair(conductance: Array, squared_distance: Array, differences: Array, excess: Array) -> Array:
    """m b (e,) for edges with b ``conductance`` and |v_i - v_j|^2 (e,), ``differences`` x_i - x_j (e, k) of vectors
    with t ``excess`` (k,) > 0."""
    if len(excess) == 0 or len(conductance) == 0:
        return np.zeros_like(conductance)
    cost = conductance * squared_distance
    cost = np.maximum(cost, CHEAPEST * max(float(cost.mean()), 1e-300))
    flow = np.abs(np.sqrt(conductance)[:, None] * differences)
    weight = (flow * np.sqrt(cost)[:, None]).sum(axis=0)
    # The part of each t above a common level is repaired along its edges; the level is the caller's mixture.
    levels = np.append(0.0, excess)
    above = np.maximum(excess - levels[:, None], 0.0)
    level = levels[int(np.argmin(levels * cost.sum() + above @ weight**2))]
    moved = flow @ (np.maximum(excess - level, 0.0) * weight) / np.sqrt(cost)
    return np.asarray(np.minimum(moved, MOST) * conductance)
