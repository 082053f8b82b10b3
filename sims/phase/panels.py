"""Settings one at a time: a panel each, the score over it measured and predicted, with what theory says of its ends."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ..draw.style import STYLE
from .diagram import PhaseDiagram, phase_diagram
from .plot import CAPTION, draw_phase, phase_title
from .table import METRIC

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = 3  # panels in a row of a wide figure
HEIGHT = 2.5  # inches a row
LABELS = 0.12  # of the axes, between two labels of lines


def panel_diagrams(
    table: pd.DataFrame, base: Mapping[str, Any], axes: Sequence[str], metric: str = METRIC, **options: Any
) -> list[PhaseDiagram]:
    """``phase_diagram`` over each of ``axes``, the others at their values in ``base``; raises as that does."""
    return [
        phase_diagram(table, x, None, metric, fixed={name: base[name] for name in axes if name != x}, **options)
        for x in axes
    ]


def panels_figure(diagrams: Sequence[PhaseDiagram]) -> Figure:
    """All of them in one figure with one legend; what they have to say stands below."""
    with plt.rc_context(STYLE):
        rows = -(-len(diagrams) // COLUMNS)
        figure = plt.figure(
            figsize=(3.1 * min(COLUMNS, len(diagrams)) + 0.3, HEIGHT * rows + 1.2), layout="constrained"
        )
        handles = draw_panels(figure, diagrams, COLUMNS)
        head = phase_title(diagrams[0].grid).split("\n")[0]
        figure.suptitle(f"{head}: one setting at a time", x=0.02, ha="left", fontsize=10)
        notes = [textwrap.fill(note, CAPTION) for note in panel_notes(diagrams)]
        legend = figure.legend(
            handles=handles, loc="outside lower left", ncols=3, frameon=False, title="\n".join(notes) or None
        )
        legend.set_alignment("left")
        legend.get_title().set_fontsize(8)
    return figure


def draw_panels(figure: Figure, diagrams: Sequence[PhaseDiagram], columns: int) -> list[Any]:
    """A panel a diagram in ``columns``; the handles of one legend for all."""
    rows = -(-len(diagrams) // columns)
    parts = figure.subfigures(rows, columns, squeeze=False).ravel()
    handles: dict[str, Any] = {}
    for part, diagram in zip(parts, diagrams, strict=False):
        for handle in draw_phase(part, diagram, LABELS):
            handles.setdefault(handle.get_label(), handle)
    return list(handles.values())


def panel_notes(diagrams: Sequence[PhaseDiagram]) -> list[str]:
    """What each has to say, once, with the settings it is said of."""
    said: dict[str, list[str]] = {}
    for diagram in diagrams:
        for note in diagram.notes:
            said.setdefault(note, []).append(diagram.grid.axes[0].name.replace("_", " "))
    return [f"{', '.join(names)}: {note}." for note, names in said.items()]
