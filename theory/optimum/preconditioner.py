"""Approximate inverses of the Hessians of ``optimum.objectives``, for L-BFGS.

Tied. The Hessian is 2 (l I - S) for each column of F, and the curvature of the softmax, which is large in the columns
that are alive and vanishes with those that die. With the Laplacian of what pulls nodes together, M = D - sym + 2 l I,
sym = diag(w) T + T' diag(w), D its row sums:
- ``laplacian_inverse``: M^-1 for every column, one sparse factorisation. A stretch or a bend of an embedding changes
  the distances of neighbours, so that what moves smoothly over the graph is cheap in both. (The spectral direction of
  Vladymyrov and Carreira-Perpinan, 2012, for neighbour embeddings.)
- ``slack_inverse``: (2 (l I - S) + theta_k M)^-1 for the k-th principal column, theta_k the curvature found in it: the
  generalised eigenvectors of the pair serve all columns. It needs all of them, O(n^3).
Untied: the same with [[l I, -R], [-R', l I]] for 2 (l I - S), whose eigenvectors are those of R, and numbers for M.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ..checks import Array
from ..spectra.counting import front_width, symmetric_factor
from .certificate import without_constant
from .lbfgs import Preconditioner
from .objectives import Objective, TiedObjective
from .threads import product, symmetric_eigen

SHIFT = 1e-3  # of the mean row weight: M is singular without decay, and must not favour the constant too much
FLOOR = 1e-3  # of M: slack below it, or negative, is raised to it
MOST_FRONT = 2500  # rows of the largest dense block of a factorisation of M; its diagonal is taken above
SINGLE_FROM = 300  # nodes from which the modes are float32, which an approximation need not improve on
LARGEST_THETA = 1.0  # a live column's curvature is that of M


def laplacian_inverse(objective: Objective) -> Preconditioner:
    """M^-1 for tied factors; the diagonal of the curvature for untied ones, and where a factorisation would fill up."""
    mean = objective.scale / objective.n
    if not isinstance(objective, TiedObjective):
        diagonal = objective.decay + np.concatenate([objective.w, objective.columns]) + SHIFT * mean
        return lambda df, db: (df / diagonal[:, None], db)
    solve = _solver(objective, 2 * objective.decay + SHIFT * mean)
    masses = objective.columns + SHIFT * mean

    def apply(df: Array, db: Array) -> tuple[Array, Array]:
        return objective.centred(solve(df), db / masses if objective.masses else db)

    return apply


def slack_inverse(objective: Objective, f: Array, b: Array) -> Preconditioner:
    """The inverse with the slack at (F, b), dense; see the module."""
    if isinstance(objective, TiedObjective):
        return _tied_slack(objective, f, b)
    n, decay = objective.n, objective.decay
    p = objective.softmax(f, b)
    weighted = objective.w[:, None] * p
    left, values, right = np.linalg.svd(objective.residual(p))
    modes = np.concatenate([np.hstack([left, left]), np.hstack([right.T, -right.T])]) / np.sqrt(2)
    slack = np.maximum(decay - np.concatenate([values, -values]), FLOOR * (decay + objective.scale / n * FLOOR))
    _, _, turn = np.linalg.svd(f, full_matrices=False)
    v, u = objective.halves(f @ turn.T)
    variance = np.maximum(p @ u**2 - (p @ u) ** 2, 0.0)
    curvature = (objective.w @ variance + weighted.sum(axis=0) @ v**2) / (2 * n)
    solve = _in_modes(modes, slack[:, None] + curvature, turn)
    return lambda df, db: (solve(df), db)


def _tied_slack(objective: TiedObjective, f: Array, b: Array) -> Preconditioner:
    n, mean = objective.n, objective.scale / objective.n
    p = objective.softmax(f, b)
    weighted = objective.w[:, None] * p
    sym = objective.times_symmetric(np.eye(n))
    s = sym - weighted - weighted.T
    if objective.masses:
        s = without_constant(s)
    slack = -s
    slack[np.diag_indices(n)] += 2 * objective.decay
    metric = np.diag(sym.sum(axis=1) + 2 * objective.decay + SHIFT * mean) - sym
    values, modes = _pencil(slack, metric)
    values = np.maximum(values, FLOOR)
    centred, _ = objective.centred(f, b)
    _, _, turn = np.linalg.svd(centred, full_matrices=False)
    theta = _curvature(p, weighted, centred @ turn.T, objective.masses) / np.diag(metric).mean()
    theta = np.minimum(theta, LARGEST_THETA)
    masses = (weighted * (1 - p)).sum(axis=0) + SHIFT * mean

    solve = _in_modes(modes, values[:, None] + theta, turn)

    def apply(df: Array, db: Array) -> tuple[Array, Array]:
        return objective.centred(solve(df), db / masses if objective.masses else db)

    return apply


def _pencil(slack: Array, metric: Array) -> tuple[Array, Array]:
    """Values and vectors of slack x = value metric x."""
    if len(slack) >= SINGLE_FROM:
        try:
            values, modes = symmetric_eigen(slack.astype(np.float32), metric.astype(np.float32), check_finite=False)
            if np.isfinite(modes).all():
                return values.astype(np.float64), modes
        except LinAlgError:  # weights of all sizes
            pass
    values, modes = symmetric_eigen(slack, metric)
    return values, modes


def _in_modes(modes: Array, divisor: Array, turn: Array) -> Callable[[Array], Array]:
    """X -> U ((U'XQ') / divisor) Q for U ``modes`` and Q ``turn``; in float32 where that takes long."""
    dtype = np.float32 if len(divisor) >= SINGLE_FROM else np.float64
    back, forth, per, q = (np.asarray(a, dtype=dtype, order="C") for a in (modes, modes.T, divisor, turn))
    across = np.ascontiguousarray(q.T)

    def solve(x: Array) -> Array:
        size = float(np.abs(x).max(initial=0.0))
        if size == 0:
            return np.zeros_like(x)
        turned = (x / size).astype(dtype) @ across
        return (product(back, product(forth, turned) / per) @ q).astype(np.float64) * size

    return solve


def _curvature(p: Array, weighted: Array, f: Array, gaussian: bool) -> Array:
    """The mean over nodes of the diagonal of the softmax's curvature in each column (r,)."""
    n = len(f)
    square, average = f**2, p @ f
    rows = np.maximum(p @ square - average**2, 0.0)
    spread = weighted * (1 - p)
    if gaussian:  # in (V, b) only differences count
        columns = spread.T @ square - 2 * f * (spread.T @ f) + spread.sum(axis=0)[:, None] * square
        return np.asarray((weighted.sum(axis=1) @ rows + columns.sum(axis=0)) / n)
    return np.asarray((weighted.sum(axis=1) @ rows + spread.sum(axis=1) @ square) / n)


def _solver(objective: TiedObjective, shift: float) -> Callable[[Array], Array]:
    sym: Any = objective.symmetric
    degrees = np.asarray(sym.sum(axis=1)).ravel() + objective.target.uniform * (
        objective.n * objective.w + objective.scale
    )
    diagonal = degrees + shift
    if not sp.issparse(sym):
        factor = cho_factor(np.diag(diagonal) - sym)
        return lambda df: np.asarray(cho_solve(factor, df))
    if front_width(sp.csr_array(sym)) > MOST_FRONT:
        jacobi = diagonal - sym.diagonal()
        return lambda df: np.asarray(df / jacobi[:, None])
    solve: Callable[[Array], Array] = symmetric_factor(sp.diags_array(diagonal) - sym).solve
    return solve
