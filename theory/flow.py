"""Exact gradient flow of tied and untied Node2Vec, in the embeddings (V form) and in Gram matrices.

With R = diag(w) (T - P(Z)) and weight decay l >= 0 (source: arXiv 2510.26745, section 4, for tied V; the Gram forms
follow by the product rule):

    tied,   Z = VV', objective L + l ||V||^2:           dV/dt = (R + R') V - 2 l V
                                                        dK/dt = S K + K S - 4 l K,   S = R + R', K = VV'
    untied, Z = VU', L + l/2 (||V||^2 + ||U||^2):       dV/dt = R U - l V,   dU/dt = R' V - l U
                                                        dM/dt = R K_U + K_V R - 2 l M,   M = VU'
                                                        dK_V/dt = R M' + M R' - 2 l K_V,   K_V = VV'
                                                        dK_U/dt = R' M + M' R - 2 l K_U,   K_U = UU'

Time: full-batch gradient descent with step size eta is the Euler scheme of the flow, t = eta * steps. The Gram forms
are closed: starting from K(0) = s^2 I they describe every V(0) with orthogonal rows of norm s, and the infinite-width
limit of Gaussian V(0) with m s_0^2 = s^2 (finite m fluctuates by about sqrt(n/m) around it).

Everything is float64 and dense: cost O(n^2 min(n, m)) a step. Integrated by SciPy's DOP853; the defaults give about
nine digits. Raises ValueError for bad shapes, times or weight decay, RuntimeError if the integrator gives up.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from .cross_entropy import Array, check_row_weight, check_target, check_weight_decay, cross_entropy, residual
from .trajectory import (
    TiedGramTrajectory,
    TiedTrajectory,
    UntiedGramTrajectory,
    UntiedTrajectory,
    check_matrix,
    compress_columns,
)

RELATIVE_TOLERANCE = 1e-10  # one digit below the 1e-9 the predictions are compared at
ABSOLUTE_TOLERANCE = 1e-12  # of the largest entry at t = 0, or of one when all are zero


def tied_flow(
    target: ArrayLike,
    embedding0: ArrayLike,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> TiedTrajectory:
    """V(t) from V(0) = ``embedding0`` (n, m) at the ascending ``times`` (k,) >= 0. See the module for the equation."""
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    start = check_matrix(np.asarray(embedding0, dtype=np.float64), (n, None), "embedding0")
    (factor,), q = compress_columns(start)

    def rhs(v: Array) -> Array:
        r = residual(v @ v.T, t, w)
        return (r + r.T) @ v - 2 * decay * v

    factors = _integrate(rhs, factor, times, rtol)
    loss = cross_entropy(factors @ factors.transpose(0, 2, 1), t, w)
    return TiedTrajectory(_check_times(times), factors if q is None else factors @ q.T, loss)


def tied_gram_flow(
    target: ArrayLike,
    gram0: ArrayLike,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> TiedGramTrajectory:
    """K(t) from a symmetric K(0) = ``gram0`` (n, n). Loses relative accuracy in modes that have decayed below
    ``rtol`` of the largest: use ``tied_flow`` from a factor of K(0) to follow those."""
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    start = check_matrix(np.asarray(gram0, dtype=np.float64), (n, n), "gram0")

    def rhs(k: Array) -> Array:
        r = residual(k, t, w)
        half = (r + r.T - 2 * decay * np.eye(n)) @ k
        return half + half.T

    grams = _integrate(rhs, (start + start.T) / 2, times, rtol)
    return TiedGramTrajectory(_check_times(times), grams, cross_entropy(grams, t, w))


def untied_flow(
    target: ArrayLike,
    embedding0: ArrayLike,
    context0: ArrayLike,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> UntiedTrajectory:
    """V(t), U(t) from ``embedding0`` and ``context0``, both (n, m). See the module for the equation."""
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    v0 = check_matrix(np.asarray(embedding0, dtype=np.float64), (n, None), "embedding0")
    u0 = check_matrix(np.asarray(context0, dtype=np.float64), (n, v0.shape[1]), "context0")
    factors, q = compress_columns(v0, u0)

    def rhs(state: Array) -> Array:
        v, u = state
        r = residual(v @ u.T, t, w)
        return np.stack([r @ u - decay * v, r.T @ v - decay * u])

    states = _integrate(rhs, np.stack(factors), times, rtol)
    v, u = states[:, 0], states[:, 1]
    loss = cross_entropy(v @ u.transpose(0, 2, 1), t, w)
    if q is not None:
        v, u = v @ q.T, u @ q.T
    return UntiedTrajectory(_check_times(times), v, u, loss)


def untied_gram_flow(
    target: ArrayLike,
    gram_embedding0: ArrayLike,
    gram_context0: ArrayLike,
    logits0: ArrayLike,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> UntiedGramTrajectory:
    """(K_V, K_U, M)(t) from their values at t = 0, each (n, n). The infinite-width start is (s^2 I, s^2 I, 0)."""
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    named = (("gram_embedding0", gram_embedding0), ("gram_context0", gram_context0), ("logits0", logits0))
    start = np.stack([check_matrix(np.asarray(value, dtype=np.float64), (n, n), name) for name, value in named])

    def rhs(state: Array) -> Array:
        kv, ku, m = state
        r = residual(m, t, w)
        a, b = r @ m.T, r.T @ m
        return np.stack([a + a.T, b + b.T, r @ ku + kv @ r]) - 2 * decay * state

    states = _integrate(rhs, start, times, rtol)
    loss = cross_entropy(states[:, 2], t, w)
    return UntiedGramTrajectory(_check_times(times), states[:, 0], states[:, 1], states[:, 2], loss)


def _check_times(times: ArrayLike) -> Array:
    t = np.atleast_1d(np.asarray(times, dtype=np.float64))
    if t.ndim != 1 or t.size == 0 or not np.isfinite(t).all() or t[0] < 0 or (np.diff(t) < 0).any():
        raise ValueError("times must be a non-empty ascending list of finite numbers >= 0")
    return t


def _integrate(rhs: Callable[[Array], Array], start: Array, times: ArrayLike, rtol: float) -> Array:
    """States at ``times``, shape (k, *start.shape), of d state/dt = rhs(state) from ``start`` at t = 0."""
    t = _check_times(times)
    if t[-1] == 0:
        return np.repeat(start[None], len(t), axis=0)
    distinct, place = np.unique(t, return_inverse=True)  # SciPy refuses a repeated time
    solution = solve_ivp(
        lambda _, y: rhs(y.reshape(start.shape)).ravel(),
        (0.0, t[-1]),
        start.ravel(),
        method="DOP853",
        t_eval=distinct,
        rtol=rtol,
        atol=ABSOLUTE_TOLERANCE * (float(np.abs(start).max()) or 1.0),
    )
    if not solution.success:
        raise RuntimeError(f"the flow could not be integrated to t = {t[-1]:g}: {solution.message}")
    return np.asarray(solution.y.T[place].reshape(len(t), *start.shape))
