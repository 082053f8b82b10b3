"""The embedding over training as small multiples: nodes in the principal plane of the last step, one scale for all.

On a screen the page of a comparison (`fiedler report`) plays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from ..draw.principal_plane import node_colours
from ..draw.sources import Unsuitable
from ..foreign import drawn
from .drawn import Drawn
from .films import Reel, kept_text, read_reels
from .style import Column

TIMES = {"single": 3, "double": 6}  # panels of a model
TITLES, LABELS = 0.2, 0.22  # inches above and beside the panels of a row
MOST_ROWS = 8
LETTERS = 13  # of a label an inch
NODE, FEW, MANY = (18.0, 3.0), 20, 200  # square points of a node, of graphs of so few and so many
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
        row[0].set_ylabel(drawn(reel.name, int(LETTERS * side)))
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.02, wspace=0.0, hspace=0.0)
    seeds = ", ".join(f"{reel.name} seed {reel.seeds[0]}" for reel in reels)
    caption = (
        "Embeddings less their mean at steps of the run, in the plane of the last one's first two principal "
        f"directions, every row in one scale; gray: edges. {seeds}.{kept_text(reels)}"
    )
    return Drawn(figure, "The embedding over training", caption, sources)


def _draw_row(row: Sequence[Axes], reel: Reel) -> None:
    positions = reel.in_last_plane()
    chosen = np.linspace(0, len(reel.steps) - 1, len(row)).round().astype(int)
    limit = MARGIN * float(np.abs(positions[chosen]).max(initial=0.0)) or 1.0
    every = np.zeros((reel.graph.n, 2))
    every[reel.nodes] = positions[-1]
    of_all = node_colours(reel.graph, every)
    colours = [of_all[node] for node in reel.nodes]
    edges = _edges(reel)
    size = float(np.interp(len(reel.nodes), (FEW, MANY), NODE))
    for ax, place in zip(row, chosen, strict=True):
        points = positions[place]
        ax.add_collection(LineCollection(points[edges], colors="#999999", linewidths=0.4, alpha=0.6, zorder=1))
        ax.scatter(points[:, 0], points[:, 1], s=size, c=colours, linewidths=0, zorder=2)
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
        ax.set_title(f"step {reel.steps[place]:,}", loc="center")
        ax.spines[:].set(visible=True, color="#bbbbbb")


def _edges(reel: Reel) -> NDArray[np.int64]:
    """(e, 2): places in ``nodes`` of the ends of edges between them."""
    place = np.full(reel.graph.n, -1)
    place[reel.nodes] = np.arange(len(reel.nodes))
    arcs = reel.graph.adjacency.tocoo()
    ends = place[np.stack([arcs.row, arcs.col], axis=1)]
    return np.asarray(ends[(ends[:, 0] < ends[:, 1]) & (ends >= 0).all(axis=1)])
