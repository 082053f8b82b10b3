"""The one-layer net Z = E W E': embeddings E (n, m) read through one inner weight W (m, m), both trained or one frozen.

Objective L(Z) + (l/2) (||E||^2 + ||W||^2). With R = diag(w) (T - P(Z)), by dL = -<R, dE W E' + E dW E' + E W dE'>,

    dE/dt = R E W' + R' E W - l E          dW/dt = E' R E - l W

A frozen matrix has velocity zero and its decay does not act. Two special cases:
- W frozen at I is tied Node2Vec, dE/dt = (R + R') E - l E: its flow with weight decay l/2 in L + (l/2) ||V||^2;
- E frozen is the associative memory: L is convex in W, and the logits follow dZ/dt = G R G - l Z, G = EE'. Only the
  part of W inside the row space of E is trained, the rest decays like exp(-l t) (both used, exactly, to keep the state
  of a wide frozen E at r x r, r = rank).

Balance: B = E'E - WW' - W'W obeys dB/dt = -2 l B when both are trained, so it is conserved without decay: starting
small and balanced ties the inner weight's growth to that of the embeddings.

Time: gradient descent with step size eta is the Euler scheme, t = eta * steps. float64 throughout; a velocity costs
O(n^2 m + n m^2). The wide state with both trained is (n + m) x m and stays explicit when large (``flow.integrator``).
No bias and no activation. Raises ValueError for bad shapes, times, steps or weight decay, and when both are frozen.
Source: arXiv 2510.26745 (its one-layer network and its associative control); gradients and balance are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_array, check_flag, check_matrix
from ..softmax import check_row_weight, check_target, check_weight_decay, cross_entropy, residual
from .at_times import at_times
from .descent import check_step_size, check_steps, finite_loss, iterate
from .equations import FlowEquation, check_logits
from .integrator import RELATIVE_TOLERANCE
from .trajectory import compress_columns


@dataclass(frozen=True, eq=False)
class OneLayerTrajectory:
    """``times`` (k,), ``embedding`` E (k, n, m), ``inner`` W (k, m, m), ``loss`` (k,) without weight decay."""

    times: Array
    embedding: Array
    inner: Array
    loss: Array

    @property
    def logits(self) -> Array:
        """Z(t) = E W E', shape (k, n, n)."""
        return _logits(self.embedding, self.inner)

    @property
    def balance(self) -> Array:
        """B(t) = E'E - WW' - W'W, shape (k, m, m): exp(-2 l t) B(0) along the flow when both are trained."""
        e, w = self.embedding, self.inner
        return np.asarray(e.swapaxes(-1, -2) @ e - w @ w.swapaxes(-1, -2) - w.swapaxes(-1, -2) @ w)


def one_layer_logits(embedding: ArrayLike, inner: ArrayLike) -> Array:
    """Z = E W E' for finite E (..., n, m) and W (..., m, m), of the same batch shape. Raises ValueError for others."""
    e, w = check_array(embedding, "embedding"), check_array(inner, "inner")
    if e.ndim < 2 or w.shape != (*e.shape[:-2], e.shape[-1], e.shape[-1]):
        raise ValueError(f"embedding (..., n, m) and inner (..., m, m) do not fit; got shapes {e.shape} and {w.shape}")
    return _logits(e, w)


def _logits(embedding: Array, inner: Array) -> Array:
    return np.asarray(embedding @ inner @ embedding.swapaxes(-1, -2))


def one_layer_equation(
    target: ArrayLike,
    embedding0: ArrayLike,
    inner0: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    train_embedding: bool = True,
    train_inner: bool = True,
) -> FlowEquation[OneLayerTrajectory]:
    """The gradient flow from ``embedding0`` (n, m) and ``inner0`` (m, m), for ``flow.path.follow``."""
    net = _net(target, embedding0, inner0, weight_decay, row_weight, train_embedding, train_inner)

    def trajectory(times: Array, states: Array) -> OneLayerTrajectory:
        return net.trajectory(times, states, np.exp(-net.decay * times))

    return FlowEquation(net.start, net.velocity, net.gram, net.loss, trajectory)


def one_layer_flow(
    target: ArrayLike,
    embedding0: ArrayLike,
    inner0: ArrayLike,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    train_embedding: bool = True,
    train_inner: bool = True,
    rtol: float = RELATIVE_TOLERANCE,
) -> OneLayerTrajectory:
    """E(t), W(t) of the gradient flow at the ascending ``times`` (k,) >= 0."""
    equation = one_layer_equation(
        target,
        embedding0,
        inner0,
        weight_decay=weight_decay,
        row_weight=row_weight,
        train_embedding=train_embedding,
        train_inner=train_inner,
    )
    return at_times(equation, times, rtol)


def one_layer_descent(
    target: ArrayLike,
    embedding0: ArrayLike,
    inner0: ArrayLike,
    step_size: float,
    steps: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    train_embedding: bool = True,
    train_inner: bool = True,
) -> OneLayerTrajectory:
    """Full-batch gradient descent (both updates from the old values) after each number of ``steps``; FloatingPointError
    when it diverges. ``times`` = step_size * steps."""
    net = _net(target, embedding0, inner0, weight_decay, row_weight, train_embedding, train_inner)
    eta, counts = check_step_size(step_size), check_steps(steps)
    states = iterate(lambda state: state + eta * net.velocity(state), net.start, counts)
    with np.errstate(over="ignore"):  # the part that is not trained: beyond float64, it grew with the rest
        left = np.power(1 - eta * net.decay, counts, dtype=np.float64)
    finite_loss(lambda: net.loss(states))
    return net.trajectory(eta * counts.astype(np.float64), states, left)


@dataclass(frozen=True, eq=False)
class _Net:
    """The trained part as one state; ``factors(states)``: E and W (compressed), ``full``: with what was left out."""

    start: Array
    decay: float
    velocity: Callable[[Array], Array]
    factors: Callable[[Array], tuple[Array, Array]]
    full: Callable[[Array, Array], tuple[Array, Array]]
    target: Array
    row_weight: Array

    def gram(self, states: Array) -> Array:
        e = self.factors(states)[0]
        return np.asarray(e @ e.swapaxes(-1, -2))

    def loss(self, states: Array) -> Array:
        return cross_entropy(_logits(*self.factors(states)), self.target, self.row_weight)

    def trajectory(self, times: Array, states: Array, decayed: Array) -> OneLayerTrajectory:
        return OneLayerTrajectory(times, *self.full(states, decayed), self.loss(states))


def _net(
    target: ArrayLike,
    embedding0: ArrayLike,
    inner0: ArrayLike,
    weight_decay: float,
    row_weight: ArrayLike | None,
    train_embedding: bool,
    train_inner: bool,
) -> _Net:
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    weight = check_row_weight(row_weight, n)
    e0 = check_matrix(embedding0, (n, None), "embedding0")
    m = e0.shape[1]
    w0 = check_matrix(inner0, (m, m), "inner0")
    check_logits(_logits(e0, w0), "embedding0 with inner0")
    check_flag(train_embedding, "train_embedding"), check_flag(train_inner, "train_inner")

    def force(e: Array, w: Array) -> Array:
        return residual(_logits(e, w), t, weight)

    def embedding_velocity(e: Array, w: Array, r: Array) -> Array:
        return np.asarray(r @ e @ w.T + r.T @ e @ w - decay * e)

    if train_embedding and train_inner:

        def both(state: Array) -> Array:
            e, w = state[:n], state[n:]
            r = force(e, w)
            return np.concatenate([embedding_velocity(e, w, r), e.T @ r @ e - decay * w])

        def split(states: Array) -> tuple[Array, Array]:
            return states[..., :n, :], states[..., n:, :]

        return _Net(np.concatenate([e0, w0]), decay, both, split, lambda s, _: split(s), t, weight)

    if train_embedding:

        def only_embedding(e: Array) -> Array:
            return embedding_velocity(e, w0, force(e, w0))

        def with_frozen_inner(states: Array) -> tuple[Array, Array]:
            return states, np.broadcast_to(w0, (*states.shape[:-2], m, m))

        return _Net(e0, decay, only_embedding, with_frozen_inner, lambda s, _: with_frozen_inner(s), t, weight)

    if train_inner:
        (e,), q = compress_columns(e0)
        inside = w0 if q is None else q.T @ w0 @ q
        outside = np.zeros((m, m)) if q is None else w0 - q @ inside @ q.T

        def only_inner(w: Array) -> Array:
            return np.asarray(e.T @ force(e, w) @ e - decay * w)

        def with_frozen_embedding(states: Array) -> tuple[Array, Array]:
            return np.broadcast_to(e, (*states.shape[:-2], *e.shape)), states

        def full(states: Array, decayed: Array) -> tuple[Array, Array]:
            trained = states if q is None else q @ states @ q.T
            return np.broadcast_to(e0, (len(states), n, m)), trained + decayed[:, None, None] * outside

        return _Net(inside, decay, only_inner, with_frozen_embedding, full, t, weight)

    raise ValueError("nothing is trained: leave train_embedding or train_inner true")
