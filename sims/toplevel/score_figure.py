"""The figure of an embedding's scores: its Gram spectrum and its nodes beside the predicted ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fiedler.theory import TiedOptimum, centre_rows

from ..draw.plane import plane_coordinates
from ..draw.style import COLOURS, STYLE
from ..foreign import drawn
from ..tasks.task import DENSE_NODES, Task

MOST = 12  # eigenvalues that are drawn


def plot_scores(
    task: Task, embedding: NDArray[np.float64], scores: Mapping[str, Any], optimum: TiedOptimum | None
) -> Figure:
    """Two panels. The embedding is scaled to the prediction by the least-squares factor in both."""
    if optimum is None:
        raise ValueError(
            "the embedding was scored without the optimum, which the figure shows: score(..., optimum=True)"
        )
    values = np.linalg.svd(centre_rows(embedding, optimum.components), compute_uv=False) ** 2
    wanted = optimum.eigenvalues
    count = min(MOST, max(len(values), len(wanted)))
    measured, predicted = (np.pad(one, (0, count))[:count] for one in (values, wanted))
    size = float((measured**2).sum())
    scale = float(measured @ predicted) / size if size > 0 else 0.0
    with plt.rc_context(STYLE):
        figure, (spectrum, plane) = plt.subplots(1, 2, figsize=(8.0, 3.6), layout="constrained")
        figure.suptitle(drawn(task.title), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        index = np.arange(1, count + 1)
        spectrum.plot(index, predicted, "s-", ms=7, mfc="none", color="black", lw=1.2, label="predicted")
        spectrum.plot(index, scale * measured, "o", ms=4, color=COLOURS[1], label=f"embedding × {scale:.3g}")
        spectrum.set(xlabel="index", ylabel="eigenvalue of centred Gram matrix", xticks=index)
        spectrum.set_title(f"gram_error {scores['gram_error']:.3g}", loc="left")
        spectrum.legend(frameon=False)
        plane.set_title(f"fiedler_score {scores['fiedler_score']:.3g}", loc="left")
        draw_nodes(plane, task, embedding, optimum)
    return figure


def draw_nodes(plane: Axes, task: Task, embedding: NDArray[np.float64], optimum: TiedOptimum | None) -> None:
    """The nodes and edges in the predicted plane, beside the predicted ones; without an ``optimum`` in the embedding's
    first two principal directions."""
    plane.set(xticks=[], yticks=[])
    rank = 2 if optimum is None else optimum.rank
    if rank < 2 or task.graph.n > DENSE_NODES:
        why = f"rank {rank}: no plane" if rank < 2 else f"drawn up to {DENSE_NODES:,} nodes"
        plane.text(0.5, 0.5, why, ha="center", va="center", transform=plane.transAxes)
        return
    limit = None
    if optimum is None:
        left, values, _ = np.linalg.svd(centre_rows(embedding, task.graph.component_labels), full_matrices=False)
        found = np.pad(left * values, ((0, 0), (0, 2)))[:, :2]
    else:
        limit, found = plane_coordinates(embedding, optimum)
    edges = np.stack(task.graph.adjacency.tocoo().coords, axis=1)
    lines = list(found[edges[edges[:, 0] < edges[:, 1]]])
    plane.add_collection(LineCollection(lines, colors="#999999", linewidths=0.6, zorder=1))
    dot = float(np.clip(900 / task.graph.n, 4, 30))
    if limit is not None:
        plane.scatter(
            limit[:, 0], limit[:, 1], s=2.6 * dot, facecolors="none", edgecolors="black", label="predicted", zorder=2
        )
    plane.scatter(found[:, 0], found[:, 1], s=dot, color=COLOURS[1], label="embedding", zorder=3)
    plane.set_aspect("equal", adjustable="datalim")
    plane.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), frameon=False, ncols=2)
