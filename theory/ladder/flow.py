"""The exact gradient flow of a linear net; the equations are those of ``ladder.velocity``.

Time: gradient descent with step size eta is the Euler scheme, t = eta * steps. float64 throughout; a velocity costs
O(L n m^2 + n^2 m). States of up to ``flow.integrator``'s IMPLICIT_LIMIT entries may turn implicit when they are stiff;
a wide net with layers that start at zero has the state of one of width n. Raises ValueError for bad shapes, times or
weight decay, for logits of the start beyond LARGEST_LOGIT and when nothing is trained; RuntimeError if the integrator
gives up.
"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from ..checks import Array, check_flag
from ..flow.at_times import at_times
from ..flow.equations import FlowEquation, check_logits
from ..flow.integrator import IMPLICIT_LIMIT, RELATIVE_TOLERANCE
from ..softmax import check_row_weight, check_target, check_weight_decay
from .balance import LadderBalance, ladder_balance
from .net import LinearNet, check_net, ladder_logits
from .velocity import Problem, compress_net


@dataclass(frozen=True, eq=False)
class LadderTrajectory:
    """A net in training. ``times`` (k,); ``net``: its matrices with a leading axis of k; ``loss`` (k,) without weight
    decay."""

    times: Array
    net: LinearNet
    loss: Array

    @property
    def logits(self) -> Array:
        """Z(t) = E P U', (k, n, n)."""
        return ladder_logits(self.net)

    @property
    def gram(self) -> Array:
        """K(t) = EE', (k, n, n)."""
        return self.net.embedding @ self.net.embedding.swapaxes(-1, -2)

    @property
    def balance(self) -> LadderBalance:
        """What the flow conserves, with a leading axis of k."""
        return ladder_balance(self.net)


def ladder_equation(
    target: ArrayLike,
    net: LinearNet,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    train_embedding: bool = True,
    train_layers: bool = True,
) -> FlowEquation[LadderTrajectory]:
    """The gradient flow from ``net``, for ``flow.path.follow``. ``train_embedding``: E, and U where untied."""
    problem = ladder_problem(target, net, weight_decay, row_weight, train_embedding, train_layers)

    def trajectory(times: Array, states: Array) -> LadderTrajectory:
        return ladder_trajectory(problem, times, states)

    return FlowEquation(problem.start, problem.velocity, problem.gram, problem.loss, trajectory, True)


def ladder_flow(
    target: ArrayLike,
    net: LinearNet,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    train_embedding: bool = True,
    train_layers: bool = True,
    rtol: float = RELATIVE_TOLERANCE,
    implicit_limit: int = IMPLICIT_LIMIT,
) -> LadderTrajectory:
    """The net at the ascending ``times`` (k,) >= 0 of the gradient flow. ``implicit_limit``: as for ``integrate``.

    >>> import numpy as np
    >>> from fiedler.theory import LinearNet, ladder_flow, one_hop_target, parse
    >>> target, zero = one_hop_target(parse("cycle:7")), np.zeros((7, 7))
    >>> start = LinearNet(0.1 * np.eye(7), ((zero,), (zero,)), residual=True)  # two layers, both I at first
    >>> run = ladder_flow(target, start, [0, 2, 10])
    >>> (run.loss / 7).round(3).tolist()
    [1.947, 1.606, 1.508]
    """
    equation = ladder_equation(
        target,
        net,
        weight_decay=weight_decay,
        row_weight=row_weight,
        train_embedding=train_embedding,
        train_layers=train_layers,
    )
    return at_times(equation, times, rtol, implicit_limit)


def ladder_problem(
    target: ArrayLike,
    net: LinearNet,
    weight_decay: float,
    row_weight: ArrayLike | None,
    train_embedding: bool,
    train_layers: bool,
) -> Problem:
    """The training problem that the arguments describe, checked."""
    t, decay = check_target(target), check_weight_decay(weight_decay)
    weight = check_row_weight(row_weight, len(t))
    if check_net(net).embedding.ndim != 2:
        raise ValueError(f"net must be a single one; got a batch, with embedding of shape {net.embedding.shape}")
    if len(net.embedding) != len(t):
        raise ValueError(f"net must have {len(t)} rows like the target; got embedding of shape {net.embedding.shape}")
    check_flag(train_embedding, "train_embedding"), check_flag(train_layers, "train_layers")
    if not train_embedding and not (train_layers and net.layers):
        raise ValueError("nothing is trained: leave train_embedding or, with layers, train_layers true")
    check_logits(ladder_logits(net), "net")
    parameters, q = compress_net(net.parameters)
    return Problem(parameters, q, net.residual, t, weight, decay, bool(train_embedding), bool(train_layers))


def ladder_trajectory(problem: Problem, times: Array, states: Array) -> LadderTrajectory:
    """The states of ``problem`` (k, rows, r) as nets."""
    net = LinearNet(*problem.full(states), residual=problem.skip)
    return LadderTrajectory(times, net, problem.loss(states))
