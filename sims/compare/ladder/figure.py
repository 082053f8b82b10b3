"""The ladder in one look: how much of every rung its prediction leaves unexplained, and when they part."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...draw.style import COLOURS, MARKERS, REST_COLOUR, STYLE
from .agreement import PARTED
from .rows import HOLDS, LadderRow

RUNG = 0.36  # inches a rung
SPREAD = 0.16  # of a rung, between graphs
WIDTH = 7.6
MOST_GRAPHS = len(COLOURS)
LEAST, MOST = 1e-6, 10.0  # of the share unexplained that is drawn

Graphs = Sequence[tuple[str, Sequence[LadderRow]]]


def plot_ladder(graphs: Graphs) -> Figure:
    """Rungs from Node2Vec at the bottom up; a colour a graph. Raises ValueError for more than MOST_GRAPHS of them."""
    if len(graphs) > MOST_GRAPHS:
        raise ValueError(f"at most {MOST_GRAPHS} graphs can be told apart in one figure; got {len(graphs)}")
    titles = list(dict.fromkeys(row.compared.model.title for _, rows in graphs for row in rows))
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(WIDTH, RUNG * len(titles) + 1.3), sharey=True, layout="constrained", width_ratios=(1.6, 1)
        )
        for number, (_, rows) in enumerate(graphs):
            places = [titles.index(row.compared.model.title) for row in rows]
            height = np.array(places) + SPREAD * (number - (len(graphs) - 1) / 2)
            look = {"color": COLOURS[number], "marker": MARKERS[number], "markersize": 5, "linestyle": "none"}
            _draw_shares(left, rows, height, look)
            _draw_times(right, rows, height, look)
        left.axvline(1 - HOLDS, color=REST_COLOUR, linewidth=0.8, linestyle=":")
        left.set(xscale="log", xlim=(LEAST / 2, 2 * MOST), xlabel="share of the mode energies left unexplained, 1 - R²")
        left.set_yticks(np.arange(len(titles)), titles)
        right.set(xscale="log", xlim=_decades(graphs), xlabel=f"time at which they are {100 * PARTED:.0f} % apart")
        for ax in (left, right):
            ax.grid(axis="y", linewidth=0.4, color="0.88")
            ax.set_ylim(-0.6, len(titles) - 0.4)
        handles = [
            Line2D([], [], color=COLOURS[i], marker=MARKERS[i], linestyle="none", label=name)
            for i, (name, _) in enumerate(graphs)
        ]
        handles += [
            Line2D([], [], color=REST_COLOUR, marker="o", linestyle="none", label="nothing fitted"),
            Line2D([], [], color=REST_COLOUR, marker="o", linestyle="none", fillstyle="none", label="clock fitted"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_shares(ax: plt.Axes, rows: Sequence[LadderRow], height: np.ndarray, look: dict[str, object]) -> None:
    for row, y in zip(rows, height, strict=True):
        for name, style in (("over_time", {}), ("with_clock", {"fillstyle": "none"})):
            values = np.array([1 - getattr(one, name) for one in row.agreements])
            if np.isfinite(values).all():
                values = np.clip(values, LEAST, MOST)
                ax.plot([values.min(), values.max()], [y, y], color=str(look["color"]), linewidth=0.9)
                ax.plot([float(np.median(values))], [y], **{**look, **style})


def _draw_times(ax: plt.Axes, rows: Sequence[LadderRow], height: np.ndarray, look: dict[str, object]) -> None:
    for row, y in zip(rows, height, strict=True):
        times = np.array([one.parted_at for one in row.agreements if one.parted_at is not None], dtype=np.float64)
        if row.has_clock and len(times):
            ax.plot([times.min(), times.max()], [y, y], color=str(look["color"]), linewidth=0.9)
            ax.plot([float(np.median(times))], [y], **look)


def _decades(graphs: Graphs) -> tuple[float, float]:
    """Whole powers of ten around every time drawn."""
    every = [one.parted_at for _, rows in graphs for row in rows for one in row.agreements]
    times = np.log10([time for time in every if time is not None] or [1.0])
    low, high = np.floor(times.min()), np.ceil(times.max())
    return 10.0**low, 10.0 ** max(high, low + 1)


def ladder_caption(graphs: Graphs) -> str:
    """What the figure shows."""
    seeds = len(graphs[0][1][0].agreements)
    return (
        "Models from the bottom up in the order of the table. Left: share of the centred mode energies' variance, over "
        "all recorded times, that the flow of each rung's own linear net leaves unexplained, from its own initial "
        "weights, with nothing fitted (filled) and with one factor on time (open); median and range over "
        f"{seeds} seeds, clipped to [{LEAST:g}, {MOST:g}]; dotted, the line below which a prediction holds. Right: the "
        f"first time at which measured and predicted energies are {100 * PARTED:.0f} % of the largest predicted "
        "apart; no mark where they never are, or where the optimiser has no flow time."
    )
