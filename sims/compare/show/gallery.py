"""Embeddings side by side: a row a graph; the predicted optimum, the Laplacian's eigenvectors, then every model."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...draw.principal_plane import directions, laplacian_positions, node_colours, predicted_plane, principal_positions
from ...draw.style import STYLE
from ..comparison import Comparison
from .panels import bare, row_label, shared_models, short_name

Floats = NDArray[np.float64]

PANEL = 1.45  # inches a side
TITLE_SIZE = 8.5
THEORY = ("predicted optimum", "Laplacian")


def plot_gallery(comparisons: Sequence[Comparison]) -> Figure:
    """The first seed of every model, on every graph. Raises ValueError when the comparisons' models differ."""
    titles = [*THEORY, *shared_models(comparisons)]
    rows, columns = len(comparisons), len(titles)
    with plt.rc_context(STYLE):
        size = (PANEL * columns + 0.3, PANEL * rows + 0.25)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
        for row, comparison in zip(axes, comparisons, strict=True):
            _draw_row(row, comparison)
        for ax, title in zip(axes[0], titles, strict=True):
            ax.set_title(short_name(title), fontsize=TITLE_SIZE)
    return figure


def gallery_caption(comparisons: Sequence[Comparison]) -> str:
    """What the figure shows and how it was aligned."""
    seeds = sorted({one.runs[0].seed for comparison in comparisons for one in comparison.models})
    looked = ", ".join(f"{c.task.title} {directions(c.certified)}" for c in comparisons)
    return (
        "Embeddings of every model beside the theory's. Each panel: the embedding less its mean row (that of each "
        f"component), in its own first principal directions ({looked}: as many as the certified optimum has large "
        "eigenvalues, 2 or 3), turned to face the plane of the optimum by orthogonal Procrustes: a rotation or "
        "reflection only. Every panel has its own scale. Laplacian: the eigenvectors of (I - D⁻¹A) + (I - D⁻¹A)' of "
        "smallest eigenvalue, turned likewise. Components lie over each other, each around its own mean. Lines are "
        "edges; colours are the branch of a node (arms of a star), else its angle in the predicted plane. "
        f"Seed {', '.join(map(str, seeds))}."
    )


def _draw_row(axes: Sequence[Axes], comparison: Comparison) -> None:
    draw_embeddings(axes, comparison)
    axes[0].set_ylabel(row_label(comparison.task), fontsize=TITLE_SIZE)


def draw_embeddings(axes: Sequence[Axes], comparison: Comparison, scale: float = 1.0) -> None:
    """The predicted optimum, the Laplacian's eigenvectors and the first seed of every model, a panel each. ``scale``:
    of the nodes' area."""
    graph, optimum = comparison.task.graph, comparison.certified
    plane = predicted_plane(optimum)
    colours = node_colours(graph, plane)
    drawn: list[Floats | None] = [plane, laplacian_positions(comparison.task.spaces, optimum, plane)]
    drawn += [principal_positions(one.runs[0].final.embedding, optimum, plane) for one in comparison.models]
    ends = np.stack(graph.adjacency.tocoo().coords, axis=1)
    ends = ends[ends[:, 0] < ends[:, 1]]
    for ax, positions in zip(axes, drawn, strict=True):
        bare(ax)
        if positions is None:
            ax.text(0.5, 0.5, f"rank {optimum.rank}:\nno plane", ha="center", va="center", transform=ax.transAxes)
        else:
            _draw_nodes(ax, positions, ends, colours, scale)


def _draw_nodes(
    ax: Axes, positions: Floats, ends: NDArray[np.int64], colours: Sequence[str], scale: float = 1.0
) -> None:
    ax.add_collection(LineCollection(list(positions[ends]), colors="#999999", linewidths=0.7, zorder=1))
    size = scale * float(np.clip(260 / len(positions), 2, 16))
    ax.scatter(positions[:, 0], positions[:, 1], s=size, c=list(colours), linewidths=0, zorder=2)
    middle = (positions.max(axis=0) + positions.min(axis=0)) / 2
    reach = 0.57 * max(float(np.ptp(positions, axis=0).max()), 1e-12)
    ax.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach), aspect="equal")
