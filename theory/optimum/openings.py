"""Directions in which the optimality conditions are violated, and how far a step along them should go.

Tied: eigenvectors x of S with an eigenvalue above l; K + h xx' changes row i of the logits by h x_i x, whose variance
under P_i is the curvature. Untied: singular vectors (x, y) of R with a value above l, logits + h xy'.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh, svds

from ..checks import Array
from .certificate import without_constant
from .feasible import DenseSoftmax, Softmax
from .objectives import Objective, TiedObjective
from .sparse_dual import residual_products, sparse_softmax
from .threads import symmetric_eigen

# S may exceed l I (or a singular value of R exceed l) by this much, per unit of mean row weight, before a new direction
# is opened: an order below the 1e-7 that certificates promise.
LEVEL = 1e-8
COMPARABLE = 4.0  # energy of a column beside the step, up to which it may be the one that grows
AT_ONCE = 24  # directions looked for in one call by Lanczos' method
FOUND = 0.1  # of the step: a factor that holds this much of a direction is growing along it already


def openings(objective: Objective, f: Array, b: Array, most: int, *, dense: bool, least: float = 0.0) -> Array | None:
    """Columns (rows of F, k), k <= ``most``, along which no column of F (they are orthogonal) goes and a step lowers
    the objective, by ``least`` or more; None at a global optimum and where F has all of them."""
    level = objective.decay + LEVEL * objective.scale / objective.n
    tied = isinstance(objective, TiedObjective)
    found = (_dense if dense else _sparse)(objective, f, b, level, most)
    if found is None:
        return None
    values, x, y, p = found
    curvature = _curvature(objective.w, p, x, y)
    excess = values - objective.decay
    h = np.minimum(excess / np.maximum(curvature, excess), 1.0)
    direction = x if tied else np.concatenate([x, y])
    # A large column that misses orthogonality to x by a little does not grow along it.
    small = (f**2).sum(axis=0)[:, None] <= COMPARABLE * h
    held = (((f.T @ direction) ** 2) * small).sum(axis=0) / (1 if tied else 4)
    new = (held < FOUND * h) & (h * excess / 2 >= least)
    if not new.any():
        return None
    return np.asarray(direction[:, new] * np.sqrt(h[new] / max(1, int(new.sum()) if len(h) < 4 else 2)))


def fading(objective: Objective, f: Array, b: Array, doubt: float = 1.0) -> NDArray[np.bool_]:
    """Which columns of F (r,), orthogonal, one Newton step in their own energy would cut: those whose slack is more
    than ``doubt`` times their energy times the curvature along it. At an optimum the others have no slack."""
    energy = (f**2).sum(axis=0)
    unit = f / np.sqrt(np.where(energy > 0, energy, 1.0))
    p = DenseSoftmax(objective.softmax(f, b))
    r = objective.residual(p.matrix)
    if isinstance(objective, TiedObjective):
        x = y = unit - unit.mean(axis=0) if objective.masses else unit
    else:
        x, y = (half * np.sqrt(2) for half in objective.halves(unit))
        energy = energy / 2
    slack = objective.decay - (x * (r @ y)).sum(axis=0)
    return np.asarray((energy == 0) | (slack > doubt * energy * _curvature(objective.w, p, x, y)))


def _curvature(w: Array, p: Softmax, x: Array, y: Array) -> Array:
    """Of the loss along x y' added to the logits: sum_i w_i x_i^2 Var_{P_i}(y)."""
    return np.asarray(w @ (x**2 * np.maximum(p.times(y**2) - p.times(y) ** 2, 0.0)))


def violated(objective: Objective, f: Array, b: Array) -> bool:
    """Whether any direction is violated, dense."""
    level = objective.decay + LEVEL * objective.scale / objective.n
    return _dense(objective, f, b, level, 1) is not None


def _dense(
    objective: Objective, f: Array, b: Array, level: float, most: int
) -> tuple[Array, Array, Array, Softmax] | None:
    p = DenseSoftmax(objective.softmax(f, b))
    r = objective.residual(p.matrix)
    if not isinstance(objective, TiedObjective):
        left, values, right = np.linalg.svd(r)
        take = np.flatnonzero(values > level)[:most]
        return (values[take], left[:, take], right[take].T, p) if len(take) else None
    s = (r + r.T) / 2
    if objective.masses:
        s = without_constant(s)
    values, modes = symmetric_eigen(s, subset_by_value=(level, np.inf))
    if len(values) == 0:
        return None
    values, modes = values[::-1][:most], modes[:, ::-1][:, :most]
    if objective.masses:
        modes = modes - modes.mean(axis=0)
    return values, modes, modes, p


def _sparse(
    objective: Objective, f: Array, b: Array, level: float, most: int
) -> tuple[Array, Array, Array, Softmax] | None:
    n, v, u = objective.n, *objective.halves(f)
    p = sparse_softmax(v, u, objective.column_bias(f, b), objective.w, objective.check or (lambda: None))
    forth, back = residual_products(objective, p)
    first = np.random.default_rng(1).standard_normal(n)
    k = min(most, AT_ONCE, n - 2)
    try:
        if not isinstance(objective, TiedObjective):
            operator = LinearOperator((n, n), matvec=forth, rmatvec=back, dtype=np.float64)
            left, values, right = svds(operator, k=k, v0=first, tol=0.1, maxiter=3)
            x, y = left[:, ::-1], right[::-1].T
        else:

            def both(x: Array) -> Array:
                x = x - x.mean() if objective.masses else x
                s = (forth(x) + back(x)) / 2
                return s - s.mean() if objective.masses else s

            operator = LinearOperator((n, n), matvec=both, dtype=np.float64)
            values, x = eigsh(operator, k=k, which="LA", v0=first, tol=0.1, maxiter=3)
            x = y = x[:, ::-1]
    except ArpackNoConvergence as reached:
        if not isinstance(objective, TiedObjective) or not len(reached.eigenvalues):
            return None
        values, x = reached.eigenvalues, reached.eigenvectors[:, ::-1]
        y = x
    except ArpackError:
        return None
    values = values[::-1]
    take = values > level
    return (values[take], x[:, take], y[:, take], p) if take.any() else None
