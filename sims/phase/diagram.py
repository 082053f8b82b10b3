"""Phase diagrams: where the runs of a sweep are geometric and where associative, and where theory says they are.

The sign of the geometric margin (the mean over nodes of the largest logit of a neighbour minus the largest of a
non-neighbour, in the embedding's own directions) tells the two apart: its boundary is 0 (arXiv 2510.26745, regulariser
study). That holds for models with one embedding for both sides. Of an untied V the margin is negative however
geometric it is, because along the untied flow nodes two steps apart come closest: no boundary is drawn there. Other
scores get a boundary only where one is asked for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import ReadOptions, parse

from ..tasks.task import TASK_OPTIONS, Task
from .axes import Axis, level_lines, line_distance
from .prediction import PhasePrediction, Surface, predict_phase
from .table import METRIC, READING, PhaseGrid, phase_grid

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PhaseDiagram", "describe_phase", "phase_diagram", "phase_grid"]

Floats = NDArray[np.float64]

BOUNDARIES = {METRIC: 0.0}  # of models that are tied
SIDES = {METRIC: ("associative", "geometric")}  # below and above the boundary
NEITHER = 1e-6  # a score this close to the boundary is on no side: no softmax shows it (all modes dead)
RESOLVED = 2.0  # standard errors from the boundary from which a measured side counts


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """Measured ``grid`` and ``prediction``; ``boundary`` of the score, None where none is known; ``notes``: what has to
    be said beside them.

    ``measured_lines``, ``limit_lines``, ``finite_lines``: where the measured mean, the prediction of infinite and that
    of finite width cross the boundary, as polylines (m, 2) or, over one axis, points (1, 1).
    """

    grid: PhaseGrid
    prediction: PhasePrediction
    boundary: float | None
    notes: tuple[str, ...]
    measured_lines: tuple[Floats, ...]
    limit_lines: tuple[Floats, ...]
    finite_lines: tuple[Floats, ...]

    @property
    def sides(self) -> tuple[str, str]:
        """What scores below and above the boundary are called."""
        return SIDES.get(self.grid.metric, ("below", "above"))

    def side(self, values: Floats) -> NDArray[np.int64]:
        """-1 below and 1 above the boundary, 0 within NEITHER of it, for NaN and without a boundary."""
        if self.boundary is None:
            return np.zeros(np.shape(values), dtype=np.int64)
        apart = np.nan_to_num(values - self.boundary)
        return np.where(np.abs(apart) > NEITHER, np.sign(apart), 0.0).astype(np.int64)

    def resolved_side(self) -> NDArray[np.int64]:
        """The measured side of each cell, 0 where the mean over seeds is within RESOLVED standard errors of the
        boundary (those of a single seed are not known, and it counts)."""
        grid = self.grid
        error = np.nan_to_num(grid.std) / np.sqrt(np.maximum(grid.done, 1))
        level = math.nan if self.boundary is None else self.boundary
        return np.where(np.abs(grid.mean - level) > RESOLVED * error, self.side(grid.mean), 0)


def phase_diagram(
    table: pd.DataFrame,
    x: str,
    y: str | None = None,
    metric: str = METRIC,
    *,
    fixed: Mapping[str, Any] | None = None,
    boundary: float | None = None,
    task: Task | None = None,
    samples: int | None = None,
    predict: bool = True,
) -> PhaseDiagram:
    """The measured grid of ``phase_grid`` with what theory predicts for it, nothing fitted.

    ``boundary`` of the score: by default 0 for the geometric margin of a tied model, none for others. ``task``: graph
    and target, where "graph" in the table is no word or file that can be read. ``samples``: see ``predict_phase``.
    Raises ValueError as ``phase_grid`` and for a boundary that is not finite.
    """
    if boundary is not None and not math.isfinite(boundary):
        raise ValueError(f"boundary must be a finite number; got {boundary}")
    grid = phase_grid(table, x, y, metric, fixed=fixed)
    level = BOUNDARIES.get(metric) if boundary is None and (grid.model is None or grid.model.tied) else boundary
    prediction = _predict(grid, task, samples) if predict else PhasePrediction("no prediction was asked for")
    measured = _cell_lines(grid, grid.mean, level)
    lines = measured, _lines(grid, prediction.limit, level), _lines(grid, prediction.finite, level)
    notes = [note for note in (prediction.note, prediction.deaths_note) if note]
    if level is None and metric in BOUNDARIES:
        notes.append("no boundary: the sign of an untied V's margin does not tell geometric from associative")
    diagram = PhaseDiagram(grid, prediction, level, (), *lines)
    return PhaseDiagram(grid, prediction, level, (*notes, *_without_lines(diagram)), *lines)


def describe_phase(
    table: pd.DataFrame | PhaseDiagram, x: str = "", y: str | None = None, metric: str = METRIC, **options: Any
) -> dict[str, Any]:
    """A phase diagram, or that of ``phase_diagram(table, x, y, metric, **options)``, as a dictionary for JSON.

    "cells": one each, with mean, std, low, high, how many seeds are done, undefined and failed, side (null where
    unresolved) and the predicted scores. "measured_boundary", "predicted_boundary", "predicted_boundary_finite_width":
    polylines in units of the axes. "mode_deaths". "stable_rate": above it gradient descent
    leaves its flow (null where not within the axis). "agreement": for each prediction the resolved cells that have a
    predicted side and how many are on it, root mean square and largest difference of the scores, and the mean distance
    of the predicted boundary from the measured one, both interpolated between the measured cells (in decades of
    logarithmic axes, else in units of the range; null where either has none).
    """
    diagram = table if isinstance(table, PhaseDiagram) else phase_diagram(table, x, y, metric, **options)
    grid, p = diagram.grid, diagram.prediction
    names = [axis.name for axis in grid.axes]
    side = diagram.resolved_side()
    cells = [
        {
            **dict(zip(names, grid.cells[k].tolist(), strict=True)),
            **{name: float(getattr(grid, name)[k]) for name in ("mean", "std", "low", "high")},
            **{name: int(getattr(grid, name)[k]) for name in ("done", "undefined", "failed")},
            "side": {-1: diagram.sides[0], 0: None, 1: diagram.sides[1]}[int(side[k])],
            "predicted": None if p.limit is None else float(p.limit.cells[k]),
            "predicted_finite_width": None if p.finite is None else float(p.finite.cells[k]),
        }
        for k in range(len(grid.cells))
    ]
    return {
        "graph": grid.graph,
        "model": grid.name,
        "metric": grid.metric,
        "x": names[0],
        "y": names[1] if len(names) > 1 else None,
        "layout": grid.layout,
        "boundary": diagram.boundary,
        "settings": dict(grid.settings),
        "seeds": list(grid.seeds),
        "samples": p.samples,
        "cells": cells,
        "measured_boundary": [line.tolist() for line in diagram.measured_lines],
        "predicted_boundary": [line.tolist() for line in diagram.limit_lines],
        "predicted_boundary_finite_width": [line.tolist() for line in diagram.finite_lines],
        "mode_deaths": list(p.deaths),
        "stable_rate": p.stable_rate,
        "agreement": {
            "infinite_width": _agreement(diagram, p.limit),
            "finite_width": _agreement(diagram, p.finite),
        },
        "notes": list(diagram.notes),
    }


def _predict(grid: PhaseGrid, task: Task | None, samples: int | None) -> PhasePrediction:
    """The prediction of the cells that have a finished seed, and of the range they span."""
    if grid.model is None:
        return PhasePrediction(f"no prediction for runs of fiedler {grid.command}")
    ranges = [name for name, value in grid.settings.items() if isinstance(value, tuple)]
    if ranges:
        return PhasePrediction(f"no prediction: {', '.join(ranges)} vary")
    if not grid.done.any():
        return PhasePrediction("no prediction: no run is done")
    if task is None:
        options = {name: grid.settings[name] for name in TASK_OPTIONS if name in grid.settings}
        try:
            said = {name: grid.settings[name] for name in READING if name in grid.settings}
            symmetrize = bool(grid.settings.get("symmetrize", False))
            graph = parse(grid.graph, symmetrize=symmetrize, options=ReadOptions(**said))
        except (ValueError, OSError) as error:
            return PhasePrediction(f"no prediction: {error}")
        task = Task(graph, **options)
    base = {name: value for name, value in grid.settings.items() if name in grid.setting_types}
    done = grid.done > 0
    axes = [Axis(axis.name, np.unique(c), axis.log) for axis, c in zip(grid.axes, grid.cells[done].T, strict=True)]
    scattered = grid.layout == "scatter"
    predicted = predict_phase(
        task, grid.model, base, axes, grid.cells[done], grid.metric, scattered=scattered, samples=samples
    )
    return dataclasses.replace(predicted, limit=_at_all(predicted.limit, done), finite=_at_all(predicted.finite, done))


def _at_all(surface: Surface | None, done: NDArray[np.bool_]) -> Surface | None:
    """The surface of the cells that are ``done`` with NaN at the others."""
    if surface is None:
        return None
    cells = np.full(len(done), np.nan)
    cells[done] = surface.cells
    return dataclasses.replace(surface, cells=cells)


def _cell_lines(grid: PhaseGrid, values: Floats, level: float | None) -> tuple[Floats, ...]:
    """Where values (k,) of the cells cross the level."""
    if level is None or grid.layout == "scatter":
        return ()
    up = grid.axes[1].values if len(grid.axes) > 1 else np.array([np.nan])
    return tuple(level_lines(grid.axes, grid.axes[0].values, up, grid.matrix(values), level))


def _lines(grid: PhaseGrid, surface: Surface | None, level: float | None) -> tuple[Floats, ...]:
    if surface is None or level is None:
        return ()
    return tuple(level_lines(grid.axes, surface.x, surface.y, surface.values, level))


def _without_lines(diagram: PhaseDiagram) -> list[str]:
    """Of everything that could cross the boundary and does not within the axes: on which side it is."""
    if diagram.boundary is None:
        return []
    p = diagram.prediction
    candidates = [
        ("measured", diagram.measured_lines, diagram.grid.mean),
        ("infinite width", diagram.limit_lines, None if p.limit is None else p.limit.cells),
        ("finite width", diagram.finite_lines, None if p.finite is None else p.finite.cells),
    ]
    notes = []
    for name, lines, values in candidates:
        sides = set() if values is None else set(diagram.side(values).tolist()) - {0}
        if values is not None and not lines and len(sides) == 1:
            part = "" if np.isfinite(values[diagram.grid.done > 0]).all() else " it was followed"
            side = diagram.sides[(sides.pop() + 1) // 2]
            notes.append(f"{name}: {side} everywhere{part}, no boundary to draw")
    return notes


def _agreement(diagram: PhaseDiagram, surface: Surface | None) -> dict[str, Any] | None:
    if surface is None:
        return None
    grid, predicted = diagram.grid, surface.cells
    lines = _cell_lines(grid, predicted, diagram.boundary)
    measured, expected = diagram.resolved_side(), diagram.side(predicted)
    both = (measured != 0) & (expected != 0)
    difference = (grid.mean - predicted)[np.isfinite(grid.mean) & np.isfinite(predicted)]
    some = len(difference) > 0
    return {
        "cells": int(both.sum()),
        "same_side": int((measured == expected)[both].sum()),
        "rms_difference": float(np.sqrt((difference**2).mean())) if some else None,
        "largest_difference": float(np.abs(difference).max()) if some else None,
        "boundary_distance": line_distance(grid.axes, lines, diagram.measured_lines),
    }
