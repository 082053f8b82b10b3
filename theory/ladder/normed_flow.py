"""Exact gradient flow, and gradient descent, of a stack of residual sublayers read through norms (``ladder.pre_norm``).

All matrices move down the gradient of L(Z) = sum_i w_i [lse(Z_i) - T_i . Z_i], by one pass forward and one back: with
G_L = R E pulled back through diag(g) and the final norm, and l = L, ..., 1

    Q_l = act'(.) o G_l C_l',   dC_l/dt = H_l' G_l,   dA_l/dt = diag(g_l) N(x_{l-1})' Q_l
    G_{l-1} = G_l + DN' (Q_l A_l' diag(g_l)),   dg_l/dt = diag(N' Q_l A_l'),   dE/dt = R' N(x_L) diag(g) + G_0

Time t = step size x steps of full-batch descent on the sum over nodes. Without a norm and with identities it is the
linear residual ladder; without sublayers it is tied Node2Vec. Conserved as e -> 0 without sublayers: |E|^2 - |g|^2.
Layer norm reads no constant, so E 1 stands still where all gains are equal. ReLU's derivative jumps: its flow is exact
between the jumps. Without a gain that is trained the flow commutes with rotations of the m columns (layer norm: those
that keep 1). Source: ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_flag, shown
from ..flow.at_times import at_times
from ..flow.descent import check_step_size, check_steps, finite_loss, iterate
from ..flow.equations import FlowEquation, check_logits
from ..flow.integrator import RELATIVE_TOLERANCE
from ..softmax import check_row_weight, check_target, cross_entropy, residual
from .pre_norm import Pass, PreNormNet, arrays, check_pre_norm_net, pre_norm_logits


@dataclass(frozen=True, eq=False)
class PreNormTrajectory:
    """A net in training: ``times`` (k,), ``nets`` (k of them), ``loss`` (k,)."""

    times: Array
    nets: tuple[PreNormNet, ...]
    loss: Array

    @property
    def embedding(self) -> Array:
        """E(t), (k, n, m)."""
        return np.stack([net.embedding for net in self.nets])

    @property
    def gram(self) -> Array:
        """E(t) E(t)', (k, n, n)."""
        return self.embedding @ self.embedding.swapaxes(-1, -2)

    @property
    def logits(self) -> Array:
        """Z(t), (k, n, n)."""
        return np.stack([pre_norm_logits(net) for net in self.nets])


def pre_norm_equation(
    target: ArrayLike, net: PreNormNet, *, train_gain: bool = True, row_weight: ArrayLike | None = None
) -> FlowEquation[PreNormTrajectory]:
    """The flow from ``net``, for ``flow.path.follow``; ``train_gain``: of all norms. State: one vector."""
    problem = make_problem(target, net, train_gain, row_weight)

    def gram(states: Array) -> Array:
        e = problem.parts(states)[0]
        return np.asarray(e @ e.swapaxes(-1, -2))

    return FlowEquation(problem.start, problem.velocity, gram, problem.loss, problem.trajectory)


def pre_norm_flow(
    target: ArrayLike,
    net: PreNormNet,
    times: ArrayLike,
    *,
    train_gain: bool = True,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> PreNormTrajectory:
    """The net at the ascending ``times`` (k,) >= 0 of the flow.

    >>> import numpy as np
    >>> from fiedler.theory import PreNormNet, one_hop_target, parse, pre_norm_flow
    >>> start = PreNormNet(0.02 * np.random.default_rng(0).standard_normal((15, 32)))
    >>> run = pre_norm_flow(one_hop_target(parse("cycle:15")), start, [0, 1, 20], rtol=1e-6)
    >>> (run.loss / 15).round(3).tolist()
    [2.754, 1.466, 1.435]
    """
    return at_times(pre_norm_equation(target, net, train_gain=train_gain, row_weight=row_weight), times, rtol)


def pre_norm_descent(
    target: ArrayLike,
    net: PreNormNet,
    step_size: float,
    steps: ArrayLike,
    *,
    train_gain: bool = True,
    row_weight: ArrayLike | None = None,
) -> PreNormTrajectory:
    """Full-batch gradient descent after each number of ``steps``; FloatingPointError when it diverges."""
    return pre_norm_descents(target, [net], step_size, steps, train_gain=train_gain, row_weight=row_weight)[0]


def pre_norm_descents(
    target: ArrayLike,
    nets: Sequence[PreNormNet],
    step_size: float,
    steps: ArrayLike,
    *,
    train_gain: bool = True,
    row_weight: ArrayLike | None = None,
) -> tuple[PreNormTrajectory, ...]:
    """``pre_norm_descent`` of several ``nets`` of one form (seeds of one model) in one pass, each alone: nets of a few
    nodes cost the number of operations, not their size. Raises as it does, ValueError for nets of different forms too.

    >>> import numpy as np
    >>> from fiedler.theory import PreNormNet, one_hop_target, parse, pre_norm_descents
    >>> nets = [PreNormNet(0.02 * np.random.default_rng(seed).standard_normal((7, 8))) for seed in (0, 1)]
    >>> found = pre_norm_descents(one_hop_target(parse("cycle:7")), nets, 0.004, [0, 2000])
    >>> [(one.loss / 7).round(2).tolist() for one in found]
    [[1.96, 1.51], [1.96, 1.51]]
    """
    if isinstance(nets, PreNormNet) or not isinstance(nets, Sequence) or not len(nets):
        raise TypeError(f"nets must be a list of at least one PreNormNet; got {shown(nets)}")
    problems = [make_problem(target, net, train_gain, row_weight) for net in nets]
    first = problems[0]
    for index, problem in enumerate(problems):
        if problem.form != first.form:
            raise ValueError(f"nets[{index}] differs from nets[0] in shape, units or norms; descend it alone")
    eta, counts = check_step_size(step_size), check_steps(steps)
    starts = np.stack([problem.start for problem in problems])
    states = iterate(lambda state: state + eta * first.velocity(state), starts, counts)
    finite_loss(lambda: first.loss(states))
    times = eta * counts.astype(np.float64)
    return tuple(problem.trajectory(times, states[:, index]) for index, problem in enumerate(problems))


@dataclass(frozen=True, eq=False)
class Problem:
    """A net to be trained, its matrices as one vector (..., size)."""

    net: PreNormNet
    target: Array
    row_weight: Array
    train_gain: bool

    @property
    def start(self) -> Array:
        """The vector of ``net``."""
        return np.concatenate([part.ravel() for part in arrays(self.net)])

    @cached_property
    def _shapes(self) -> tuple[list[tuple[int, ...]], list[int]]:
        """Of the matrices, and where each ends in the vector."""
        shapes = [part.shape for part in arrays(self.net)]
        return shapes, np.cumsum([int(np.prod(shape)) for shape in shapes]).tolist()

    @property
    def form(self) -> tuple[Any, ...]:
        """What nets that are trained together have in common."""
        net = self.net
        return self._shapes[0], [one.activation for one in net.sublayers], net.norm, net.epsilon

    def parts(self, states: Array) -> list[Array]:
        """The matrices of ``arrays``, with the leading axes of ``states``."""
        shapes, ends = self._shapes
        lead = states.shape[:-1]
        return [
            states[..., begin:end].reshape(*lead, *shape)
            for begin, end, shape in zip([0, *ends], ends, shapes, strict=False)
        ]

    def velocity(self, state: Array) -> Array:
        """d state/dt, of one state or a stack of them."""
        return self.velocity_of(state, None)[1]

    def velocity_of(self, state: Array, held: Array | None) -> tuple[Array, Array]:
        """Z and d state/dt; ``held``: a residual (n, n) in the place of that of the loss."""
        forward = Pass(self.net, self.parts(state))
        r = residual(forward.logits, self.target, self.row_weight) if held is None else held
        lead = state.shape[:-1]
        moved = np.concatenate([part.reshape(*lead, -1) for part in forward.descent(r, self.train_gain)], axis=-1)
        return forward.logits, moved

    def logits(self, states: Array) -> Array:
        """Z, (..., n, n)."""
        return Pass(self.net, self.parts(states)).logits

    def loss(self, states: Array) -> Array:
        """L, shape () or (...)."""
        return cross_entropy(self.logits(states), self.target, self.row_weight)

    def to_net(self, state: Array) -> PreNormNet:
        """One state as a net."""
        parts = self.parts(state)
        sublayers = tuple(
            replace(one, read=parts[1 + 3 * i], write=parts[2 + 3 * i], gain=parts[3 + 3 * i])
            for i, one in enumerate(self.net.sublayers)
        )
        return PreNormNet(parts[0], sublayers, parts[-1], self.net.norm, self.net.epsilon)

    def trajectory(self, times: Array, states: Array) -> PreNormTrajectory:
        """States (k, size) as nets."""
        return PreNormTrajectory(times, tuple(self.to_net(state) for state in states), self.loss(states))


def make_problem(target: ArrayLike, net: PreNormNet, train_gain: bool, row_weight: ArrayLike | None) -> Problem:
    """The training problem that the arguments describe, checked."""
    t = check_target(target)
    weight = check_row_weight(row_weight, len(t))
    check_pre_norm_net(net, len(t))
    check_logits(pre_norm_logits(net), "net")
    return Problem(net, t, weight, check_flag(train_gain, "train_gain"))
