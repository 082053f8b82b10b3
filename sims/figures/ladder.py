"""The ladder from its folder: how far every rung's prediction reaches. And of its folder, or of any comparison's,
whether the geometry is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..compare.comparison import Comparison
from ..compare.folder import COMPARISON, read_comparison
from ..compare.ladder.course import LADDER, Graphs, course_shares, read_courses
from ..compare.ladder.figure import MOST_GRAPHS, ladder_caption, plot_ladder
from ..compare.ladder.retention import Shares, first_share
from ..compare.ladder.retention_figure import MOST_SHARES, Panels, peaks_text, plot_shares, shares_caption
from ..compare.model_comparison import ModelComparison
from ..draw.sources import Source, Unsuitable, open_run
from .drawn import Drawn, only_one
from .style import Column


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """Share unexplained, and the time of parting, of every rung. Raises Unsuitable for the folder of anything else, and
    for more graphs than one figure tells apart."""
    path = only_one(folders, LADDER)
    graphs, source = _read_ladder(path)
    if len(graphs) > MOST_GRAPHS:
        raise Unsuitable(f"{path} has {len(graphs)} graphs, and {MOST_GRAPHS} can be told apart: give one at a time")
    return Drawn(plot_ladder(graphs, column.width, {}), "The ladder", ladder_caption(graphs), (source,))


def draw_shares(folders: Sequence[Path], column: Column) -> Drawn:
    """Share of energy in the first eigenspace over time: of a ladder, or of comparisons, a panel a graph; a panel a
    model where there are more than can be told apart. Raises Unsuitable for other folders."""
    panels, sources = _read_shares(folders)
    peaks = peaks_text(panels)
    if len({one.title for _, shares in panels for one in shares}) > MOST_SHARES:
        panels = [
            (one.title if len(panels) == 1 else f"{one.title}, {graph}", [replace(one, title="measured")])
            for graph, shares in panels
            for one in shares
        ]
    figure = plot_shares(panels, column.width, {})
    return Drawn(figure, "Crossing is not retention", f"{shares_caption(panels)} {peaks}", sources)


def _read_ladder(path: Path) -> tuple[Graphs, Source]:
    _, every, source = read_courses(path)
    graphs = [one for one in every if one[1]]
    if not graphs:
        raise Unsuitable(f"{path} has no prediction that was done")
    return graphs, source


def _read_shares(folders: Sequence[Path]) -> tuple[Panels, tuple[Source, ...]]:
    kept = [open_run(path, ("seeds",), COMPARISON)[1] for path in folders]
    if not any("models" in config for config in kept):
        graphs, source = _read_ladder(only_one(folders, LADDER))
        return course_shares(graphs), (source,)
    found = [read_comparison(path) for path in folders]
    # Models without flow time have steps alone in common with the others.
    clock = all(one.model.time_per_step(one.settings) is not None for each, _ in found for one in each.models)
    return [_panel(comparison, clock) for comparison, _ in found], tuple(source for _, source in found)


def _panel(comparison: Comparison, clock: bool) -> tuple[str, list[Shares]]:
    return comparison.task.title, [_shares(one, clock) for one in comparison.models]


def _shares(one: ModelComparison, clock: bool) -> Shares:
    steps, per_step = one.runs[0].modes.steps, one.model.time_per_step(one.settings)
    later = steps > 0
    measured = np.array([first_share(run.modes.centred_energy[later]) for run in one.runs])
    predicted = None
    if per_step is not None and one.predicted is not None:
        share = first_share(one.predicted.centred_energy)
        predicted = np.interp(np.log(per_step * steps[later]), np.log(one.predicted.times), share)[None]
    times = np.asarray(steps[later] * (per_step if clock and per_step else 1.0), dtype=np.float64)
    return Shares(one.model.title, times, measured, predicted, clock)
