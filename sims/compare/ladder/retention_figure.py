"""Crossing is not retention, drawn: the share of energy in the first eigenspaces over time, predicted and measured."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...draw.style import COLOURS, MARKERS, REST_COLOUR, STYLE
from .course import Graphs, RungCourse

PANEL = 1.9  # inches a side
TITLES = 0.6  # inches for what is above and below a panel
LETTER = 0.085  # inches a letter of a title, on average
IN_A_ROW, LEAST_PANEL = 4, 1.6  # panels beside each other; inches each of them takes at least
LEAST_WIDTH = 3.6  # inches, for the legend
MOST_SHARES = 4  # models whose shares are told apart in one panel
DOTS = 24  # measured times that are drawn


def plot_shares(graphs: Graphs, width: float | None = None, style: Mapping[str, Any] = STYLE) -> Figure:
    """A panel a graph, IN_A_ROW beside each other, a colour a model. Raises ValueError for more models than
    MOST_SHARES."""
    titles = list(dict.fromkeys(row.title for _, rows in graphs for row in rows))
    if len(titles) > MOST_SHARES:
        raise ValueError(f"at most {MOST_SHARES} models can be told apart in one panel; got {len(titles)}")
    columns = min(IN_A_ROW if width is None else max(1, int(width / LEAST_PANEL)), len(graphs))
    rows_of = -(-len(graphs) // columns)
    wide = max(PANEL * columns + 0.6, LEAST_WIDTH) if width is None else width
    with plt.rc_context(dict(style)):
        size = (wide, (PANEL + TITLES) * rows_of + 0.7)
        figure, axes = plt.subplots(
            rows_of, columns, figsize=size, squeeze=False, sharey=True, sharex=False, layout="constrained"
        )
        letters = int(wide / columns / LETTER)
        for ax, (name, rows) in zip(axes.ravel(), graphs, strict=False):
            for row in rows:
                number = titles.index(row.title)
                _draw(ax, row, COLOURS[number], MARKERS[number])
            ax.set(xscale="log", ylim=(0, 1.04), title="\n".join(textwrap.wrap(name, letters)), xlabel="flow time")
        for ax in axes.ravel()[len(graphs) :]:
            ax.set_visible(False)
        for ax in axes[:, 0]:
            ax.set_ylabel("share in the first eigenspace")
        handles = [
            Line2D([], [], color=COLOURS[i], marker=MARKERS[i], linestyle="none", label=title)
            for i, title in enumerate(titles)
        ]
        handles.append(Line2D([], [], color=REST_COLOUR, label="predicted"))
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), columns + 1), frameon=False)
    return figure


def _draw(ax: Axes, row: RungCourse, colour: str, marker: str) -> None:
    ax.plot(row.times, np.median(row.predicted_share, axis=0), color=colour, linewidth=1.1)
    shown = np.unique(np.round(np.linspace(0, len(row.times) - 1, DOTS)).astype(int))
    low, high = row.share.min(axis=0), row.share.max(axis=0)
    ax.fill_between(row.times, low, high, color=colour, alpha=0.15, linewidth=0)
    middle = np.median(row.share, axis=0)
    ax.plot(row.times[shown], middle[shown], color=colour, marker=marker, markersize=3.2, linestyle="none")


def shares_caption(graphs: Graphs) -> str:
    """What the figure shows."""
    seeds = len(graphs[0][1][0].agreements)
    marks, lines = "one seed", "the flow from the seed's own start"
    if seeds > 1:
        marks = f"the median of {seeds} seeds, their range shaded"
        lines = "the median of the flows from the seeds' own starts"
    return (
        "Share of the centred energy in the first non-trivial eigenspace of the graph's Laplacian: marks, "
        f"{marks}; lines, {lines}, nothing fitted."
    )
