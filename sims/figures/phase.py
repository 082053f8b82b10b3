"""The phase diagram of a sweep: measured scores, their boundary, and the predicted ones."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ..disk.jsonio import from_json
from ..draw.sources import Source, Unsuitable, source_of_run
from ..phase.diagram import PhaseDiagram, phase_diagram
from ..phase.panels import draw_panels, panel_diagrams, panel_notes
from ..phase.plot import draw_phase, phase_title
from ..runs.folder import RunDir
from ..sweep.report import METRIC
from ..sweep.run import SWEEP_FILE
from .drawn import Drawn, only_one
from .style import Column

if TYPE_CHECKING:
    import pandas as pd

SWEEP = "the folder of a `fiedler sweep`"
GAP = {"single": 0.11, "double": 0.05}  # of the axes, between two labels of lines
PANELS = {"single": 1, "double": 3}  # in a row, where settings vary one at a time
ROW, LEGEND = 1.9, 0.9  # inches
TABLE, PHASE = "results.parquet", "phase.json"


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """Over the axes that the sweep's own diagram has. Raises Unsuitable for a sweep without one."""
    import pandas as pd

    path = only_one(folders, SWEEP)
    for name in (SWEEP_FILE, TABLE, PHASE):
        if not (path / name).is_file():
            raise Unsuitable(f"{path} holds no {name}: it is not {SWEEP} that ended with a phase diagram")
    table = pd.read_parquet(path / TABLE)
    kept = from_json((path / PHASE).read_text(encoding="utf-8"))
    if "panels" in kept:
        return _draw_panels(path, table, kept, column)
    diagram = phase_diagram(table, kept["x"], kept.get("y"), kept.get("metric", METRIC))
    figure = plt.figure(figsize=(column.width, 4.4 if column.wide else 4.0))
    handles = draw_phase(figure, diagram, GAP[column.name])
    _finish(figure, handles, 2 if column.wide else 1)
    title = " ".join(phase_title(diagram.grid).split("\n"))
    return _drawn(path, figure, diagram, f"{title}. {' '.join(diagram.notes)}")


def _draw_panels(path: Path, table: pd.DataFrame, kept: Mapping[str, Any], column: Column) -> Drawn:
    axes = [panel["x"] for panel in kept["panels"]]
    # What every other panel keeps an axis at is what the sweep varied the others around.
    base = {name: panel["settings"][name] for panel in kept["panels"] for name in axes if name != panel["x"]}
    diagrams = panel_diagrams(table, base, axes, kept["metric"])
    columns = min(PANELS[column.name], len(axes))
    figure = plt.figure(figsize=(column.width, ROW * -(-len(axes) // columns) + LEGEND))
    handles = draw_panels(figure, diagrams, columns)
    _finish(figure, handles, 3 if column.wide else 1)
    around = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in base.items())
    title = phase_title(diagrams[0].grid).split("\n")[0]
    notes = " ".join(panel_notes(diagrams))
    return _drawn(path, figure, diagrams[0], f"{title}: one setting at a time, the others at {around}. {notes}")


def _finish(figure: Figure, handles: Sequence[Any], columns: int) -> None:
    size = plt.rcParams["xtick.labelsize"]
    for ax in figure.findobj(plt.Axes):
        for text in ax.texts:
            text.set_fontsize(size)
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=columns)


def _drawn(path: Path, figure: Figure, diagram: PhaseDiagram, caption: str) -> Drawn:
    title, shown = phase_title(diagram.grid).split("\n")[0], textwrap.shorten(caption, 2000)
    return Drawn(figure, title, shown, (_source(path, diagram.grid.seeds),))


def _source(path: Path, seeds: Sequence[int]) -> Source:
    """A sweep keeps its command with its points."""
    points = sorted(path.glob("points/*/seed*"))
    if not points:
        return Source.make(path, {}, seeds)
    first = source_of_run(RunDir(points[0]))
    return Source(str(path), first.command, tuple(seeds), first.versions, first.commit, first.time)
