"""Directions in which the optimality conditions are violated, and how far a step along them should go.

Tied: eigenvectors x of S with an eigenvalue above l; K + h xx' changes row i of the logits by h x_i x, whose variance
under P_i is the curvature. Untied: singular vectors (x, y) of R with a value above l, logits + h xy'.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh, svds

from ..checks import Array
from ..softmax import row_softmax
from .certificate import without_constant
from .objectives import Objective, TiedObjective
from .sparse_dual import SparseSoftmax, sparse_softmax

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
    times = (lambda z: p @ z) if isinstance(p, np.ndarray) else _by_columns(p)
    spread = np.maximum(times(y**2) - times(y) ** 2, 0.0)
    curvature = objective.w @ (x**2 * spread)
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


def violated(objective: Objective, f: Array, b: Array) -> bool:
    """Whether any direction is violated, dense."""
    level = objective.decay + LEVEL * objective.scale / objective.n
    return _dense(objective, f, b, level, 1) is not None


def _by_columns(p: SparseSoftmax):  # type: ignore[no-untyped-def]
    return lambda z: np.asarray(p.stored @ z + np.outer(p.rest, p.background @ z))


def _dense(
    objective: Objective, f: Array, b: Array, level: float, most: int
) -> tuple[Array, Array, Array, Array] | None:
    v, u = objective.halves(f)
    n, a = objective.n, objective.column_bias(f, b)
    p = row_softmax(v @ u.T + (0.0 if a is None else a))
    r = objective.times_target(np.eye(n)) - objective.w[:, None] * p
    if not isinstance(objective, TiedObjective):
        left, values, right = np.linalg.svd(r)
        take = np.flatnonzero(values > level)[:most]
        return (values[take], left[:, take], right[take].T, p) if len(take) else None
    s = (r + r.T) / 2
    if objective.masses:
        s = without_constant(s)
    values, modes = eigh(s, subset_by_value=(level, np.inf))
    if len(values) == 0:
        return None
    values, modes = values[::-1][:most], modes[:, ::-1][:, :most]
    if objective.masses:
        modes = modes - modes.mean(axis=0)
    return values, modes, modes, p


def _sparse(
    objective: Objective, f: Array, b: Array, level: float, most: int
) -> tuple[Array, Array, Array, SparseSoftmax] | None:
    n, w, e = objective.n, objective.w, objective.target.uniform
    v, u = objective.halves(f)
    p = sparse_softmax(v, u, objective.column_bias(f, b), w, objective.check or (lambda: None))
    first = np.random.default_rng(1).standard_normal(n)

    def forth(x: Array) -> Array:
        x = x.ravel()  # svds hands columns (n, 1)
        return np.asarray(objective.wt @ x + e * w * x.sum() - w * p.times(x))

    def back(x: Array) -> Array:
        x = x.ravel()
        return np.asarray(objective.wt.T @ x + e * (w @ x) - p.transpose_times(w * x))

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
        if isinstance(objective, TiedObjective) and len(reached.eigenvalues):
            values, x = reached.eigenvalues[::-1], reached.eigenvectors[:, ::-1]
            x = y = x
            values = values[::-1]
        else:
            return None
    except ArpackError:
        return None
    values = values[::-1]
    take = values > level
    return (values[take], x[:, take], y[:, take], p) if take.any() else None
