"""When each mode is learned: the measured time at which it reaches order one, beside t_k = ln(1/s^2) / (2 s_k).

A mode that starts with energy s^2 a dimension and grows at the rate s_k of the linear flow (``flow.early``) has energy
one a dimension at t_k. Measured here: the first time at which the energy of the eigenspace (of S0, or of the left
singular spaces of R0 when untied) reaches ``threshold`` times its dimension along the exact infinite-width flow.

As s -> 0 the ratio of the leading space tends to one: up to a time of order one before t_1 everything is linear, and
what follows does not know s, so measured - t_1 tends to a constant and

    measured / t_1 = 1 + O(1 / ln(1/s^2)).

The spaces after it grow at their linear rates only until then, to energies s^(2 - 2 s_k/s_1); afterwards in the
presence of the first (faster, slower, or not at all: on a cycle with small s only the first reaches one). Their
predicted times are bare extrapolations, kept beside the measured ones. Untied, V starts with half its energy in the
growing combination: the constant is ln(2) / (2 s_1) larger.

float64; times are those of the flow, t = step_size * steps. Assumes s < 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_array, check_number, check_type, shown
from ..spectra.laplacians import Eigenspaces, eigenspaces
from .early import EarlyModes, early_modes
from .equations import FlowEquation, tied_equation, untied_equation
from .integrator import LAST_TIME, check_times
from .path import energy_reaches, follow
from .starts import check_scale, wide_tied_start, wide_untied_start

T = TypeVar("T")

HORIZON = 3.0  # default end of the flow in units of the predicted time of the fastest space


@dataclass(frozen=True, eq=False)
class ModeTimes:
    """Per eigenspace of the early flow, fastest first: ``rates`` s_k, ``dimensions``, ``predicted`` t_k and
    ``measured`` times, all (k,); infinity for spaces that do not grow, or were not seen to reach the threshold by
    ``end``."""

    rates: Array
    dimensions: Array
    predicted: Array
    measured: Array
    end: float

    @property
    def ratio(self) -> Array:
        """measured / predicted, NaN where either is infinite."""
        finite = np.isfinite(self.predicted) & np.isfinite(self.measured)
        return np.divide(self.measured, self.predicted, out=np.full(len(self.rates), np.nan), where=finite)


def early_spaces(modes: EarlyModes) -> Eigenspaces:
    """The modes grouped by equal rate, ascending in the rate (the order of ``Eigenspaces``), on the V side."""
    check_type(modes, EarlyModes, "modes", "make them with early_modes")
    return eigenspaces((modes.left * modes.rates) @ modes.left.T)


def measured_mode_times(
    target: ArrayLike,
    init_scale: float,
    *,
    threshold: float = 1.0,
    end: float | None = None,
    tied: bool = True,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
) -> ModeTimes:
    """Predicted and measured times of every eigenspace along the flow from K(0) = s^2 I, s = ``init_scale`` in (0, 1).

    The flow is followed to ``end``: HORIZON times the prediction of the fastest space when None. Raises ValueError for
    a scale outside (0, 1), a threshold that is not positive, or when no mode grows.
    """
    level = check_scale(threshold, "threshold")
    modes = early_modes(target, tied=tied, weight_decay=weight_decay, row_weight=row_weight)
    spaces = early_spaces(modes)
    rates, dimensions = spaces.eigenvalues[::-1], spaces.multiplicities[::-1].astype(np.float64)
    predicted = EarlyModes(rates, modes.left, modes.right, tied).mode_times(init_scale)
    if not np.isfinite(predicted).any():
        raise ValueError(f"no mode grows from zero: the largest rate is {rates[0]:.3g}; use less weight decay")
    last = HORIZON * float(predicted[0]) if end is None else check_number(end, "end")
    n, count = len(modes.rates), len(rates)

    def measure(equation: FlowEquation[T]) -> Array:
        wanted = [
            energy_reaches(equation, spaces, count - 1 - k, level * dimensions[k], name=str(k)) for k in range(count)
        ]
        event_times = follow(equation, last, events=wanted).event_times
        return np.array([event_times[str(k)] for k in range(count)])

    if tied:
        start = wide_tied_start(n, init_scale)
        times = measure(tied_equation(target, start, weight_decay=weight_decay, row_weight=row_weight))
    else:
        starts = wide_untied_start(n, init_scale)
        times = measure(untied_equation(target, *starts, weight_decay=weight_decay, row_weight=row_weight))
    return ModeTimes(rates, dimensions, predicted, times, last)


def reach_times(times: ArrayLike, energy: ArrayLike, level: ArrayLike) -> Array:
    """First time each recorded energy reaches its level: ``times`` (k,) ascending, ``energy`` (k, modes) > 0, ``level``
    () or (modes,), for runs recorded at discrete steps. (modes,): linear in log energy between two records (exact for
    exponential growth), the first time when it starts there, infinity when it never gets there.

    Raises ValueError for shapes that do not fit, or a level that is not positive.
    """
    t, e = check_times(times, LAST_TIME), check_array(energy, "energy", largest=np.inf)
    if e.ndim != 2 or len(e) != len(t) or not (e >= 0).all():
        raise ValueError(f"energy must be non-negative with one row a time ({len(t)}); got shape {e.shape}")
    levels = check_array(level, "level", largest=np.inf)
    if levels.shape not in ((), e.shape[1:]):
        raise ValueError(f"level must be a number or one a mode, {e.shape[1:]}; got shape {levels.shape}")
    want = np.broadcast_to(levels, e.shape[1:])
    if not (want > 0).all():
        raise ValueError(f"every level must be positive; got {shown(level)}")
    out = np.full(e.shape[1], np.inf)
    reached = e >= want
    for k in np.flatnonzero(reached.any(axis=0)):
        i = int(reached[:, k].argmax())
        low = np.log(max(e[i - 1, k], np.finfo(float).tiny)) if i else 0.0
        share = (np.log(want[k]) - low) / (np.log(e[i, k]) - low) if i else 1.0
        out[k] = t[i] - (1 - share) * (t[i] - t[i - 1]) if i else t[0]
    return out
