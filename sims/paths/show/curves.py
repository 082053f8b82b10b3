"""Learning curves of path runs: the whole path, the first node after the root, and every position over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...draw.style import COLOURS, STYLE, shade
from ..one_run import PathRun

COLUMNS = 3  # panels of positions in a row
PANELS = 6  # conditions whose positions are drawn
LINES = ("-", "--", ":")  # conditions beyond the colours
# Title and metric of the panels of all conditions.
ABOVE = {
    "whole path": "path_accuracy",
    "first node after the root": "first_token_accuracy",
    "the same, among neighbours": "first_token_choice",
}


def learning_figure(runs: Mapping[str, Sequence[PathRun]], title: str) -> Figure:
    """Held-out accuracy against steps: above, whole paths, first tokens, and first tokens among the root's neighbours,
    of all conditions (mean, range over seeds); below, each position of the path, one panel a condition."""
    shown = list(runs)[:PANELS]
    rows = -(-len(shown) // COLUMNS)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(10.5, 3.6 + 2.7 * rows), layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=(3.6, 2.7 * rows))
        axes = above.subplots(1, len(ABOVE), sharey=True)
        for number, (name, group) in enumerate(runs.items()):
            style = {"color": COLOURS[number % len(COLOURS)], "ls": LINES[number // len(COLOURS) % len(LINES)]}
            for ax, key in zip(axes, ABOVE.values(), strict=True):
                if all(key in record for run in group for record in run.records):
                    _draw(ax, group, np.array([[r[key] for r in run.records] for run in group]), name, style)
        drawn: dict[float, str] = {}
        for number, group in enumerate(runs.values()):
            if group[0].settings.task == "forward":  # the reverse task only looks edges up
                drawn.setdefault(group[0].chance, COLOURS[number % len(COLOURS)])
        for chance, colour in drawn.items():
            axes[-1].axhline(chance, color=colour if len(drawn) > 1 else "black", lw=1.1, ls=(0, (1, 2)))
        dotted = ("", "", "; dotted: chance" if drawn else "")
        for ax, title_above, more in zip(axes, ABOVE, dotted, strict=True):
            ax.set_title(f"{title_above}{more}", loc="left")
        axes[0].set_ylabel("held-out accuracy")
        handles, labels = axes[0].get_legend_handles_labels()
        above.legend(handles, labels, loc="outside right center", frameon=False)
        above.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        panels = np.atleast_1d(below.subplots(rows, COLUMNS, sharey=True, squeeze=False)).ravel()
        for ax, name in zip(panels, shown, strict=False):
            _draw_positions(ax, runs[name], name)
        for ax in panels[len(shown) :]:
            ax.set_visible(False)
        for ax in panels[::COLUMNS]:
            ax.set_ylabel("held-out accuracy")
        positions = len(runs[shown[0]][0].records[0]["per_position"])
        handles = [plt.Line2D([], [], color=shade(k, positions)) for k in range(positions)]
        names = [f"target {k + 1} of {positions}" for k in range(positions)]
        below.legend(handles, names, loc="outside right center", frameon=False)
    return figure


def _draw(ax: Axes, group: Sequence[PathRun], values: np.ndarray, name: str, style: Mapping[str, Any]) -> None:
    steps = [record["step"] for record in group[0].records]
    ax.plot(steps, values.mean(axis=0), lw=1.6, label=name.replace("_", " "), **style)
    if len(group) > 1:
        ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=style["color"], alpha=0.15, lw=0)
    ax.set(xlabel="training steps", ylim=(-0.03, 1.03))


def _draw_positions(ax: Axes, group: Sequence[PathRun], name: str) -> None:
    values = np.mean([[record["per_position"] for record in run.records] for run in group], axis=0)
    steps = [record["step"] for record in group[0].records]
    count = values.shape[1]
    for k in range(count):
        ax.plot(steps, values[:, k], lw=1.3, color=shade(k, count))
    ax.set_title(name.replace("_", " "), loc="left")
    ax.set(xlabel="training steps", ylim=(-0.03, 1.03))
