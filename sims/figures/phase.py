"""The phase diagram of a sweep: measured scores, their boundary, and the predicted ones."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from ..disk.jsonio import from_json
from ..draw.sources import Source, Unsuitable, source_of_run
from ..phase.diagram import phase_diagram
from ..phase.plot import draw_phase, phase_title
from ..runs.folder import RunDir
from ..sweep.report import METRIC
from ..sweep.run import SWEEP_FILE
from .drawn import Drawn, only_one
from .style import Column

SWEEP = "the folder of a `fiedler sweep`"
GAP = {"single": 0.11, "double": 0.05}  # of the axes, between two labels of lines
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
    x, y = kept["x"], kept.get("y")
    diagram = phase_diagram(table, x, y, kept.get("metric", METRIC))
    figure = plt.figure(figsize=(column.width, 4.4 if column.wide else 4.0))
    handles = draw_phase(figure, diagram, GAP[column.name])
    size = plt.rcParams["xtick.labelsize"]
    for ax in figure.axes:
        for text in ax.texts:
            text.set_fontsize(size)
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=2 if column.wide else 1)
    title = " ".join(phase_title(diagram.grid).split("\n"))
    caption = textwrap.shorten(f"{title}. {' '.join(diagram.notes)}", 2000)
    return Drawn(figure, phase_title(diagram.grid).split("\n")[0], caption, (_source(path, diagram.grid.seeds),))


def _source(path: Path, seeds: Sequence[int]) -> Source:
    """A sweep keeps its command with its points."""
    points = sorted(path.glob("points/*/seed*"))
    if not points:
        return Source.make(path, {}, seeds)
    first = source_of_run(RunDir(points[0]))
    return Source(str(path), first.command, tuple(seeds), first.versions, first.commit, first.time)
