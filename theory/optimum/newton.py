"""Damped Newton steps with the dense Hessian, for factors of few numbers: from near an optimum to rounding.

In (F, a), logits FF' + 1a' (tied) or VU' (untied), a change of row i of the logits costs w_i times its variance under
P_i, and a change of the factor moves the logits to second order by the residual R. With v~ = [v, 1] where a is free:

    <(v_i, k), (v_i, m)> = w_i Cov_{P_i}(u_k, u_m)
    <(u~_j, k), (u~_l, m)> = sum_i w_i v~_ik v~_im (delta_jl P_ij - P_ij P_il)
    <(v_i, k), (u~_j, m)> = w_i P_ij (u_jk - sum_l P_il u_lk) v~_im - R_ij delta_km

The tied Hessian is the sum of the four with U = V. It is singular along rotations of F; the damping (Levenberg and
Marquardt's, as large as the gradient near the optimum) leaves them alone and keeps the convergence quadratic.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ..checks import Array
from .objectives import Objective, TiedObjective

MOST_UNKNOWNS = 3600  # of a dense Hessian: 100 MB, and a second for its factorisation
STEPS = 40
SLOW = 6  # steps without halving the gradient after which the iteration is left
MOST_IDLE = 3  # steps in a row that lower neither the value nor halve the gradient
ATTEMPTS = 12  # dampings tried in one step
FLOPS, ATTEMPTED, LEAST_WORK = (
    2.5e10,
    1.5,
    1e-3,
)  # operations a second, factorisations in a step, and what else it takes
HESSIAN_WORK = 1e-8  # seconds for an entry of the Hessian
GROW, SHRINK = 10.0, 0.1
LEAST_DAMPING = 1e-13  # of the mean diagonal of the Hessian
GOAL = 1e-13  # gradient, relative to the total row weight: rounding of n^2 softmax entries below one
ROUNDING = 1e-14  # of the objective, relative


def unknowns(objective: Objective, columns: int) -> int:
    """How many numbers a factor of ``columns`` columns has, with the bias."""
    halves = 1 if isinstance(objective, TiedObjective) else 2
    return objective.n * (halves * columns + int(objective.masses))


def newton(objective: Objective, f: Array, b: Array, steps: int = STEPS) -> tuple[Array, Array]:
    """(F, b) after at most ``steps`` steps: each lowers the value or, at its rounding, the gradient."""
    value, df, db = objective.evaluate(f, b)
    damping, best, since, idle = 1e-3, np.inf, 0, 0
    for _ in range(steps):
        if objective.check is not None:
            objective.check()
        gradient, norm = _flat_gradient(objective, f, df, db)
        best, since = (norm, 0) if norm < 0.5 * best else (best, since + 1)
        if norm <= GOAL * objective.scale or since > SLOW:
            break
        h = hessian(objective, f, b)
        size = max(float(np.abs(h.diagonal()).mean()), 1e-300)
        _add_rotations(h, objective, f, size)
        for _ in range(ATTEMPTS):
            tau = max(damping * min(1.0, norm / objective.scale * objective.n), LEAST_DAMPING) * size
            damped = h.copy()
            damped[np.diag_indices(len(h))] += tau
            try:  # of the transpose, which is the same matrix as LAPACK stores it
                step = -cho_solve(cho_factor(damped.T, lower=True, overwrite_a=True, check_finite=False), gradient)
            except LinAlgError:
                damping *= GROW
                continue
            new_f, new_b = _moved(objective, f, b, step)
            new_value, new_df, new_db = objective.evaluate(new_f, new_b)
            new_norm = _flat_gradient(objective, new_f, new_df, new_db)[1]
            if new_value < value - ROUNDING * abs(value) or (
                new_value <= value + ROUNDING * abs(value) and new_norm < norm
            ):
                break
            damping *= GROW
        else:
            break
        idle = idle + 1 if new_norm > 0.5 * norm and value - new_value <= ROUNDING * abs(value) else 0
        f, b, value, df, db = new_f, new_b, new_value, new_df, new_db
        damping = max(damping * SHRINK, LEAST_DAMPING)
        if idle == MOST_IDLE:
            break
    return f, b


def newton_work(objective: Objective, columns: int) -> float:
    """About how many seconds one step with so many ``columns`` takes on one core: the Hessian and its factorisation."""
    size = unknowns(objective, columns)
    return (ATTEMPTED * size**3 / 3 + 2 * float(size) ** 2 * objective.n) / FLOPS + HESSIAN_WORK * size**2 + LEAST_WORK


def gradient_norm(objective: Objective, f: Array, b: Array) -> float:
    """Of the gradient in (F, a)."""
    _, df, db = objective.evaluate(f, b)
    return _flat_gradient(objective, f, df, db)[1]


def hessian(objective: Objective, f: Array, b: Array) -> Array:
    """The Hessian in (F, a), unknowns ordered column by column of F, then a."""
    v, u = objective.halves(f)
    n, r = v.shape
    p = objective.softmax(f, b)
    residual, average = objective.residual(p), p @ u
    tied, extra = isinstance(objective, TiedObjective), int(objective.masses)
    wide = np.column_stack([v, np.ones((n, extra))])
    size = r + extra if tied else 2 * r
    first = 0 if tied else r  # where the columns of U begin
    h = np.zeros((size, n, size, n))
    every = np.arange(n)
    _add_columns(h[first:, :, first:, :], objective.w, p, wide)
    spread = (p @ _products(u)) - _products(average)  # of row i, for columns k, m
    _diagonals(h[:r, :, :r, :])[...] += (objective.w[:, None] * spread).T.reshape(r, r, n)
    for k in range(r):
        across = objective.w[:, None] * p * (u[:, k] - average[:, [k]])
        both = across[:, None, :] * wide[:, :, None]  # (i, m, j)
        h[k, :, first:, :] += both
        h[first:, :, k, :] += both.transpose(1, 2, 0)
        if tied:
            h[k, :, k, :] -= residual + residual.T
            h[k, every, k, every] += 2 * objective.decay
        else:
            h[k, :, r + k, :] -= residual
            h[r + k, :, k, :] -= residual.T
            for c in (k, r + k):
                h[c, every, c, every] += objective.decay
    return np.asarray(h.reshape(size * n, size * n))


def _add_columns(h: Array, w: Array, p: Array, wide: Array) -> None:
    """sum_i w_i v~_ik v~_im (delta_jl P_ij - P_ij P_il), added to ``h`` (k, j, m, l)."""
    n, columns = wide.shape
    parts = ((np.sqrt(w)[:, None] * wide)[:, :, None] * p[:, None, :]).reshape(n, columns * n)
    h -= (parts.T @ parts).reshape(columns, n, columns, n)
    _diagonals(h)[...] += ((w[:, None] * _products(wide)).T @ p).reshape(columns, columns, n)


def _add_rotations(h: Array, objective: Objective, f: Array, size: float) -> None:
    """``size`` times sum_{k<m} (f_k . d_m - f_m . d_k)^2 / (|f_k|^2 + |f_m|^2): along rotations D = F Omega, Omega
    skew, which change no logits, H is singular at an optimum and indefinite near it. The gradient is orthogonal to
    them, and so is then the step."""
    halves = objective.halves(f) if not isinstance(objective, TiedObjective) else (f,)
    n, r = halves[0].shape
    energy = (f * f).sum(axis=0)
    pair = np.add.outer(energy, energy)
    share = size * np.divide(1.0, pair, out=np.zeros_like(pair), where=pair > 0)
    np.fill_diagonal(share, 0.0)
    blocks = h.reshape(len(h) // n, n, len(h) // n, n)
    for p, x in enumerate(halves):
        for q, y in enumerate(halves):
            part = blocks[p * r : (p + 1) * r, :, q * r : (q + 1) * r, :]
            for k in range(r):
                part[k, :, k, :] += (x * share[k]) @ y.T
                part[k] -= share[k, None, :, None] * x[:, :, None] * y[:, k][None, None, :]


def _products(x: Array) -> Array:
    """x_ik x_im (n, r^2)."""
    return np.asarray((x[:, :, None] * x[:, None, :]).reshape(len(x), -1))


def _diagonals(h: Array) -> Array:
    """A view (k, m, j) of the entries (k, j, m, j)."""
    return np.asarray(np.einsum("kjmj->kmj", h))


def _flat_gradient(objective: Objective, f: Array, df: Array, db: Array) -> tuple[Array, float]:
    """In (F, a), from that in (F, b): b = a + |f|^2 / 2. Also its norm."""
    if objective.masses:
        df = df + db[:, None] * f
        flat = np.concatenate([df.T.ravel(), db])
    else:
        v, u = objective.halves(df)
        flat = df.T.ravel() if isinstance(objective, TiedObjective) else np.concatenate([v.T.ravel(), u.T.ravel()])
    return flat, float(np.linalg.norm(flat))


def _moved(objective: Objective, f: Array, b: Array, step: Array) -> tuple[Array, Array]:
    n, r = objective.n, f.shape[1]
    if objective.masses:
        a = b - (f * f).sum(axis=1) / 2 + step[n * r :]
        moved = _along(f, step[: n * r].reshape(r, n).T)
        return objective.centred(*_masses(moved, a))
    if isinstance(objective, TiedObjective):
        return _along(f, step.reshape(r, n).T), b
    return f + np.concatenate([step[: n * r].reshape(r, n).T, step[n * r :].reshape(r, n).T]), b


def _along(f: Array, d: Array) -> Array:
    """F + D, corrected to second order: with D = F A + N, N orthogonal to F, the Gram matrix becomes FF' + FD' + DF' +
    NN' instead of ... + DD'. Along directions that hardly change the objective D is large, and FAA'F' would not be
    such a direction."""
    if f.shape[1] == 0 or not d.any():
        return f + d
    a = np.linalg.lstsq(f, d, rcond=None)[0]
    across = d - f @ a
    return np.asarray(f + d - f @ (a @ a.T) / 2 - across @ a.T)


def _masses(f: Array, a: Array) -> tuple[Array, Array]:
    """b of a, for F about its mean: a translation of F by mu changes the logits of a column by f.mu."""
    mean = f.mean(axis=0)
    centred = f - mean
    return centred, a + centred @ mean + (centred * centred).sum(axis=1) / 2
