"""How far the mode energies of a run agree with predicted ones: the share explained, with nothing fitted and with a
clock, and the first time they part.

With y the measured energies (times, modes) and p the predicted, R^2 = 1 - sum (y - p)^2 / sum (y - mean y)^2 over all
of them: 1 where they agree, 0 for a prediction no better than one number, negative for a worse one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..trajectory_fit import interpolate_logs, minimise_on_grid

Floats = NDArray[np.float64]

HOLDS = 0.99  # R^2 over time, nothing fitted, from which a prediction is said to hold
PARTED = 0.1  # of the largest predicted energy: farther apart than this the prediction has failed
WIDEST_CLOCK, CLOCKS = 1e3, 121  # factors tried on time, evenly in its logarithm, both ways


@dataclass(frozen=True, eq=False)
class Predicted:
    """Centred mode energies (k, modes) at ascending ``times`` (k,) > 0, constant beyond either end."""

    times: Floats
    energy: Floats

    def at(self, times: Floats) -> Floats:
        """Linear in log energy against log time between two of them."""
        return interpolate_logs(self.times, self.energy, times)


@dataclass(frozen=True)
class Agreement:
    """``over_time``, ``at_end``: R^2 with nothing fitted, of all recorded times and of the last alone; NaN for a model
    that has no flow time of its own. ``clock``: the factor on time that explains most, ``with_clock`` R^2 with it.
    ``parted_at``: the first time from which the energies are farther apart than PARTED of the largest predicted norm,
    None where they never are, or where there is no time."""

    over_time: float
    at_end: float
    clock: float
    with_clock: float
    parted_at: float | None


def r_squared(measured: Floats, predicted: Floats) -> float:
    """The formula above; NaN where all measured energies are the same."""
    spread = float(((measured - measured.mean()) ** 2).sum())
    return 1 - float(((measured - predicted) ** 2).sum()) / spread if spread > 0 else float("nan")


def agreement(predicted: Predicted, steps: Floats, energy: Floats, time_per_step: float | None) -> Agreement:
    """Of a run's ``energy`` (k, modes) at ``steps`` (k,) > 0. Without ``time_per_step`` only the clock is fitted, from
    one unit of time a step."""
    times = steps * (1.0 if time_per_step is None else time_per_step)
    clock = _clock(predicted, times, energy)
    fitted = r_squared(energy, predicted.at(clock * times))
    if time_per_step is None:
        return Agreement(float("nan"), float("nan"), clock, fitted, None)
    expected = predicted.at(times)
    apart = np.linalg.norm(energy - expected, axis=1) > PARTED * np.linalg.norm(expected, axis=1).max()
    return Agreement(
        r_squared(energy, expected),
        r_squared(energy[-1], expected[-1]),
        clock,
        fitted,
        float(times[np.argmax(apart)]) if apart.any() else None,
    )


def _clock(predicted: Predicted, times: Floats, energy: Floats) -> float:
    def missed(log_factor: float) -> float:
        return float(((energy - predicted.at(np.exp(log_factor) * times)) ** 2).sum())

    grid = np.linspace(-np.log(WIDEST_CLOCK), np.log(WIDEST_CLOCK), CLOCKS)
    best = minimise_on_grid(missed, grid)
    return float("nan") if best is None else float(np.exp(best))
