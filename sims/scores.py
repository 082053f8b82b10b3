"""Every alignment measure of one embedding, and how well a run follows its predicted trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from fiedler.theory import (
    TiedOptimum,
    coefficient_norms,
    edge_margin,
    effective_rank,
    fiedler_score,
    geometric_level,
    geometric_margin,
    gram_error,
    gram_scale,
    mode_energy,
    principal_angles,
    vector_energy,
)

from .line_scores import edge_recall
from .prediction import PredictedTrajectory
from .recorder import Modes
from .tasks import Task

Floats = NDArray[np.float64]

# Modes below this share of the predicted energy at that time are left out of the trajectory error: they are on their
# way to zero, where a finite-width run wanders by orders of magnitude that no figure shows.
VISIBLE_SHARE = 1e-2


def score_embedding(embedding: NDArray[np.floating], task: Task, optimum: TiedOptimum) -> dict[str, Any]:
    """The alignment measures of theory.alignment for one embedding (n, m), as a plain dictionary.

    Lists are per eigenspace of the Laplacian in ascending eigenvalue (``energy``, ``centred_energy``) or per basis
    vector in that order (``vector_energy`` = ||V'e_i||, ``coefficient_norms`` = ||C e_i||). Edges are those of the
    task's direction; the self-edges of the task are in the geometric level, not in ``geometric_level_neighbours``.
    """
    v = np.asarray(embedding, dtype=np.float64)
    margin, margin_top1 = geometric_margin(v, task.graph, direction=task.edges)
    lines: dict[str, Any] = {"self_edges": task.self_edges, "direction": task.edges}
    return {
        "energy": mode_energy(v, task.spaces),
        "centred_energy": mode_energy(v, task.spaces, centred=True),
        "fiedler_score": fiedler_score(v, optimum),
        "effective_rank": effective_rank(v, components=optimum.components),
        "gram_error": gram_error(v, optimum),
        "gram_scale": gram_scale(v, optimum),
        "principal_angles": principal_angles(v, optimum),
        "geometric_level": geometric_level(v, task.graph, **lines),
        "geometric_level_centred": geometric_level(v, task.graph, **lines, centred=True),
        "geometric_level_neighbours": geometric_level(v, task.graph, direction=task.edges),
        "geometric_margin": margin,
        "geometric_margin_top1": margin_top1,
        "vector_energy": vector_energy(v, task.spaces.basis),
        "coefficient_norms": coefficient_norms(v, task.target, task.spaces.basis, task.row_weight),
    }


def score_logits(logits: NDArray[np.floating], task: Task) -> dict[str, Any]:
    """Edge margin and recall (``line_scores.edge_recall``) of a model's own logits (n, n)."""
    z = np.array(logits, dtype=np.float64)
    margin, top1 = edge_margin(z, task.graph, direction=task.edges)
    return {"edge_margin": margin, "edge_top1": top1, "edge_recall": edge_recall(task, z)}


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


def fit_trajectory(predicted: PredictedTrajectory, modes: Modes, time_per_step: float | None) -> TrajectoryFit:
    """Compare a run's recorded modes (steps > 0) with the predicted ones, interpolated linearly in log-log.

    With ``time_per_step`` None one time scale and one amplitude are fitted by least squares on the log energies;
    otherwise nothing is. Without a visible mode to compare the distances are NaN.
    """
    used = modes.steps > 0
    steps, measured = modes.steps[used].astype(np.float64), modes.centred_energy[used]
    if time_per_step is not None:
        return _fit_at(predicted, steps, measured, time_per_step, fit_amplitude=False)
    middle = np.log(predicted.times[[0, -1]].prod() ** 0.5 / np.exp(np.log(steps).mean()))
    grid = middle + np.linspace(-8, 8, 65)
    errors = [_fit_at(predicted, steps, measured, float(np.exp(x)), fit_amplitude=True).rms_log10 for x in grid]
    if np.isnan(errors).all():  # no mode to compare at any time scale
        return _fit_at(predicted, steps, measured, float(np.exp(middle)), fit_amplitude=True)
    best = int(np.nanargmin(errors))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        lambda x: _fit_at(predicted, steps, measured, float(np.exp(x)), fit_amplitude=True).rms_log10,
        bounds=(low, high),
        method="bounded",
    )
    return _fit_at(predicted, steps, measured, float(np.exp(found.x)), fit_amplitude=True)


def interpolate_energy(predicted: PredictedTrajectory, times: Floats) -> Floats:
    """Predicted centred energies at ``times``, linear in log-log, constant beyond either end; (len(times), modes)."""
    tiny = np.finfo(np.float64).tiny
    grid, logs = np.log(predicted.times), np.log(np.maximum(predicted.centred_energy, tiny))
    return np.exp(np.stack([np.interp(np.log(times), grid, column) for column in logs.T], axis=1))


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
