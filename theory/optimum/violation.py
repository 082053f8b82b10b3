"""How far a point misses the optimality conditions, on the whole matrix or by blocks."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigvalsh

from ..checks import Array
from ..softmax import row_softmax
from .certificate import symmetric_residual, without_constant
from .objectives import DENSE_SPECTRUM, Objective


def tied_violation(objective: Objective, factor: Array, bias: Array) -> float:
    """The largest of max(0, eig(S) - l), ||(S - l I) V|| / max(1, ||V||) and the column-sum error (l = 0).

    Above DENSE_SPECTRUM nodes without the eigenvalues of S, which the duality gap bounds there.
    """
    n, decay, w = objective.n, objective.decay, objective.w
    size = max(1.0, float(np.linalg.norm(factor)))
    if n > DENSE_SPECTRUM:
        b = bias + (factor**2).sum(axis=1) / 2 if objective.masses else bias[:0]
        _, df, da = objective.evaluate(factor, b)
        df = df + da[:, None] * factor if objective.masses else df
        return max(float(np.linalg.norm(df)) / 2 / size, float(np.abs(da).max(initial=0.0)))
    target = objective.target.dense()
    p = row_softmax(factor @ factor.T + bias)
    s = symmetric_residual(target, p, w)
    stationarity = float(np.linalg.norm(s @ factor - decay * factor)) / size
    columns = float(np.abs(w @ (target - p)).max()) if decay == 0 else 0.0
    top = float(eigvalsh(without_constant(s) if decay == 0 else s, subset_by_index=[n - 1, n - 1])[0])
    return max(0.0, top - decay, stationarity, columns)


def untied_violation(objective: Objective, factor: Array) -> float:
    """The largest of max(0, ||R||_2 - l) and the stationarity residual; the latter alone above DENSE_SPECTRUM nodes."""
    _, df, _ = objective.evaluate(factor, np.zeros(0))
    stationarity = float(np.linalg.norm(df)) / max(1.0, float(np.linalg.norm(factor)))
    if objective.n > DENSE_SPECTRUM:
        return stationarity
    v, u = objective.halves(factor)
    r = objective.w[:, None] * (objective.target.dense() - row_softmax(v @ u.T))
    return max(0.0, float(np.linalg.norm(r, 2)) - objective.decay, stationarity)
