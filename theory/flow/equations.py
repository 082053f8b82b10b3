"""The gradient flows of tied and untied Node2Vec as equations: a start, a velocity, and what the state means.

With R = diag(w) (T - P(Z)) and weight decay l >= 0 (source: arXiv 2510.26745, section 4, for tied V; the Gram forms
follow by the product rule):

    tied,   Z = VV', objective L + l ||V||^2:           dV/dt = (R + R') V - 2 l V
                                                        dK/dt = S K + K S - 4 l K,   S = R + R', K = VV'
    untied, Z = VU', L + l/2 (||V||^2 + ||U||^2):       dV/dt = R U - l V,   dU/dt = R' V - l U
                                                        dM/dt = R K_U + K_V R - 2 l M,   M = VU'
                                                        dK_V/dt = R M' + M R' - 2 l K_V,   K_V = VV'
                                                        dK_U/dt = R' M + M' R - 2 l K_U,   K_U = UU'

Time: full-batch gradient descent with step size eta is the Euler scheme, t = eta * steps. float64, O(n^2 min(n, m)) a
velocity. Raises ValueError for bad shapes or weight decay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..checks import LARGEST_LOGIT, Array, check_array, check_callable, check_flag, check_matrix, check_type
from ..softmax import check_row_weight, check_target, check_weight_decay, cross_entropy, residual
from .trajectory import TiedGramTrajectory, TiedTrajectory, UntiedGramTrajectory, UntiedTrajectory, compress_columns

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class FlowEquation(Generic[T]):
    """d state/dt = ``velocity(state)`` from ``start``; columns are compressed, so the state may be smaller than V.

    ``gram(states)``: K = VV' (..., n, n) of the (input) embedding, ``loss(states)``: L without weight decay, both for
    one state or a stack of them. ``trajectory(times, states)``: the states in the user's own terms. ``vectorized``: the
    velocity takes a stack of states, too, which makes the Jacobian of implicit steps cheaper.
    """

    start: Array
    velocity: Callable[[Array], Array]
    gram: Callable[[Array], Array]
    loss: Callable[[Array], Array]
    trajectory: Callable[[Array, Array], T]
    vectorized: bool = False

    def __post_init__(self) -> None:
        check_type(self.start, np.ndarray, "start", "give an array of float64")
        check_array(self.start, "start")
        for name in ("velocity", "gram", "loss", "trajectory"):
            check_callable(getattr(self, name), name)
        check_flag(self.vectorized, "vectorized")


def check_equation(equation: object) -> FlowEquation[Any]:
    """``equation`` if it is a FlowEquation; TypeError otherwise."""
    return check_type(equation, FlowEquation, "equation", "make one with tied_equation or its like")


def check_logits(logits: Array, name: str) -> Array:
    """The logits that a start called ``name`` gives; ValueError above LARGEST_LOGIT."""
    largest = float(np.abs(logits).max())
    if largest > LARGEST_LOGIT:
        raise ValueError(f"{name} gives logits of {largest:.1e}, above {LARGEST_LOGIT:.0e}; use a smaller start")
    return logits


def tied_equation(
    target: ArrayLike, embedding0: ArrayLike, *, weight_decay: float = 0.0, row_weight: ArrayLike | None = None
) -> FlowEquation[TiedTrajectory]:
    """V(t) from ``embedding0`` (n, m)."""
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    start = check_matrix(embedding0, (n, None), "embedding0")
    check_logits(start @ start.T, "embedding0")
    (factor,), q = compress_columns(start)

    def velocity(v: Array) -> Array:
        r = residual(v @ v.T, t, w)
        return np.asarray((r + r.T) @ v - 2 * decay * v)

    def loss(v: Array) -> Array:
        return cross_entropy(_square(v), t, w)

    def trajectory(times: Array, v: Array) -> TiedTrajectory:
        return TiedTrajectory(times, v if q is None else v @ q.T, loss(v))

    return FlowEquation(factor, velocity, _square, loss, trajectory)


def tied_gram_equation(
    target: ArrayLike, gram0: ArrayLike, *, weight_decay: float = 0.0, row_weight: ArrayLike | None = None
) -> FlowEquation[TiedGramTrajectory]:
    """K(t) from a symmetric ``gram0`` (n, n). Loses relative accuracy in modes that have decayed below the tolerance:
    use ``tied_equation`` from a factor of K(0) to follow those."""
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    start = check_logits(check_matrix(gram0, (n, n), "gram0"), "gram0")

    def velocity(k: Array) -> Array:
        r = residual(k, t, w)
        half = (r + r.T - 2 * decay * np.eye(n)) @ k
        return np.asarray(half + half.T)

    def loss(k: Array) -> Array:
        return cross_entropy(k, t, w)

    def trajectory(times: Array, k: Array) -> TiedGramTrajectory:
        return TiedGramTrajectory(times, k, loss(k))

    return FlowEquation((start + start.T) / 2, velocity, lambda k: k, loss, trajectory)


def untied_equation(
    target: ArrayLike,
    embedding0: ArrayLike,
    context0: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
) -> FlowEquation[UntiedTrajectory]:
    """V(t), U(t) from ``embedding0`` and ``context0``, both (n, m); the state stacks the two."""
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    v0 = check_matrix(embedding0, (n, None), "embedding0")
    u0 = check_matrix(context0, (n, v0.shape[1]), "context0")
    check_logits(v0 @ v0.T, "embedding0"), check_logits(u0 @ u0.T, "context0")
    factors, q = compress_columns(v0, u0)

    def velocity(state: Array) -> Array:
        v, u = state
        r = residual(v @ u.T, t, w)
        return np.stack([r @ u - decay * v, r.T @ v - decay * u])

    def gram(states: Array) -> Array:
        return _square(states[..., 0, :, :])

    def loss(states: Array) -> Array:
        return cross_entropy(states[..., 0, :, :] @ states[..., 1, :, :].swapaxes(-1, -2), t, w)

    def trajectory(times: Array, states: Array) -> UntiedTrajectory:
        v, u = states[:, 0], states[:, 1]
        if q is not None:
            v, u = v @ q.T, u @ q.T
        return UntiedTrajectory(times, v, u, loss(states))

    return FlowEquation(np.stack(factors), velocity, gram, loss, trajectory)


def untied_gram_equation(
    target: ArrayLike,
    gram_embedding0: ArrayLike,
    gram_context0: ArrayLike,
    logits0: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
) -> FlowEquation[UntiedGramTrajectory]:
    """(K_V, K_U, M)(t) from their values at t = 0, each (n, n). The infinite-width start is (s^2 I, s^2 I, 0)."""
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    named = (("gram_embedding0", gram_embedding0), ("gram_context0", gram_context0), ("logits0", logits0))
    start = np.stack([check_logits(check_matrix(value, (n, n), name), name) for name, value in named])

    def velocity(state: Array) -> Array:
        kv, ku, m = state
        r = residual(m, t, w)
        a, b = r @ m.T, r.T @ m
        return np.asarray(np.stack([a + a.T, b + b.T, r @ ku + kv @ r]) - 2 * decay * state)

    def gram(states: Array) -> Array:
        return np.asarray(states[..., 0, :, :])

    def loss(states: Array) -> Array:
        return cross_entropy(states[..., 2, :, :], t, w)

    def trajectory(times: Array, states: Array) -> UntiedGramTrajectory:
        return UntiedGramTrajectory(times, states[:, 0], states[:, 1], states[:, 2], loss(states))

    return FlowEquation(start, velocity, gram, loss, trajectory)


def _square(v: Array) -> Array:
    return np.asarray(v @ v.swapaxes(-1, -2))
