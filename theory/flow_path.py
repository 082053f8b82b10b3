"""A flow followed once and asked anywhere: states at any time of the span, and when things happened on the way.

    path = follow(tied_equation(target, embedding0), 1000.0, events=[...])
    path.at([0.5, 20.0]).loss; path.event_times["stationary"]

Times are those of the flow, t = step_size * steps. Interpolated states are as exact as the steps (``rtol`` of the
largest entry at the start).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from .cross_entropy import Array
from .flow_equations import FlowEquation
from .flow_integrator import IMPLICIT_LIMIT, RELATIVE_TOLERANCE, Event, Integration, check_times, integrate
from .laplacian import Eigenspaces

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class FlowPath(Generic[T]):
    """The flow of ``equation`` from t = 0 to ``end``; see ``Integration`` for the other figures."""

    equation: FlowEquation[T]
    integration: Integration

    @property
    def end(self) -> float:
        """Last time: the requested one, or that of the terminal event ``stopped_by``."""
        return self.integration.end

    @property
    def stopped_by(self) -> str | None:
        """Name of the terminal event that ended the flow, None when it was followed to the requested end."""
        return self.integration.stopped_by

    @property
    def event_times(self) -> dict[str, float]:
        """First time of each event by name, infinity when it did not happen."""
        return self.integration.event_times

    def at(self, times: ArrayLike) -> T:
        """The trajectory at ascending ``times`` (k,) in [0, end]; ValueError for a time outside."""
        t = check_times(times)
        return self.equation.trajectory(t, self.integration.at(t))

    def mode_energy(self, times: ArrayLike, spaces: Eigenspaces) -> Array:
        """tr(Pi_k VV') of each eigenspace k at ``times``, (len(times), k)."""
        grams = self.equation.gram(self.integration.at(times))
        return space_energies(grams, spaces)


def follow(
    equation: FlowEquation[T],
    end: float,
    *,
    events: Sequence[Event] = (),
    rtol: float = RELATIVE_TOLERANCE,
    implicit_limit: int = IMPLICIT_LIMIT,
) -> FlowPath[T]:
    """Follow the flow to ``end`` or the first terminal event, keeping every step. Raises as ``integrate`` does."""
    options: dict[str, Any] = {"events": events, "rtol": rtol, "implicit_limit": implicit_limit}
    return FlowPath(equation, integrate(equation.velocity, equation.start, end, dense_output=True, **options))


def energy_reaches(
    equation: FlowEquation[T],
    spaces: Eigenspaces,
    k: int,
    level: float,
    *,
    rising: bool = True,
    terminal: bool = False,
    name: str | None = None,
) -> Event:
    """The energy tr(Pi_k VV') of eigenspace ``k`` is at least ``level`` (at most, when not ``rising``).

    Named "energy k" unless told otherwise. Raises ValueError when the spaces are not those of n nodes, IndexError
    for a missing eigenspace.
    """
    columns, sign = spaces.columns(k), 1.0 if rising else -1.0
    n = equation.gram(equation.start).shape[-1]
    if len(columns) != n:
        raise ValueError(f"the eigenspaces are of {len(columns)} nodes, the flow of {n}; use those of the same graph")

    def measure(state: Array) -> float:
        return sign * (float(np.sum(columns * (equation.gram(state) @ columns))) - level)

    return Event(f"energy {k}" if name is None else name, measure, terminal)


def loss_falls_below(equation: FlowEquation[T], level: float, *, terminal: bool = False, name: str = "loss") -> Event:
    """The loss L, summed over rows and without weight decay, is at most ``level``."""
    return Event(name, lambda state: level - float(equation.loss(state)), terminal)


def stationary(
    equation: FlowEquation[T], tolerance: float, *, terminal: bool = True, name: str = "stationary"
) -> Event:
    """The Frobenius norm of the velocity is at most ``tolerance`` > 0.

    A step is exact to ``rtol`` times the state, which the fastest mode turns into a velocity: a tolerance below rtol
    times the largest logit times the norm of V may never be met. Costs one velocity a step.
    """
    if not tolerance > 0:
        raise ValueError(f"the tolerance of a stationary state must be positive; got {tolerance}")
    return Event(name, lambda state: tolerance - float(np.linalg.norm(equation.velocity(state))), terminal)


def space_energies(grams: Array, spaces: Eigenspaces) -> Array:
    """tr(Pi_k K) for a stack of Gram matrices (..., n, n): (..., number of eigenspaces)."""
    basis = spaces.basis
    per_column = np.einsum("...ij,ik,jk->...k", grams, basis, basis, optimize=True)
    starts = np.cumsum(spaces.multiplicities) - spaces.multiplicities
    return np.asarray(np.add.reduceat(per_column, starts, axis=-1))
