"""Crossing is not retention, drawn: the share of energy in the first eigenspaces over time, predicted and measured, and
where it peaks."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...draw.style import COLOURS, MARKERS, REST_COLOUR, STYLE
from .retention import Shares

Panels = Sequence[tuple[str, Sequence[Shares]]]  # a graph each

PANEL = 1.9  # inches a side
TITLES = 0.6  # inches for what is above and below a panel
LETTER = 0.085  # inches a letter of a title, on average
IN_A_ROW, LEAST_PANEL = 4, 1.6  # panels beside each other; inches each of them takes at least
LEAST_WIDTH = 3.6  # inches, for the legend
MOST_SHARES = 4  # models whose shares are told apart in one panel
DOTS = 24  # measured times that are drawn
PEAK: Mapping[str, Any] = {
    "marker": "*",
    "markersize": 8,
    "markeredgecolor": "black",
    "markeredgewidth": 0.7,
    "linestyle": "none",
}


def plot_shares(panels: Panels, width: float | None = None, style: Mapping[str, Any] = STYLE) -> Figure:
    """A panel a graph, IN_A_ROW beside each other, a colour a model, a star at the peak of each median. Raises
    ValueError for more models than MOST_SHARES."""
    titles = list(dict.fromkeys(one.title for _, shares in panels for one in shares))
    if len(titles) > MOST_SHARES:
        raise ValueError(f"at most {MOST_SHARES} models can be told apart in one panel; got {len(titles)}")
    columns = min(IN_A_ROW if width is None else max(1, int(width / LEAST_PANEL)), len(panels))
    rows_of = -(-len(panels) // columns)
    wide = max(PANEL * columns + 0.6, LEAST_WIDTH) if width is None else width
    with plt.rc_context(dict(style)):
        size = (wide, (PANEL + TITLES) * rows_of + 0.7)
        figure, axes = plt.subplots(
            rows_of, columns, figsize=size, squeeze=False, sharey=True, sharex=False, layout="constrained"
        )
        letters = int(wide / columns / LETTER)
        for ax, (name, shares) in zip(axes.ravel(), panels, strict=False):
            for one in shares:
                number = titles.index(one.title)
                _draw(ax, one, COLOURS[number], MARKERS[number])
            title = "\n".join(textwrap.wrap(name, letters))
            ax.set(xscale="log", ylim=(0, 1.04), title=title, xlabel=_time(shares))
        for ax in axes.ravel()[len(panels) :]:
            ax.set_visible(False)
        for ax in axes[:, 0]:
            ax.set_ylabel("share in the first eigenspace")
        handles = [
            Line2D([], [], color=COLOURS[i], marker=MARKERS[i], linestyle="none", label=title)
            for i, title in enumerate(titles)
        ]
        if any(one.predicted is not None for _, shares in panels for one in shares):
            handles.append(Line2D([], [], color=REST_COLOUR, label="predicted"))
        handles.append(Line2D([], [], color="white", label="peak", **PEAK))
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), columns + 1), frameon=False)
    return figure


def _time(shares: Sequence[Shares]) -> str:
    clocks = {one.clock for one in shares}
    return "flow time" if clocks == {True} else "training steps" if clocks == {False} else "flow time, or steps"


def _draw(ax: Axes, one: Shares, colour: str, marker: str) -> None:
    if one.predicted is not None:
        ax.plot(one.times, np.median(one.predicted, axis=0), color=colour, linewidth=1.1)
    shown = np.unique(np.round(np.linspace(0, len(one.times) - 1, DOTS)).astype(int))
    low, high = one.measured.min(axis=0), one.measured.max(axis=0)
    ax.fill_between(one.times, low, high, color=colour, alpha=0.15, linewidth=0)
    ax.plot(one.times[shown], one.median[shown], color=colour, marker=marker, markersize=3.2, linestyle="none")
    found = one.retention
    ax.plot([found.peak_time], [found.peak], color=colour, zorder=5, clip_on=False, **PEAK)


def shares_caption(panels: Panels) -> str:
    """What the figure shows."""
    every = [one for _, shares in panels for one in shares]
    seeds = len(every[0].measured)
    marks, lines = "one seed", "the flow from the seed's own start"
    if seeds > 1:
        marks = f"the median of {seeds} seeds, their range shaded"
        lines = "the median of the flows from the seeds' own starts"
    predicted = [one.predicted for one in every if one.predicted is not None]
    if seeds > 1 and predicted and len(predicted[0]) == 1:
        lines = "the flow of infinite width from the models' own starting size"
    drawn = f"; lines, {lines}, nothing fitted" if predicted else ""
    return (
        "Share of the centred energy in the first non-trivial eigenspace of the graph's Laplacian: marks, "
        f"{marks}{drawn}; stars, its peak."
    )


def peaks_text(panels: Panels) -> str:
    """Peak, its time, and what is left at the end of every model on every graph, in words."""
    found = []
    for name, shares in panels:
        for one in shares:
            kept, unit = one.retention, "t =" if one.clock else "step"
            found.append(
                f"{one.title} on {name} {kept.peak:.3g} at {unit} {kept.peak_time:.4g}, {kept.end:.3g} at the end "
                f"({unit} {one.times[-1]:.4g})"
            )
    return f"Peaks: {'; '.join(found)}."
