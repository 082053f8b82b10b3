"""How far a point misses the optimality conditions, on the whole matrix or by blocks."""

from __future__ import annotations

import numpy as np

from ..checks import Array
from ..softmax import row_softmax
from .certificate import kkt_violation
from .objectives import DENSE_SPECTRUM, Objective


def tied_violation(objective: Objective, factor: Array, bias: Array) -> float:
    """The largest of max(0, eig(S) - l), ||(S - l I) V|| / max(1, ||V||) and the column-sum error (l = 0).

    Above DENSE_SPECTRUM nodes without the eigenvalues of S, which the duality gap bounds there.
    """
    if objective.n > DENSE_SPECTRUM:
        size = max(1.0, float(np.linalg.norm(factor)))
        b = bias + (factor**2).sum(axis=1) / 2 if objective.masses else bias[:0]
        _, df, da = objective.evaluate(factor, b)
        df = df + da[:, None] * factor if objective.masses else df
        return max(float(np.linalg.norm(df)) / 2 / size, float(np.abs(da).max(initial=0.0)))
    p = row_softmax(factor @ factor.T + bias)
    return kkt_violation(objective.target.dense(), objective.w, objective.decay, factor, p)


def untied_violation(objective: Objective, factor: Array) -> float:
    """The largest of max(0, ||R||_2 - l) and the stationarity residual; the latter alone above DENSE_SPECTRUM nodes."""
    _, df, _ = objective.evaluate(factor, np.zeros(0))
    stationarity = float(np.linalg.norm(df)) / max(1.0, float(np.linalg.norm(factor)))
    if objective.n > DENSE_SPECTRUM:
        return stationarity
    r = objective.residual(objective.softmax(factor, np.zeros(0)))
    return max(0.0, float(np.linalg.norm(r, 2)) - objective.decay, stationarity)
