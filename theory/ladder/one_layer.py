"""The one-layer net Z = E W E': embeddings E (n, m) read through one inner weight W (m, m), both trained or one frozen.

The linear ladder's net with one layer, tied and without residual connection: its objective and velocities
(``ladder.velocity``) are L(Z) + (l/2) (||E||^2 + ||W||^2) and, with R = diag(w) (T - P(Z)),

    dE/dt = R E W' + R' E W - l E          dW/dt = E' R E - l W

A frozen matrix has velocity zero and its decay does not act. Two special cases:
- W frozen at I is tied Node2Vec, dE/dt = (R + R') E - l E: its flow with weight decay l/2 in L + (l/2) ||V||^2;
- E frozen is the associative memory: L is convex in W, and the logits follow dZ/dt = G R G - l Z, G = EE'. Only the
  part of W inside the row space of E is trained, the rest decays like exp(-l t) (both used, exactly, to keep the state
  of a wide frozen E at r x r, r = rank).

Balance: B = E'E - WW' - W'W obeys dB/dt = -2 l B when both are trained, so it is conserved without decay: starting
small and balanced ties the inner weight's growth to that of the embeddings.

Time: gradient descent with step size eta is the Euler scheme, t = eta * steps. float64 throughout; a velocity costs
O(n^2 m + n m^2). The wide state with both trained is (n + m) x m, unless W starts inside the row space of E, and stays
explicit when large (``flow.integrator``).
No bias and no activation. Raises ValueError for bad shapes, times, steps or weight decay, and when both are frozen.
Source: arXiv 2510.26745 (its one-layer network and its associative control); the balance is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_array, check_flag, check_matrix
from ..flow.at_times import at_times
from ..flow.descent import check_steps
from ..flow.equations import FlowEquation, check_logits
from ..flow.integrator import RELATIVE_TOLERANCE
from ..flow.trajectory import compress_columns
from ..softmax import check_target
from .descent import descend
from .flow import ladder_problem
from .net import LinearNet
from .velocity import Problem


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
    problem, record = _problem(target, embedding0, inner0, weight_decay, row_weight, train_embedding, train_inner)

    def trajectory(times: Array, states: Array) -> OneLayerTrajectory:
        return record(times, states, np.exp(-problem.decay * times))

    return FlowEquation(problem.start, problem.velocity, problem.gram, problem.loss, trajectory, True)


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
    problem, record = _problem(target, embedding0, inner0, weight_decay, row_weight, train_embedding, train_inner)
    times, states = descend(problem, step_size, steps)
    with np.errstate(over="ignore"):  # the part that is not trained: beyond float64, it grew with the rest
        left = np.power(1 - float(step_size) * problem.decay, check_steps(steps), dtype=np.float64)
    return record(times, states, left)


def _problem(
    target: ArrayLike,
    embedding0: ArrayLike,
    inner0: ArrayLike,
    weight_decay: float,
    row_weight: ArrayLike | None,
    train_embedding: bool,
    train_inner: bool,
) -> tuple[Problem, Callable[[Array, Array, Array], OneLayerTrajectory]]:
    """The net of one layer in training, and how its times, states and what decay has ``left`` of the part that is not
    trained make a trajectory."""
    e0 = check_matrix(embedding0, (len(check_target(target)), None), "embedding0")
    n, m = e0.shape
    w0 = check_matrix(inner0, (m, m), "inner0")
    check_logits(_logits(e0, w0), "embedding0 with inner0")
    frozen = not check_flag(train_embedding, "train_embedding") and check_flag(train_inner, "train_inner")
    (e,), q = compress_columns(e0) if frozen else ((e0,), None)
    inside = w0 if q is None else q.T @ w0 @ q
    outside = 0.0 if q is None else w0 - q @ inside @ q.T
    problem = ladder_problem(target, LinearNet(e, ((inside,),)), weight_decay, row_weight, train_embedding, train_inner)

    def record(times: Array, states: Array, left: Array) -> OneLayerTrajectory:
        embedding, ((inner,),), _ = problem.full(states)
        if q is not None:
            embedding = np.broadcast_to(e0, (len(times), n, m))
            inner = q @ inner @ q.T + left[:, None, None] * outside
        return OneLayerTrajectory(times, embedding, inner, problem.loss(states))

    return problem, record
