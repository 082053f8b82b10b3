"""Figures of the geometry that path runs end in: leaf against first hop, path against path, and a projection."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from fiedler.theory import Graph

from ...draw.style import COLOURS, STYLE
from ..data import InWeightsData
from ..geometry import leaf_first_hop_distances, path_distances, project_paths
from ..one_run import PathRun

HEAT_MAP = "magma"
SEEN_COLOUR, UNSEEN_COLOUR = COLOURS[0], COLOURS[1]
DRAWN = 100  # paths of a heat map, evenly spread where there are more
TITLE_LETTERS = 46  # of a title over one panel
COLOURED = 10  # paths of the projection that are drawn in colour
PATH_COLOURS = "tab10"
SIDE = 10  # points between a heat map and its axis labels: room for the marks of seen and unseen paths


@dataclass(frozen=True, eq=False)
class PathMap:
    """Distances, and which rows and columns are of paths seen in training."""

    values: NDArray[np.float64]
    rows: NDArray[np.bool_]
    columns: NDArray[np.bool_]


def heat_figure(graph: Graph, runs: Mapping[str, Sequence[PathRun]], title: str) -> Figure:
    """One row a condition, of its first seed: cosine distance of every leaf from every first hop, and mean distance of
    every path from every other. Paths seen in training come first; unseen ones are marked at the sides."""
    rows = {name: group[0] for name, group in runs.items() if not group[0].settings.in_context}
    maps = [path_maps(graph, run) for run in rows.values()]
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(9.4, 4.1 * len(rows) + 0.6), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        axes = figure.subplots(len(rows), 2, squeeze=False)
        for column, (what, x, y) in enumerate(
            (("leaf to first hop", "first hop of arm", "leaf of path"), ("path to path", "path", "path"))
        ):
            top = max(float(pair[column].values.max()) for pair in maps)  # one scale a column
            for ax, (name, run), pair in zip(axes[:, column], rows.items(), maps, strict=True):
                _heat(ax, pair[column], top)
                ax.set_title(f"{name.replace('_', ' ')}, seed {run.seed}: {what}", loc="left")
                ax.set_xlabel(x, labelpad=SIDE)
                ax.set_ylabel(y, labelpad=SIDE)
        handles = [plt.Line2D([], [], color=SEEN_COLOUR, lw=3), plt.Line2D([], [], color=UNSEEN_COLOUR, lw=3)]
        figure.legend(handles, ["path seen in training", "unseen"], loc="outside lower center", ncols=2, frameon=False)
    return figure


def projection_figure(graph: Graph, runs: Mapping[str, Sequence[PathRun]], title: str, method: str = "pca") -> Figure:
    """One panel a condition, of its first seed: every node but the root in two coordinates; some paths in colour, seen
    ones as dots, unseen ones as triangles, each from its first hop (open) to its leaf (full)."""
    shown = {name: group[0] for name, group in runs.items() if not group[0].settings.in_context}
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(3.9 * columns + 0.4, 3.9 * lines + 0.6), layout="constrained")
        figure.suptitle(
            textwrap.fill(title, TITLE_LETTERS * columns), x=0.01, ha="left", fontsize=10.5, fontweight="bold"
        )
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
        for ax, (name, run) in zip(axes, shown.items(), strict=False):
            data = InWeightsData(graph, run.settings, run.seed)
            projection = project_paths(run.embedding, data.star, method, run.seed)
            draw_projection(ax, projection.points, data)
            ax.set_title(f"{name.replace('_', ' ')}: {projection.label}", loc="left")
        for ax in axes[len(shown) :]:
            ax.set_visible(False)
        handles = [
            plt.Line2D([], [], ls="", marker="o", mfc="none", mec="#555555", label="first hop, seen path"),
            plt.Line2D([], [], ls="", marker="o", color="#555555", label="leaf, seen path"),
            plt.Line2D([], [], ls="", marker="^", mfc="none", mec="#555555", label="first hop, unseen path"),
            plt.Line2D([], [], ls="", marker="^", color="#555555", label="leaf, unseen path"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4 if columns > 1 else 2, frameon=False)
    return figure


def _shown(order: NDArray[np.integer]) -> NDArray[np.integer]:
    if len(order) <= DRAWN:
        return order
    return order[np.linspace(0, len(order) - 1, DRAWN).round().astype(int)]


def path_maps(graph: Graph, run: PathRun) -> tuple[PathMap, PathMap]:
    """Leaf to first hop, and path to path; paths seen in training first."""
    data = InWeightsData(graph, run.settings, run.seed)
    order = _shown(np.concatenate([data.train, data.test]))
    seen = np.isin(order, data.train)
    arms = data.star.arms[order]
    columns = arms[np.sort(np.unique(arms, return_index=True)[1])]
    hops = leaf_first_hop_distances(run.embedding, data.star)[np.ix_(order, columns)]
    between = path_distances(run.embedding, data.star)[np.ix_(order, order)]
    return PathMap(hops, seen, np.isin(columns, data.star.arms[data.train])), PathMap(between, seen, seen)


def _heat(ax: Axes, found: PathMap, top: float) -> None:
    image = draw_heat(ax, found, top)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.9, pad=0.02)
    bar.set_label("cosine distance")
    bar.outline.set_visible(False)


def draw_heat(ax: Axes, found: PathMap, top: float, width_of_sides: float = 3) -> AxesImage:
    """Distances from 0 to ``top`` as colours, and at the sides which rows and columns are of paths seen in training."""
    height, width = found.values.shape
    image = ax.imshow(found.values, cmap=HEAT_MAP, vmin=0.0, vmax=top, aspect="auto", interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    # Bars beside the axes: which rows and columns are of paths seen in training.
    sides = [([[-0.025, 1 - k / height], [-0.025, 1 - (k + 1) / height]], seen) for k, seen in enumerate(found.rows)]
    sides += [([[k / width, -0.025], [(k + 1) / width, -0.025]], seen) for k, seen in enumerate(found.columns)]
    colours = [SEEN_COLOUR if seen else UNSEEN_COLOUR for _, seen in sides]
    lines = LineCollection([line for line, _ in sides], colors=colours, linewidths=width_of_sides, capstyle="butt")
    lines.set_transform(ax.transAxes)
    lines.set_clip_on(False)
    ax.add_artist(lines)
    return image


def draw_projection(ax: Axes, points: NDArray[np.float64], data: InWeightsData, size: float = 34) -> None:
    """Every node but the root, some paths in colour; ``size``: of their ends, in square points."""
    ax.scatter(points[:, 0], points[:, 1], s=4, color="#cccccc", zorder=1, linewidths=0)
    half = COLOURED // 2
    chosen = [(path, "o") for path in data.train[:half]] + [(path, "^") for path in data.test[:half]]
    for number, (path, marker) in enumerate(chosen):
        colour = plt.get_cmap(PATH_COLOURS)(number % COLOURED)
        way = points[data.star.paths[path][1:] - 1]
        ax.add_collection(LineCollection([way], colors=[colour], linewidths=0.8, alpha=0.7, zorder=2))
        ax.scatter(
            way[:1, 0],
            way[:1, 1],
            s=size,
            marker=marker,
            facecolors="white",
            edgecolors=[colour],
            linewidths=1.3,
            zorder=4,
        )
        ax.scatter(way[-1:, 0], way[-1:, 1], s=size, marker=marker, color=[colour], zorder=3)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color("#bbbbbb")
