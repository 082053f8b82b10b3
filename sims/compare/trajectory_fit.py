"""How near the recorded mode energies of a run are to the predicted ones over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from ..predict.trajectory import PredictedTrajectory
from ..runs.recorder import Modes
from ..scores.embedding import Floats

# Modes below this share of the predicted energy at that time are left out of the trajectory error: they are on their
# way to zero, where a finite-width run wanders by orders of magnitude that no figure shows.
VISIBLE_SHARE = 1e-2


@dataclass(frozen=True)
class TrajectoryFit:
    """Distance of measured from predicted centred mode energies, in decades (log10), over visible modes and times.

    ``time_scale``: flow time per step, the model's own or fitted; ``amplitude``: fitted factor on the energies, or 1.
    ``fitted`` names what was fitted (nothing for Node2Vec). ``correlation`` of the log energies.
    """

    rms_log10: float
    max_log10: float
    correlation: float
    time_scale: float
    amplitude: float
    fitted: tuple[str, ...]
    points: int

    @property
    def what(self) -> str:
        """What was fitted, by name: "time scale and amplitude", or "nothing"."""
        return " and ".join(self.fitted).replace("_", " ") or "nothing"

    @property
    def words(self) -> str:
        """What was fitted, with its numbers: "fitted: 0.01 of flow time a step, energies divided by 2", or "nothing
        fitted"."""
        if not self.fitted:
            return "nothing fitted"
        return f"fitted: {self.time_scale:.3g} of flow time a step, energies divided by {self.amplitude:.3g}"


def fit_trajectory(predicted: PredictedTrajectory | None, modes: Modes, time_per_step: float | None) -> TrajectoryFit:
    """Compare a run's recorded modes (steps > 0) with the predicted ones, interpolated linearly in log-log.

    With ``time_per_step`` None one time scale and one amplitude are fitted by least squares on the log energies;
    otherwise nothing is. Without a visible mode to compare, or a prediction, the distances are NaN.
    """
    if predicted is None:
        return TrajectoryFit(np.nan, np.nan, np.nan, np.nan if time_per_step is None else time_per_step, 1.0, (), 0)
    used = modes.steps > 0
    steps, measured = modes.steps[used].astype(np.float64), modes.centred_energy[used]
    if time_per_step is not None:
        return _fit_at(predicted, steps, measured, time_per_step, fit_amplitude=False)
    middle = np.log(predicted.times[[0, -1]].prod() ** 0.5 / np.exp(np.log(steps).mean()))
    grid = middle + np.linspace(-8, 8, 65)

    def error(x: float) -> float:
        return _fit_at(predicted, steps, measured, float(np.exp(x)), fit_amplitude=True).rms_log10

    best = minimise_on_grid(error, grid)  # None: no mode to compare at any time scale
    return _fit_at(predicted, steps, measured, float(np.exp(middle if best is None else best)), fit_amplitude=True)


def minimise_on_grid(function: Callable[[float], float], grid: Floats) -> float | None:
    """Where ``function`` is least: between the neighbours of its least value on ``grid`` (k,) that is not NaN; None
    where all are."""
    values = [function(x) for x in grid]
    if np.isnan(values).all():
        return None
    best = int(np.nanargmin(values))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    return float(minimize_scalar(function, bounds=bounds, method="bounded").x)


def interpolate_energy(predicted: PredictedTrajectory, times: Floats) -> Floats:
    """Predicted centred energies at ``times``; (len(times), modes)."""
    return interpolate_logs(predicted.times, predicted.centred_energy, times)


def interpolate_logs(grid: Floats, energy: Floats, times: Floats) -> Floats:
    """``energy`` (k, modes) at the ascending ``grid`` (k,) > 0 taken to ``times``, linear in log-log, constant beyond
    either end; (len(times), modes)."""
    logs = np.log(np.maximum(energy, np.finfo(np.float64).tiny))
    return np.exp(np.stack([np.interp(np.log(times), np.log(grid), column) for column in logs.T], axis=1))


def _fit_at(
    predicted: PredictedTrajectory, steps: Floats, measured: Floats, scale: float, *, fit_amplitude: bool
) -> TrajectoryFit:
    expected = interpolate_energy(predicted, scale * steps)
    visible = (expected >= VISIBLE_SHARE * expected.sum(axis=1, keepdims=True)) & (measured > 0)
    fitted = ("time_scale", "amplitude") if fit_amplitude else ()
    if not visible.any():
        return TrajectoryFit(np.nan, np.nan, np.nan, scale, 1.0, fitted, 0)
    want, have = np.log10(expected[visible]), np.log10(measured[visible])
    shift = float((have - want).mean()) if fit_amplitude else 0.0
    miss = have - want - shift
    spread = want.std() * have.std()
    correlation = float(((want - want.mean()) * (have - have.mean())).mean() / spread) if spread > 0 else np.nan
    return TrajectoryFit(
        float(np.sqrt((miss**2).mean())),
        float(np.abs(miss).max()),
        correlation,
        scale,
        10.0**shift,
        fitted,
        int(visible.sum()),
    )
