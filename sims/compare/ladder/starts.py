"""Which starts of one layer end as a geometry and which as a lookup: a map over widths and initial inner weights.

Z = E W E' from Gaussian E: from W(0) = I, which a residual layer of zeros is, and from Gaussian W(0) of several sizes.
A run ends geometric where neighbours lie nearer than others in its own embedding (geometric margin of EE' > 0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...draw.colours import SEQUENTIAL
from ...draw.style import STYLE
from .rows import LadderRow

Graphs = Sequence[tuple[str, Sequence[LadderRow]]]

PANEL = (2.0, 2.35)  # inches
DARK = 0.55  # of the colour map, below which letters are white


@dataclass(frozen=True)
class StartCell:
    """Of one width and start, over seeds: how many runs end ``geometric``, how many are ``predicted`` to, on how many
    run and prediction ``agree``; ``share`` of the energy in the first eigenspaces at the end, lowest, median and
    highest of the runs, and ``predicted_share``, the median."""

    width: int
    start: str
    seeds: int
    geometric: int
    predicted: int
    agree: int
    share: tuple[float, float, float]
    predicted_share: float

    def describe(self) -> Mapping[str, Any]:
        """As a table has it."""
        return vars(self)


def start_word(settings: Any) -> str:
    """How W starts."""
    return "I" if settings.residual else f"N(0, {settings.init_std:g}²)"


def start_cells(rows: Sequence[LadderRow]) -> list[StartCell]:
    """A cell a row; empty where rows are not linear nets of one layer from several starts and widths, each once."""
    settings = [row.compared.settings for row in rows]
    if not all(getattr(one, "arch", "") == "linear" and one.layers == 1 for one in settings):
        return []
    places = {(one.width, start_word(one)) for one in settings}
    if len(places) < len(rows) or len({start for _, start in places}) < 2 or len({width for width, _ in places}) < 2:
        return []
    return [_cell(row) for row in rows]


def _cell(row: LadderRow) -> StartCell:
    settings = row.compared.settings
    measured = np.array([one.margin > 0 for one in row.ranks])
    predicted = np.array([one.ranks.margin > 0 for one in row.predictions])
    low, middle, high = np.quantile(row.course.share[:, -1], (0.0, 0.5, 1.0))
    return StartCell(
        settings.width,
        start_word(settings),
        len(measured),
        int(measured.sum()),
        int(predicted.sum()),
        int((measured == predicted).sum()),
        (float(low), float(middle), float(high)),
        float(np.median(row.course.predicted_share[:, -1])),
    )


def plot_starts(graphs: Graphs) -> Figure:
    """A column a graph. Above: seeds that end geometric, measured and in brackets predicted; below: the share of energy
    in the first eigenspaces, median and range of the runs, and in brackets the predicted median."""
    with plt.rc_context(STYLE):
        size = (PANEL[0] * len(graphs) + 1.0, 2 * PANEL[1] + 0.4)
        figure, axes = plt.subplots(2, len(graphs), figsize=size, squeeze=False, layout="constrained")
        for column, (graph, rows) in enumerate(graphs):
            cells = start_cells(rows)
            counts = [(one.geometric / one.seeds, f"{one.geometric}/{one.seeds}\n({one.predicted})") for one in cells]
            shares = [(one.share[1], f"{_short(one.share[1])}\n{_short(one.share[0])}–{_short(one.share[2])}\n"
                       f"({_short(one.predicted_share)})") for one in cells]  # fmt: skip
            for place, values in enumerate((counts, shares)):
                ax = axes[place, column]
                _draw(ax, cells, values, letters=6.8 if place else 8.0)
                ax.set(title=graph if not place else "", xlabel="width" if place else "")
                if not column:
                    ax.set_ylabel(("seeds that end geometric", "share, first eigenspace")[place] + "\nW(0)")
                else:
                    ax.set_yticklabels([])
    return figure


def _short(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def _draw(ax: Axes, cells: Sequence[StartCell], values: Sequence[tuple[float, str]], letters: float) -> None:
    starts, widths = list(dict.fromkeys(one.start for one in cells)), sorted({one.width for one in cells})
    shown = np.full((len(starts), len(widths)), np.nan)
    for one, (value, text) in zip(cells, values, strict=True):
        i, j = starts.index(one.start), widths.index(one.width)
        shown[i, j] = value
        colour = "white" if value < DARK else "black"
        ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=letters, linespacing=1.0)
    ax.imshow(shown, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(widths)), [str(width) for width in widths])
    ax.set_yticks(range(len(starts)), starts)
    for spine in ax.spines.values():
        spine.set_visible(False)


def starts_caption(graphs: Graphs) -> str:
    """What the figure shows."""
    cells = [one for _, rows in graphs for one in start_cells(rows)]
    agree, runs = sum(one.agree for one in cells), sum(one.seeds for one in cells)
    return (
        "One layer Z = E W E' by width and start of W. Above: of the seeds, how many end geometric (neighbours nearer "
        "than others in the embedding itself), and in brackets how many are predicted to by the flow from their own "
        "start. Below: share of the energy in the first non-trivial eigenspace at the end, median, range over the "
        f"runs, and in brackets the median predicted. Run and prediction are on one side in {agree} of {runs} runs."
    )
