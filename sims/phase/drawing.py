"""Where things are on the axes of a phase figure: cells, a zero on a logarithmic axis, ticks, labels beside lines."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import NDArray

from .axes import Axis

Floats = NDArray[np.float64]

FEW_VALUES = 6  # of an axis, that all get a tick
DRAWABLE = (1e-300, 1e300)  # of a logarithmic axis: what floats hold, with room for matplotlib to round


def spread(places: Floats, gap: float) -> Floats:
    """Places at least ``gap`` apart, in the same order, moved as little as need be."""
    order = np.argsort(places)
    out = places[order].copy()
    groups = [[k] for k in range(len(out))]
    k = 0
    while k + 1 < len(groups):
        one, two = groups[k], groups[k + 1]
        if out[two[0]] - out[one[-1]] < gap - 1e-12:
            joined = one + two
            middle = places[order][joined].mean()
            out[joined] = middle + gap * (np.arange(len(joined)) - (len(joined) - 1) / 2)
            groups[k : k + 2] = [joined]
            k = max(k - 1, 0)
        else:
            k += 1
    back = np.empty_like(out)
    back[order] = out
    return back


def shown_at(axis: Axis, values: Floats) -> Floats:
    """Where values are drawn: a zero of a logarithmic axis one step below the smallest positive value."""
    if not axis.log:
        return values
    positive = axis.values[axis.values > 0]
    return np.where(values > 0, values, positive[0] ** 2 / positive[1])


def cell_edges(axis: Axis) -> Floats:
    """The borders of the cells, halfway between neighbours."""
    at = shown_at(axis, axis.values)
    at = np.log(at) if axis.log else at
    step = np.diff(at) if len(at) > 1 else np.array([1.0 if axis.log else abs(at[0]) or 1.0])
    edges = np.concatenate([[at[0] - step[0] / 2], at[:-1] + step / 2 if len(at) > 1 else [], [at[-1] + step[-1] / 2]])
    # Far apart values may have a border that no float holds.
    return np.asarray(np.exp(np.clip(edges, *np.log(DRAWABLE))) if axis.log else edges)


def set_axis(dimension: Any, axis: Axis, label: str) -> None:
    """Label, scale and ticks of a matplotlib XAxis or YAxis."""
    dimension.set_label_text(label)
    if not axis.log:
        return
    (dimension.axes.set_xscale if dimension.axis_name == "x" else dimension.axes.set_yscale)("log")
    ticks = log_ticks(axis.values[axis.values > 0])
    powers = np.log10(ticks)
    if len(ticks) > 1 and np.allclose(powers, np.round(powers)):
        labels = [f"$10^{{{round(power)}}}$" for power in powers]
    else:
        labels = [f"{tick:.3g}" for tick in ticks]
    if axis.values[0] == 0:
        ticks, labels = [float(shown_at(axis, axis.values)[0]), *ticks], ["0", *labels]
    dimension.set_major_locator(FixedLocator(ticks))
    dimension.set_major_formatter(FixedFormatter(labels))
    dimension.set_minor_locator(NullLocator())


def log_ticks(positive: Floats) -> list[float]:
    """Powers of ten within the values (ascending, > 0); where there is at most one, the values themselves if they are
    few, else round numbers or the two ends."""
    low, high = float(positive[0]) * (1 - 1e-9), float(positive[-1]) * (1 + 1e-9)
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for factors in ([1.0], [1.0, 2.0, 5.0]):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        inside = [float(f"{tick:.12g}") for tick in ticks if low <= tick <= high]
        if len(inside) > 1:
            return inside
        if len(positive) <= FEW_VALUES:
            return [float(value) for value in positive]
    return [float(positive[0]), float(positive[-1])]
