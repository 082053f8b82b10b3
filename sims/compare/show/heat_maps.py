"""Who is near whom: cosine similarities of node embeddings, a row a graph, beside the target and the optimum's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fiedler.theory import TiedOptimum, centre_rows

from ...draw.colours import DIVERGING
from ...draw.style import STYLE
from ..comparison import Comparison
from .panels import bare, row_label, shared_models, short_name

Floats = NDArray[np.float64]

PANEL = 1.4  # inches a side
TITLE_SIZE = 8.5
THEORY = ("target", "predicted optimum")
COSINES: dict[str, Any] = {"cmap": DIVERGING, "vmin": -1.0, "vmax": 1.0, "interpolation": "nearest"}
UNDEFINED = "#dddddd"  # a node whose embedding is the mean of its component has no direction
ZERO_LENGTH = 1e-6  # of the longest: such a vector is zero but for the solver's rounding


def plot_heat_maps(comparisons: Sequence[Comparison]) -> Figure:
    """The first seed of every model, nodes in the order of the graph. Raises ValueError when the models differ."""
    titles = [*THEORY, *shared_models(comparisons)]
    rows, columns = len(comparisons), len(titles)
    with plt.rc_context(STYLE):
        size = (PANEL * columns + 1.0, PANEL * rows + 0.25)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
        for row, comparison in zip(axes, comparisons, strict=True):
            target = comparison.task.target
            row[0].imshow(target, cmap="Greys", vmin=0.0, vmax=float(target.max()), interpolation="nearest")
            optimum = comparison.certified
            embeddings = [optimum.embedding(), *(one.runs[0].final.embedding for one in comparison.models)]
            for ax, embedding in zip(row[1:], embeddings, strict=True):
                ax.set_facecolor(UNDEFINED)
                image = ax.imshow(cosines(embedding, optimum), **COSINES)
            for ax in row:
                bare(ax)
            row[0].set_ylabel(row_label(comparison.task), fontsize=TITLE_SIZE)
        for ax, title in zip(axes[0], titles, strict=True):
            ax.set_title(short_name(title), fontsize=TITLE_SIZE)
        bar = figure.colorbar(image, ax=axes[:, -1], fraction=0.06, pad=0.02, ticks=[-1, 0, 1])
        bar.set_label("cosine")
    return figure


def cosines(embedding: NDArray[np.floating], optimum: TiedOptimum) -> Floats:
    """Cosine similarity (n, n) of the rows of an embedding (n, m), less the mean row of each component; NaN where a
    row is the mean. An embedding of no columns, an optimum of rank zero, has no cosine at all."""
    n = len(optimum.components)
    if embedding.shape[1] == 0:
        return np.full((n, n), np.nan)
    v = centre_rows(np.asarray(embedding, dtype=np.float64), optimum.components)
    length = np.linalg.norm(v, axis=1)
    length[length <= ZERO_LENGTH * length.max()] = np.nan
    unit = v / length[:, None]
    return np.asarray(np.clip(unit @ unit.T, -1.0, 1.0))


def heat_maps_caption(comparisons: Sequence[Comparison]) -> str:
    """What the figure shows."""
    seeds = sorted({one.runs[0].seed for comparison in comparisons for one in comparison.models})
    return (
        "Cosine similarity of every two nodes, in the order of the graph. Target: the distribution each node is "
        "trained on, white 0 to black the largest. Predicted optimum and models: embeddings less the mean row of each "
        f"component, so that the part all nodes share does not count; grey where nothing is left. Seed "
        f"{', '.join(map(str, seeds))}."
    )
