"""Embeddings side by side: what every model learned on every graph of a preset, beside the theory's."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ..compare.comparison import Comparison
from ..compare.presets.folder import PRESET, read_preset
from ..compare.presets.report import MIXED
from ..compare.show.gallery import PANEL, THEORY, draw_embeddings, gallery_caption
from ..compare.show.panels import shared_models
from ..draw.sources import Unsuitable
from .drawn import Drawn, only_one
from .style import Column

LABELS = 0.5  # inches beside the panels for the labels of rows
TITLE = 0.4  # inches above a row that has titles
LEAST, MOST = 0.6, 1.3  # inches: sides of a panel
LETTER = 0.054  # inches a letter at 7 points, on average
ALONE = {"single": 4, "double": 8}  # panels in a row where there is only one graph


def draw(folders: Sequence[Path], column: Column, *, preset: str, graph: str | None = None) -> Drawn:
    """The gallery of ``preset``, or of its one ``graph``. Raises Unsuitable for the folder of another preset."""
    path = only_one(folders, PRESET)
    found, cells, source = read_preset(path)
    shown = [(cell, comparison) for cell, comparison in cells if graph in (None, cell.graph)]
    if found.name != preset and not (graph is not None and found.name == "fig1" and shown):
        raise Unsuitable(f"{path} holds the preset {found.name}, not {preset}")
    comparisons = [comparison for _, comparison in shown]
    titles = [*THEORY, *shared_models(comparisons)]
    graphs = [", ".join(comparison.task.title.split(", ")[:2]) for comparison in comparisons]
    graphs = [name.removesuffix(", weighted by line") for name in graphs]
    figure = (
        _draw_one(comparisons[0], titles, column) if len(shown) == 1 else _draw(comparisons, titles, graphs, column)
    )
    weights = {spec.weights for cell, _ in shown for spec in cell.models}
    caption = gallery_caption(comparisons) + ("" if len(weights) == 1 else f" {MIXED}")
    about = f"{found.title}" if graph is None else f"All models on {graph}"
    return Drawn(figure, about, caption, (source,))


def _draw(
    comparisons: Sequence[Comparison], titles: Sequence[str], graphs: Sequence[str], column: Column
) -> plt.Figure:
    """Graphs along the longer or the shorter side, whichever is less high with panels that are large enough."""
    sides = [(len(graphs), len(titles)), (len(titles), len(graphs))]  # columns, rows
    fits = [side for side in sides if (column.width - LABELS) / side[0] >= LEAST] or [min(sides)]
    columns, rows = max(fits)
    across = columns == len(graphs)  # graphs are columns
    panel = min((column.width - LABELS) / columns, MOST)
    names, labels = (graphs, titles) if across else (titles, graphs)
    figure, axes = plt.subplots(rows, columns, figsize=(column.width, rows * panel + TITLE), squeeze=False)
    _close(figure)
    for line, comparison in zip(axes.T if across else axes, comparisons, strict=True):
        draw_embeddings(line, comparison, (panel / PANEL) ** 2)
    letters = int(panel / LETTER)
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(_wrap(name, letters), loc="center")
    for ax, label in zip(axes[:, 0], labels, strict=True):
        ax.set_ylabel(_wrap(label, letters))
    return figure


def _draw_one(comparison: Comparison, titles: Sequence[str], column: Column) -> plt.Figure:
    columns = min(ALONE[column.name], len(titles))
    rows, panel = -(-len(titles) // columns), min(column.width / columns, MOST)
    figure, axes = plt.subplots(rows, columns, figsize=(column.width, rows * (panel + TITLE)), squeeze=False)
    _close(figure)
    shown = axes.ravel()[: len(titles)]
    draw_embeddings(shown, comparison, (panel / PANEL) ** 2)
    for ax, title in zip(shown, titles, strict=True):
        ax.set_title(_wrap(title, int(panel / LETTER)), loc="center")
    for ax in axes.ravel()[len(titles) :]:
        ax.set_visible(False)
    return figure


def _close(figure: plt.Figure) -> None:
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0.0, hspace=0.0)


def _wrap(name: str, letters: int) -> str:
    return textwrap.fill(name, int(np.clip(letters, 8, 40)), break_long_words=False, break_on_hyphens=False)
