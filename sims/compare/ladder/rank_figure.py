"""Depth and width against effective rank, predicted and measured: one figure for linear nets of several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...draw.style import COLOURS, MARKERS, REST_COLOUR, STYLE
from .ranks import Ranks
from .rows import LadderRow

Graphs = Sequence[tuple[str, Sequence[LadderRow]]]

PANEL = (1.75, 1.55)  # inches
LEAST_WIDTH = 3.6  # inches, for the legend
SHIFT = 0.05  # of a step, between the marks of two sizes
KINDS = {True: "residual", False: "no residual"}
AXES = {"layers": "layers", "width": "width"}


@dataclass(frozen=True, eq=False)
class SizedRow:
    """A row of linear nets with its ``layers``, ``width`` and whether it has a ``residual``."""

    layers: int
    width: int
    residual: bool
    row: LadderRow

    def values(self, name: str, predicted: bool) -> np.ndarray:
        """A field of ``Ranks``, (seeds,)."""
        each: Sequence[Ranks] = [one.ranks for one in self.row.predictions] if predicted else self.row.ranks
        return np.array([getattr(one, name) for one in each])


def sized_rows(rows: Sequence[LadderRow]) -> list[SizedRow]:
    """The rows of linear nets, every size once; empty where there are others, or not several depths and widths."""
    found = []
    for row in rows:
        settings = row.compared.settings
        if settings is None or getattr(settings, "arch", "") != "linear":
            return []
        found.append(SizedRow(settings.layers, settings.width, settings.residual, row))
    sizes = {(one.layers, one.width, one.residual) for one in found}
    several = len({one.layers for one in found}) > 1 and len({one.width for one in found}) > 1
    return found if several and len(sizes) == len(found) else []


def plot_ranks(graphs: Graphs, name: str = "logits") -> Figure:
    """A column a graph; for nets with residuals and without, ``name`` of ``Ranks`` over depth, a colour a width, and
    over width, a colour a depth. Marks: the mean of the runs, bars their range; lines: the predicted mean."""
    first = sized_rows(graphs[0][1])
    kinds = sorted({one.residual for one in first}, reverse=True)
    lines = [(kind, across) for kind in kinds for across in ("layers", "width")]
    with plt.rc_context(STYLE):
        size = (max(PANEL[0] * len(graphs) + 0.8, LEAST_WIDTH), PANEL[1] * len(lines) + 0.9)
        figure, axes = plt.subplots(len(lines), len(graphs), figsize=size, squeeze=False, layout="constrained")
        for column, (graph, rows) in enumerate(graphs):
            for place, (kind, across) in enumerate(lines):
                ax = axes[place, column]
                _draw(ax, [one for one in sized_rows(rows) if one.residual is kind], across, name)
                ax.set(xlabel=AXES[across], title=graph if not place else "")
                if not column:
                    ax.set_ylabel(f"{KINDS[kind]}\neffective rank")
        figure.legend(
            handles=_handles(first), loc="outside lower center", ncols=4 if len(graphs) > 2 else 2, frameon=False
        )
    return figure


def _draw(ax: Axes, rows: Sequence[SizedRow], across: str, name: str) -> None:
    other = "width" if across == "layers" else "layers"
    ticks = sorted({getattr(one, across) for one in rows})
    groups = sorted({getattr(one, other) for one in rows})
    for number, group in enumerate(groups):
        chosen = sorted((one for one in rows if getattr(one, other) == group), key=lambda one: getattr(one, across))
        place = np.array([ticks.index(getattr(one, across)) for one in chosen], dtype=np.float64)
        colour, marker = _look(other, number)
        ax.plot(place, [one.values(name, True).mean() for one in chosen], color=colour, linewidth=1.1)
        measured = np.array([one.values(name, False) for one in chosen])
        middle = measured.mean(axis=1)
        around = np.abs(np.stack([measured.min(axis=1), measured.max(axis=1)]) - middle)
        shifted = place + SHIFT * (number - (len(groups) - 1) / 2)
        ax.errorbar(shifted, middle, around, fmt=marker, color=colour, markersize=3.4, linewidth=0.8)
    ax.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
    ax.margins(x=0.15)


def _look(group: str, number: int) -> tuple[str, str]:
    """Widths and depths have colours of their own."""
    place = (number + (0 if group == "width" else 2)) % len(COLOURS)
    return COLOURS[place], MARKERS[place]


def _handles(rows: Sequence[SizedRow]) -> list[Line2D]:
    handles = []
    for name in ("width", "layers"):
        for number, value in enumerate(sorted({getattr(one, name) for one in rows})):
            colour, marker = _look(name, number)
            handles.append(Line2D([], [], color=colour, marker=marker, markersize=4, linestyle="none",
                                  label=f"{AXES[name]} {value}"))  # fmt: skip
    return [*handles, Line2D([], [], color=REST_COLOUR, label="predicted")]


def ranks_caption(graphs: Graphs) -> str:
    """What the figure shows."""
    seeds = len(graphs[0][1][0].agreements)
    return (
        "Effective rank of the logits (exp of the entropy of the shares of the singular values of Z less its rows' "
        f"means) at the end of training, over depth and over width. Marks: mean of {seeds} seeds, bars their range; "
        "lines: mean of the flows from the same starts, nothing fitted."
    )
