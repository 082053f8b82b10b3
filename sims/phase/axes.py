"""The axes of a phase diagram, and the lines on which a score over them has a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from contourpy import LineType, contour_generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WHOLE = ("width", "layers", "heads", "steps", "window")  # settings that are whole numbers
LOG_RANGE = 10.0  # largest over smallest positive value from which an axis is logarithmic
SAME_STEP = 1e-6  # relative difference of steps that are equal


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis: the setting, its distinct values ascending (k,), and whether they are spaced in their logarithm (but
    for a zero among them)."""

    name: str
    values: Floats
    log: bool

    @staticmethod
    def of(name: str, values: Floats) -> Axis:
        """The axis of the values that were run: logarithmic where none is negative and the positive ones span a factor
        of LOG_RANGE or go up by equal factors."""
        distinct = np.unique(np.asarray(values, dtype=np.float64))
        positive = distinct[distinct > 0]
        log = False
        if distinct[0] >= 0 and len(positive) > 1:
            steps = np.diff(np.log(positive))
            equal = len(steps) > 1 and bool(np.ptp(steps) <= SAME_STEP * steps.max())
            log = bool(positive[-1] >= LOG_RANGE * positive[0]) or equal
        return Axis(name, distinct, log)

    def coordinates(self, values: Floats) -> Floats:
        """Where values are on the axis, for interpolation and distances; NaN for a zero on a logarithmic one."""
        if not self.log:
            return np.asarray(values, dtype=np.float64)
        return np.asarray(np.log10(np.where(values > 0, values, np.nan)))

    def back(self, coordinates: Floats) -> Floats:
        """The values at ``coordinates``."""
        return 10.0**coordinates if self.log else coordinates

    def finer(self, parts: int) -> Floats:
        """The values with ``parts`` - 1 more between each two neighbours (on a logarithmic axis between positive ones);
        whole numbers for settings that are."""
        fine = [self.values[:1]]
        for low, high in zip(self.values[:-1], self.values[1:], strict=True):
            if self.log and low <= 0:
                fine.append(np.array([high]))
                continue
            between = np.geomspace(low, high, parts + 1) if self.log else np.linspace(low, high, parts + 1)
            fine.append(np.append(between[1:-1], high))
        joined = np.concatenate(fine)
        return np.unique(np.round(joined)) if self.name in WHOLE else joined

    def spread(self, count: int) -> Floats:
        """``count`` values over the whole range (the positive part of a logarithmic one)."""
        positive = self.values[self.values > 0]
        shown = positive if self.log and len(positive) else self.values
        return Axis(self.name, np.unique(shown[[0, -1]]), self.log).finer(count - 1)


def level_lines(axes: Sequence[Axis], x: Floats, y: Floats, values: Floats, level: float) -> list[Floats]:
    """Where ``values`` (len(y), len(x)) cross ``level``: polylines (m, 2) over two axes, points (1, 1) over one.

    Interpolated linearly in the axes' coordinates, so right to a part of a step; a zero on a logarithmic axis and NaN
    (no value there) take part in no line.
    """
    across = axes[0].coordinates(x)
    if len(axes) == 1:
        row, points = values[0] - level, []
        for k in range(len(row) - 1):
            ends = row[k : k + 2]
            if np.isfinite([*ends, *across[k : k + 2]]).all() and (ends[0] < 0) != (ends[1] < 0):
                at = across[k] + (across[k + 1] - across[k]) * ends[0] / (ends[0] - ends[1])
                points.append(axes[0].back(np.array([[at]])))
        return points
    up = axes[1].coordinates(y)
    columns, rows = np.isfinite(across), np.isfinite(up)
    if columns.sum() < 2 or rows.sum() < 2:
        return []
    finite = np.ma.masked_invalid(values[np.ix_(rows, columns)])
    generator = contour_generator(across[columns], up[rows], finite, line_type=LineType.Separate)
    lines = [np.asarray(line, dtype=np.float64) for line in generator.lines(level)]
    return [np.column_stack([axes[0].back(line[:, 0]), axes[1].back(line[:, 1])]) for line in lines]


def line_distance(axes: Sequence[Axis], lines: Sequence[Floats], others: Sequence[Floats]) -> float | None:
    """Mean distance of points evenly along ``lines`` from the nearest point of ``others``, in decades of logarithmic
    axes (in units of the axis' range elsewhere); None where either is empty."""
    if not lines or not others:
        return None

    def dense(line: Floats) -> Floats:
        scaled = [
            axis.coordinates(column) / (1.0 if axis.log else float(np.ptp(axis.values)))
            for axis, column in zip(axes, line.T, strict=True)
        ]
        points = np.column_stack(scaled)
        if len(points) == 1:
            return points
        lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        along = np.linspace(0.0, lengths[-1], max(2, round(100 * lengths[-1])))
        return np.column_stack([np.interp(along, lengths, column) for column in points.T])

    here, there = (np.concatenate([dense(line) for line in some]) for some in (lines, others))
    return float(np.linalg.norm(here[:, None] - there[None], axis=2).min(axis=1).mean())
