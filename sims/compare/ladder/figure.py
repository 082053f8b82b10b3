"""The ladder in one look: how much of every rung its prediction leaves unexplained, and when they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...draw.style import COLOURS, MARKERS, REST_COLOUR, STYLE
from .agreement import HOLDS, PARTED
from .course import Graphs, RungCourse

RUNG, NARROW_RUNG = 0.36, 0.22  # inches a rung
FEW_RUNGS = 0.7  # where there are one or two, which need room for their graphs
LEGEND, MARGINS = 0.2, 0.9  # inches: a line of the legend; what is around the panels
SPREAD, WITHIN = 0.16, 0.8  # of a rung: between graphs, and for all of them
WIDTH = 7.6
WHOLE = "share of the mode energies left unexplained, 1 - R²"
NARROW = 5.0  # inches, below which panels stand below each other
# Eight graphs, as the preset bridge has, are told apart.
GRAPH_COLOURS = (*COLOURS, "#E69F00", "#000000", "#882255")
GRAPH_MARKERS = (*MARKERS, "P", "X", "*")
MOST_GRAPHS = len(GRAPH_COLOURS)
LEAST, MOST = 1e-6, 10.0  # of the share unexplained that is drawn


def plot_ladder(graphs: Graphs, width: float = WIDTH, style: Mapping[str, Any] = STYLE) -> Figure:
    """Rungs from Node2Vec at the bottom up; a colour a graph. The panel of times stands beside the other, below it in
    a narrow column, and is left out where no run parts from its prediction. Raises ValueError for more than MOST_GRAPHS
    of them."""
    if len(graphs) > MOST_GRAPHS:
        raise ValueError(f"at most {MOST_GRAPHS} graphs can be told apart in one figure; got {len(graphs)}")
    titles = list(dict.fromkeys(row.title for _, rows in graphs for row in rows))
    timed, narrow = bool(_parting_times(graphs)), width < NARROW
    columns = 2 if narrow else 3  # of the legend
    high = (FEW_RUNGS if len(titles) <= 2 else NARROW_RUNG if narrow else RUNG) * len(titles) + MARGINS
    height = high * (1 + (timed and narrow)) + LEGEND * -(-(len(graphs) + 2) // columns)
    shape = (1 + timed, 1) if narrow else (1, 1 + timed)
    ratios = {"width_ratios": (1.6, 1)} if timed and not narrow else {}
    with plt.rc_context(dict(style)):
        figure, axes = plt.subplots(
            *shape, figsize=(width, height), sharey=True, squeeze=False, layout="constrained", **ratios
        )
        left, right = axes[0, 0], axes[-1, -1]
        for number, (_, rows) in enumerate(graphs):
            places = [titles.index(row.title) for row in rows]
            at = np.array(places) + _beside(number, len(graphs))
            look = {
                "color": GRAPH_COLOURS[number],
                "marker": GRAPH_MARKERS[number],
                "markersize": 5,
                "linestyle": "none",
            }
            _draw_shares(left, rows, at, look)
            if timed:
                _draw_times(right, rows, at, look)
        left.axvline(1 - HOLDS, color=REST_COLOUR, linewidth=0.8, linestyle=":")
        left.set(xscale="log", xlim=(LEAST / 2, 2 * MOST), xlabel="share left unexplained, 1 - R²" if narrow else WHOLE)
        left.set_yticks(np.arange(len(titles)), titles)
        if timed:
            right.set(xscale="log", xlim=_decades(graphs), xlabel=f"time at which they are {100 * PARTED:.0f} % apart")
        for ax in axes.ravel():
            ax.grid(axis="y", linewidth=0.4, color="0.88")
            ax.set_ylim(-0.6, len(titles) - 0.4)
        _legend(figure, graphs, columns)
    return figure


def _legend(figure: Figure, graphs: Graphs, columns: int) -> None:
    handles = [
        Line2D([], [], color=GRAPH_COLOURS[i], marker=GRAPH_MARKERS[i], linestyle="none", label=name)
        for i, (name, _) in enumerate(graphs)
    ]
    handles += [
        Line2D([], [], color=REST_COLOUR, marker="o", linestyle="none", label="nothing fitted"),
        Line2D([], [], color=REST_COLOUR, marker="o", linestyle="none", fillstyle="none", label="clock fitted"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def _beside(number: int, count: int) -> float:
    """Where the graph ``number`` stands beside its rung's line, so that all of them stay within it."""
    return min(SPREAD, WITHIN / count) * (number - (count - 1) / 2)


def _draw_shares(ax: plt.Axes, rows: Sequence[RungCourse], height: np.ndarray, look: dict[str, object]) -> None:
    for row, y in zip(rows, height, strict=True):
        for name, style in (("over_time", {}), ("with_clock", {"fillstyle": "none"})):
            values = np.array([1 - getattr(one, name) for one in row.agreements])
            if np.isfinite(values).all():
                values = np.clip(values, LEAST, MOST)
                ax.plot([values.min(), values.max()], [y, y], color=str(look["color"]), linewidth=0.9)
                ax.plot([float(np.median(values))], [y], **{**look, **style})


def _draw_times(ax: plt.Axes, rows: Sequence[RungCourse], height: np.ndarray, look: dict[str, object]) -> None:
    for row, y in zip(rows, height, strict=True):
        times = np.array([one.parted_at for one in row.agreements if one.parted_at is not None], dtype=np.float64)
        if row.has_clock and len(times):
            ax.plot([times.min(), times.max()], [y, y], color=str(look["color"]), linewidth=0.9)
            ax.plot([float(np.median(times))], [y], **look)


def _parting_times(graphs: Graphs) -> list[float]:
    """Every time that is drawn."""
    every = [one.parted_at for _, rows in graphs for row in rows if row.has_clock for one in row.agreements]
    return [time for time in every if time is not None]


def _decades(graphs: Graphs) -> tuple[float, float]:
    """Whole powers of ten around every time drawn."""
    times = np.log10(_parting_times(graphs))
    low, high = np.floor(times.min()), np.ceil(times.max())
    return 10.0**low, 10.0 ** max(high, low + 1)


def ladder_caption(graphs: Graphs) -> str:
    """What the figure shows."""
    seeds = len(graphs[0][1][0].agreements)
    spread = f"median and range over {seeds} seeds" if seeds > 1 else "one seed"
    share = f"{100 * PARTED:.0f} % of the largest predicted apart"
    times = (
        f"Right: the first time at which measured and predicted energies are {share}; no mark where they never are, or "
        "where the optimiser has no flow time."
        if _parting_times(graphs)
        else f"Energies of runs with a flow time are nowhere {share}."
    )
    return (
        f"Models from the bottom up in the order of the table. {'Left: share' if _parting_times(graphs) else 'Share'} "
        "of the centred mode energies' variance, over all recorded times, that the flow of each rung's own net leaves "
        "unexplained, from its own initial weights, with nothing fitted (filled) and with one factor on time (open); "
        f"{spread}, clipped to [{LEAST:g}, {MOST:g}]; dotted, the line below which a prediction holds. {times}"
    )
