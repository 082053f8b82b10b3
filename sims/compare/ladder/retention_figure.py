"""Crossing is not retention, drawn: the share of energy in the first eigenspaces over time, predicted and measured."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...draw.style import COLOURS, MARKERS, REST_COLOUR, STYLE
from .rows import LadderRow

PANEL = 1.9  # inches a side
LEAST_WIDTH = 3.6  # inches, for the legend
MOST_SHARES = 4  # models whose shares are told apart in one panel
DOTS = 24  # measured times that are drawn

Graphs = Sequence[tuple[str, Sequence[LadderRow]]]


def plot_shares(graphs: Graphs) -> Figure:
    """A panel a graph, a colour a model. Raises ValueError for more models than MOST_SHARES."""
    titles = [row.compared.model.title for row in graphs[0][1]]
    if len(titles) > MOST_SHARES:
        raise ValueError(f"at most {MOST_SHARES} models can be told apart in one panel; got {len(titles)}")
    with plt.rc_context(STYLE):
        size = (max(PANEL * len(graphs) + 0.6, LEAST_WIDTH), PANEL + 1.3)
        figure, axes = plt.subplots(1, len(graphs), figsize=size, squeeze=False, sharey=True, layout="constrained")
        for ax, (name, rows) in zip(axes[0], graphs, strict=True):
            for number, row in enumerate(rows):
                _draw(ax, row, COLOURS[number], MARKERS[number])
            ax.set(xscale="log", ylim=(0, 1.04), title=name, xlabel="flow time")
        axes[0, 0].set_ylabel("share in the first eigenspace")
        handles = [
            Line2D([], [], color=COLOURS[i], marker=MARKERS[i], linestyle="none", label=title)
            for i, title in enumerate(titles)
        ]
        handles.append(Line2D([], [], color=REST_COLOUR, label="predicted"))
        columns = len(handles) if len(graphs) > 2 else 2
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _draw(ax: Axes, row: LadderRow, colour: str, marker: str) -> None:
    ax.plot(row.times, np.median(row.predicted_share, axis=0), color=colour, linewidth=1.1)
    shown = np.unique(np.round(np.linspace(0, len(row.times) - 1, DOTS)).astype(int))
    low, high = row.share.min(axis=0), row.share.max(axis=0)
    ax.fill_between(row.times, low, high, color=colour, alpha=0.15, linewidth=0)
    middle = np.median(row.share, axis=0)
    ax.plot(row.times[shown], middle[shown], color=colour, marker=marker, markersize=3.2, linestyle="none")


def shares_caption(graphs: Graphs) -> str:
    """What the figure shows."""
    seeds = len(graphs[0][1][0].agreements)
    return (
        "Share of the centred energy in the first non-trivial eigenspace of the graph's Laplacian: marks, the median "
        f"of {seeds} seeds, their range shaded; lines, the median of the flows from the seeds' own starts, nothing "
        "fitted."
    )
