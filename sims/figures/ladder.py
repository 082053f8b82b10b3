"""The ladder from its folder: how far every rung's prediction reaches, and whether its geometry is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ..compare.ladder.course import LADDER, Graphs, read_courses
from ..compare.ladder.figure import MOST_GRAPHS, ladder_caption, plot_ladder
from ..compare.ladder.retention_figure import MOST_SHARES, plot_shares, shares_caption
from ..draw.sources import Unsuitable
from .drawn import Drawn, only_one
from .style import Column


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """Share unexplained, and the time of parting, of every rung. Raises Unsuitable for the folder of anything else, and
    for more graphs than one figure tells apart."""
    return _draw(folders, column, "The ladder", plot_ladder, ladder_caption)


def draw_shares(folders: Sequence[Path], column: Column) -> Drawn:
    """Share of energy in the first eigenspace over time. Raises Unsuitable as ``draw``, and for too many models."""
    return _draw(folders, column, "Crossing is not retention", plot_shares, shares_caption)


def _draw(
    folders: Sequence[Path],
    column: Column,
    title: str,
    plot: Callable[..., Figure],
    caption: Callable[[Graphs], str],
) -> Drawn:
    path = only_one(folders, LADDER)
    _, every, source = read_courses(path)
    graphs = [one for one in every if one[1]]
    if not graphs:
        raise Unsuitable(f"{path} has no prediction that was done")
    most = max(len(rungs) for _, rungs in graphs)
    if plot is plot_shares and most > MOST_SHARES:
        raise Unsuitable(f"{path} has {most} models, and {MOST_SHARES} can be told apart: take that of retention")
    if plot is plot_ladder and len(graphs) > MOST_GRAPHS:
        raise Unsuitable(f"{path} has {len(graphs)} graphs, and {MOST_GRAPHS} can be told apart: give one at a time")
    return Drawn(plot(graphs, column.width, {}), title, caption(graphs), (source,))
