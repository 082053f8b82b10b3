"""The geometry of path runs: which first hop a leaf is near, how far paths are apart, and a projection of the nodes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

from ..paths.data import InWeightsData
from ..paths.geometry import project_paths
from ..paths.show.maps import SEEN_COLOUR, UNSEEN_COLOUR, PathMap, draw_heat, draw_projection, path_maps
from .drawn import Drawn
from .path_folders import read_runs
from .style import Column

KINDS = {"hops": ("first hop of arm", "leaf of path"), "paths": ("path", "path")}
SIDES = 0.025 * 72  # points an inch of a map, at which the marks of seen and unseen paths lie beside it
GAP = 3.0  # points between these and the label
ENDS = 9.0  # square points of the marks of a projection
TITLE_LETTERS = {"single": 16, "double": 30}


def draw(
    folders: Sequence[Path],
    column: Column,
    *,
    preset: str,
    needs: Sequence[str],
    kinds: Sequence[str] = ("hops", "paths"),
    unseen: bool = False,
    arch: str = "gpt2",
    about: str = "",
) -> Drawn:
    """Heat maps, a column a condition and a row each of ``kinds``; ``unseen``: rows of unseen paths alone. Raises
    Unsuitable as ``read_runs``."""
    graph, runs, sources = read_runs(folders, preset, needs, arch)
    maps = {name: dict(zip(KINDS, path_maps(graph, run), strict=True)) for name, run in runs.items()}
    side = min(2.2, (column.width - 0.7) / len(runs))
    size = (column.width, side * len(kinds) + 0.65)
    figure, axes = plt.subplots(len(kinds), len(runs), figsize=size, squeeze=False)
    for row, kind in zip(axes, kinds, strict=True):
        shown = {name: _unseen(found[kind]) if unseen else found[kind] for name, found in maps.items()}
        top = max(float(found.values.max()) for found in shown.values())
        for ax, (name, found) in zip(row, shown.items(), strict=True):
            image = draw_heat(ax, found, top, 1.6)
            ax.spines[:].set_visible(False)
            ax.set_xlabel(KINDS[kind][0], labelpad=SIDES * side + GAP)
            if kind == kinds[0]:
                ax.set_title(textwrap.fill(name.replace("_", " "), TITLE_LETTERS[column.name]), loc="center")
        row[0].set_ylabel(KINDS[kind][1], labelpad=SIDES * side + GAP)
        bar = figure.colorbar(image, ax=row, pad=0.02, fraction=0.05, aspect=18)
        bar.set_label("cosine distance")
        bar.outline.set_visible(False)
    figure.get_layout_engine().set(w_pad=0.05)
    handles = [Line2D([], [], color=colour, lw=2.5, marker="") for colour in (SEEN_COLOUR, UNSEEN_COLOUR)]
    figure.legend(handles, ["path seen in training", "unseen"], loc="outside lower center", ncols=2)
    seeds = ", ".join(sorted({str(run.seed) for run in runs.values()}))
    what = {"hops": "every leaf from every first hop", "paths": "every path from every other (mean over their nodes)"}
    caption = (
        f"{about[:1].upper()}{about[1:]}, on {graph.name}: cosine distance of "
        f"{' and of '.join(what[k] for k in kinds)}. "
        f"{'Rows: unseen paths alone. ' if unseen else 'Paths seen in training come first. '}Seed {seeds}."
    )
    return Drawn(figure, f"{graph.name}: {about}", caption, sources)


def draw_points(
    folders: Sequence[Path],
    column: Column,
    *,
    preset: str,
    needs: Sequence[str],
    arch: str = "gpt2",
    about: str = "",
) -> Drawn:
    """Nodes in their first two principal coordinates, a panel a condition. Raises Unsuitable as ``read_runs``."""
    graph, runs, sources = read_runs(folders, preset, needs, arch)
    columns = min(3, len(runs))
    rows = -(-len(runs) // columns)
    side = min(2.6, column.width / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(column.width, (side + 0.1) * rows + 0.5), squeeze=False)
    for ax, (name, run) in zip(axes.ravel(), runs.items(), strict=False):
        data = InWeightsData(graph, run.settings, run.seed)
        projection = project_paths(run.embedding, data.star, "pca", run.seed)
        draw_projection(ax, projection.points, data, ENDS)
        ax.set_title(textwrap.fill(name.replace("_", " "), TITLE_LETTERS[column.name]), loc="center")
    for ax in axes.ravel()[len(runs) :]:
        ax.set_visible(False)
    marks = (("o", "none", "first hop, seen path"), ("o", None, "leaf, seen path"), ("^", "none", "first hop, unseen"),
             ("^", None, "leaf, unseen"))  # fmt: skip
    handles = [Line2D([], [], ls="", marker=mark, color="#555555", mfc=face, label=name) for mark, face, name in marks]
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if column.wide else 2)
    caption = (
        f"{about[:1].upper()}{about[1:]}, on {graph.name}: token embeddings of all nodes but the root in "
        "their first two "
        "principal coordinates (the paper shows UMAP). Five seen and five unseen paths in colour, from the first hop "
        f"(open) to the leaf (full). Seed {', '.join(sorted({str(run.seed) for run in runs.values()}))}."
    )
    return Drawn(figure, f"{graph.name}: {about}", caption, sources)


def _unseen(found: PathMap) -> PathMap:
    return PathMap(found.values[~found.rows], found.rows[~found.rows], found.columns)
