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

from ..checks import (
    LARGEST_ENTRY,
    Array,
    check_array,
    check_flag,
    check_number,
    check_positive,
    check_whole_number,
    shown,
)
from ..spectra.laplacians import Eigenspaces, check_spaces
from .equations import FlowEquation, check_equation
from .integrator import IMPLICIT_LIMIT, LAST_FLOW_TIME, RELATIVE_TOLERANCE, Event, Integration, check_times, integrate

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
    check_equation(equation)
    if check_number(end, "the end") > LAST_FLOW_TIME:
        raise ValueError(f"the end must be a time <= {LAST_FLOW_TIME:.0e}; got {shown(end)}")
    options: dict[str, Any] = {"events": events, "rtol": rtol, "implicit_limit": implicit_limit}
    options["vectorized"] = equation.vectorized
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

    Named "energy k" unless told otherwise. Raises ValueError when the spaces are not those of n nodes, or for a missing
    eigenspace.
    """
    check_equation(equation), check_flag(rising, "rising")
    k = check_whole_number(k, "k", 0, check_spaces(spaces).eigenvalues.size - 1)
    level = check_number(level, "level")
    columns, sign = spaces.columns(k), 1.0 if rising else -1.0
    n = equation.gram(equation.start).shape[-1]
    if len(columns) != n:
        raise ValueError(f"the eigenspaces are of {len(columns)} nodes, the flow of {n}; use those of the same graph")

    def measure(state: Array) -> float:
        return sign * (float(np.sum(columns * (equation.gram(state) @ columns))) - level)

    return Event(f"energy {k}" if name is None else name, measure, terminal)


def loss_falls_below(equation: FlowEquation[T], level: float, *, terminal: bool = False, name: str = "loss") -> Event:
    """The loss L, summed over rows and without weight decay, is at most ``level``."""
    check_equation(equation)
    level = check_number(level, "level")
    return Event(name, lambda state: level - float(equation.loss(state)), terminal)


def stationary(
    equation: FlowEquation[T], tolerance: float, *, terminal: bool = True, name: str = "stationary"
) -> Event:
    """The Frobenius norm of the velocity is at most ``tolerance`` > 0.

    A step is exact to ``rtol`` times the state, which the fastest mode turns into a velocity: a tolerance below rtol
    times the largest logit times the norm of V may never be met. Costs one velocity a step.
    """
    check_equation(equation)
    tolerance = check_positive(tolerance, "tolerance")
    return Event(name, lambda state: tolerance - float(np.linalg.norm(equation.velocity(state))), terminal)


def space_energies(grams: ArrayLike, spaces: Eigenspaces) -> Array:
    """tr(Pi_k K) for a stack of Gram matrices (..., n, n): (..., number of eigenspaces)."""
    k, basis = check_array(grams, "grams", largest=LARGEST_ENTRY**2), check_spaces(spaces).basis
    if k.shape[-2:] != basis.shape:
        raise ValueError(f"grams must have shape (..., {len(basis)}, {len(basis)}) like the eigenspaces; got {k.shape}")
    per_column = np.einsum("...ij,ik,jk->...k", k, basis, basis, optimize=True)
    starts = np.cumsum(spaces.multiplicities) - spaces.multiplicities
    return np.asarray(np.add.reduceat(per_column, starts, axis=-1))
