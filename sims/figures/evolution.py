"""The embedding over training as small multiples: nodes in the principal plane of the last step, one scale for all.

On a screen the page of a comparison (`fiedler report`) plays the same.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from ..draw.principal_plane import node_colours
from ..draw.sources import Unsuitable
from ..draw.style import shade
from ..foreign import drawn
from .drawn import Drawn
from .films import Arms, Reel, kept_text, read_reels
from .style import Column

TIMES = {"single": 3, "double": 6}  # panels of a model
TITLES, LABELS = 0.2, 0.36  # inches above and beside the panels of a row
MOST_ROWS = 8
LETTERS, MOST_LETTERS = 15, 30  # of a label an inch, and in all
FEW, MANY = 20, 200  # nodes, between which their marks get smaller and edges lighter
NODE, EDGE = (18.0, 3.0), (0.6, 0.12)  # square points; opacity
MOST_ARMS = 12  # that are told apart by colour; nodes of more are coloured by their depth
MARGIN = 1.08


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """A row a model or condition, of its first seed; a column a step. Raises Unsuitable as ``read_reels``, and for more
    than MOST_ROWS rows."""
    reels, sources = read_reels(folders)
    if len(reels) > MOST_ROWS:
        raise Unsuitable(f"{len(reels)} models and conditions are more than the {MOST_ROWS} rows of a page")
    times = TIMES[column.name]
    side = (column.width - LABELS) / times
    size = (column.width, (side + TITLES) * len(reels))
    figure, axes = plt.subplots(len(reels), times, figsize=size, squeeze=False)
    for row, reel in zip(axes, reels, strict=True):
        _draw_row(row, reel)
        name = textwrap.wrap(drawn(reel.name, MOST_LETTERS), int(LETTERS * side), break_on_hyphens=False)
        row[0].set_ylabel("\n".join(name[:2]))
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.02, wspace=0.0, hspace=0.0)
    seeds = ", ".join(f"{reel.name} seed {reel.seeds[0]}" for reel in reels)
    caption = (
        "Embeddings less their mean at steps of the run, in the plane of the last one's first two principal "
        f"directions, every row in one scale; lines: edges; colours: branches of a star, depths where it has more than "
        f"{MOST_ARMS}. {seeds}.{kept_text(reels)}"
    )
    return Drawn(figure, "The embedding over training", caption, sources)


def _draw_row(row: Sequence[Axes], reel: Reel) -> None:
    positions = reel.in_last_plane()
    chosen = np.linspace(0, len(reel.steps) - 1, len(row)).round().astype(int)
    limit = MARGIN * float(np.abs(positions[chosen]).max(initial=0.0)) or 1.0
    every = np.zeros((reel.graph.n, 2))
    every[reel.nodes] = positions[-1]
    colours = _colours(reel, every)
    edges = _edges(reel)
    size, alpha = (float(np.interp(len(reel.nodes), (FEW, MANY), ends)) for ends in (NODE, EDGE))
    for ax, place in zip(row, chosen, strict=True):
        points = positions[place]
        ax.add_collection(LineCollection(points[edges], colors="#999999", linewidths=0.4, alpha=alpha, zorder=1))
        ax.scatter(points[:, 0], points[:, 1], s=size, c=colours, linewidths=0, zorder=2)
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
        ax.set_title(f"step {reel.steps[place]:,}", loc="center")
        ax.spines[:].set(visible=True, color="#bbbbbb")


def _colours(reel: Reel, last: NDArray[np.float64]) -> Sequence[Any]:
    """Of the nodes kept: those of a gallery, or of a star with many arms by depth, the root black."""
    try:
        arms = Arms.of(reel)
    except Unsuitable:
        arms = None
    if arms is None or len(np.unique(arms.arm)) - 1 <= MOST_ARMS:
        of_all = node_colours(reel.graph, last)
        return [of_all[node] for node in reel.nodes]
    depth = int(arms.depth.max())
    return list(np.array([(0.0, 0.0, 0.0, 1.0), *(shade(k, depth) for k in range(depth))])[arms.depth])


def _edges(reel: Reel) -> NDArray[np.int64]:
    """(e, 2): places in ``nodes`` of the ends of edges between them."""
    place = np.full(reel.graph.n, -1)
    place[reel.nodes] = np.arange(len(reel.nodes))
    arcs = reel.graph.adjacency.tocoo()
    ends = place[np.stack([arcs.row, arcs.col], axis=1)]
    return np.asarray(ends[(ends[:, 0] < ends[:, 1]) & (ends >= 0).all(axis=1)])
