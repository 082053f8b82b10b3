"""Exact full-batch gradient descent of a linear net: every matrix moves by step_size times its velocity, all from the
old values. The Euler scheme of ``ladder.flow``, t = step_size * steps; conserved differences move by O(step_size).

float64, O(L n m^2 + n^2 m) a step. Raises ValueError as the flow does, FloatingPointError when the iterates overflow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..checks import LARGEST_ENTRY, Array
from ..flow.descent import check_step_size, check_steps, finite_loss, iterate
from .flow import LadderTrajectory, ladder_problem, ladder_trajectory
from .net import LinearNet
from .velocity import Problem


def ladder_descent(
    target: ArrayLike,
    net: LinearNet,
    step_size: float,
    steps: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    train_embedding: bool = True,
    train_layers: bool = True,
) -> LadderTrajectory:
    """The net after each of ``steps`` (ascending whole numbers); ``times`` = step_size * steps."""
    problem = ladder_problem(target, net, weight_decay, row_weight, train_embedding, train_layers)
    return ladder_trajectory(problem, *descend(problem, step_size, steps))


def descend(problem: Problem, step_size: float, steps: ArrayLike) -> tuple[Array, Array]:
    """Times and states (k, rows, r) of gradient descent, checked."""
    eta, counts = check_step_size(step_size), check_steps(steps)
    states = iterate(lambda state: state + eta * problem.velocity(state), problem.start, counts)
    finite_loss(lambda: problem.loss(states))
    if (largest := float(np.abs(states).max())) > LARGEST_ENTRY:
        raise FloatingPointError(f"gradient descent diverged: it reaches {largest:.1e}; use a smaller step size")
    return eta * counts.astype(np.float64), states
