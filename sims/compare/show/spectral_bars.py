"""The skewed spectral bias as bars: which modes hold the energy of the final embeddings, a column a graph.

``plot_spectral_bars`` is free of any choice of basis: one bar an eigenspace, the predicted flow's share beside the
measured one. ``plot_vector_bars`` is the paper's own figure, ||V'e_i|| for each eigenvector, which inside a repeated
eigenvalue depends on the basis; what does not, the root mean square over the eigenspace, is drawn through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fiedler.theory import Eigenspaces

from ...draw.style import COLOURS, STYLE
from ..comparison import Comparison
from ..energy_series import eigenspace_name
from ..mode_events import followed_spaces
from ..spectral_bias import ModelBias
from .panels import shared_models, short_name

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 3.3, 1.15  # inches of a panel
TITLE_SIZE, TICK_SIZE = 9, 6.5
MOST_LABELS = 16  # eigenspaces with a label of their own; beyond, every second, third and so on has one
FLOW_COLOURS = {"tied": COLOURS[0], "untied": COLOURS[1]}
FLOW_MARKERS = {"tied": "_", "untied": "x"}
BAR_COLOUR = "#bdbdbd"
SPACE_COLOUR = "#333333"


def plot_spectral_bars(comparisons: Sequence[Comparison]) -> Figure:
    """Shares of the centred energy at the last step. Raises ValueError when the comparisons' models differ."""
    figure, axes = _grid(comparisons)
    with plt.rc_context(STYLE):
        handles: dict[str, Any] = {}
        for column, comparison in zip(axes.T, comparisons, strict=True):
            spaces = comparison.task.spaces
            followed = followed_spaces(spaces)
            for ax, compared in zip(column, comparison.models, strict=True):
                handles |= _draw_shares(ax, [bias for bias in comparison.biases if bias.compared is compared], followed)
            _label_spaces(column[-1], spaces, followed)
        figure.supylabel("share of the centred energy", fontsize=TITLE_SIZE)
        figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=len(handles), frameon=False)
    return figure


def plot_vector_bars(comparisons: Sequence[Comparison]) -> Figure:
    """||V'e_i|| of the first seed, over its largest, the near-constant first vector left out (not centred, as in arXiv
    2510.26745, figure 7). Raises ValueError when the comparisons' models differ."""
    figure, axes = _grid(comparisons)
    with plt.rc_context(STYLE):
        handles: dict[str, Any] = {}
        for column, comparison in zip(axes.T, comparisons, strict=True):
            spaces = comparison.task.spaces
            for ax, compared in zip(column, comparison.models, strict=True):
                handles |= draw_vectors(ax, np.array(compared.scores[0]["vector_energy"]), spaces)
            _label_vectors(column[-1], spaces)
        figure.supylabel("$\\|V'e_i\\|$ / largest", fontsize=TITLE_SIZE)
        figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=len(handles), frameon=False)
    return figure


def spectral_bars_caption(comparisons: Sequence[Comparison]) -> str:
    """What ``plot_spectral_bars`` shows."""
    seeds = len(comparisons[0].models[0].runs)
    return (
        "Share of the centred energy of the final embeddings in every eigenspace of (I - D⁻¹A) + (I - D⁻¹A)', by "
        f"eigenvalue μ, with its multiplicity (×m); the constant mode is left out. Bars: mean of {seeds} seed(s), "
        "lines their range. Marks: the predicted flow's share at its end, tied or untied; for Node2Vec its own flow, "
        "for other models both hypotheses. No basis is chosen inside an eigenspace."
    )


def vector_bars_caption(comparisons: Sequence[Comparison]) -> str:
    """What ``plot_vector_bars`` shows, and in which basis."""
    seeds = sorted({compared.runs[0].seed for comparison in comparisons for compared in comparison.models})
    return (
        "The paper's own bars: ‖V'e_i‖ over the largest for the eigenvectors of (I - D⁻¹A) + (I - D⁻¹A)', ascending in "
        "eigenvalue (descending in that of -L), the first, near-constant one left out, embeddings not centred. The "
        "basis inside a repeated eigenvalue is the one LAPACK returns, so single bars there mean nothing by "
        "themselves; the dark steps are the root mean square over each eigenspace, which no basis changes. "
        f"Seed {', '.join(map(str, seeds))}."
    )


def _grid(comparisons: Sequence[Comparison]) -> tuple[Figure, NDArray[np.object_]]:
    titles = shared_models(comparisons)
    rows, columns = len(titles), len(comparisons)
    with plt.rc_context(STYLE):
        size = (WIDTH * columns + 1.5, HEIGHT * rows + 0.9)
        figure, axes = plt.subplots(
            rows, columns, figsize=size, squeeze=False, sharex="col", sharey=True, layout="constrained"
        )
        for ax, comparison in zip(axes[0], comparisons, strict=True):
            ax.set_title(short_name(comparison.task.title, 40), fontsize=TITLE_SIZE)
        for ax, title in zip(axes[:, 0], titles, strict=True):
            ax.set_ylabel(short_name(title), fontsize=TITLE_SIZE, rotation=0, ha="right", va="center")
        for ax in axes.flat:
            ax.set(ylim=(-0.04, 1.08), yticks=[0.0, 0.5, 1.0])
        figure.supxlabel("eigenvalue μ (×multiplicity)", fontsize=TITLE_SIZE)
    return figure, axes


def _draw_shares(ax: Axes, biases: Sequence[ModelBias], followed: NDArray[np.int64]) -> dict[str, Any]:
    measured = biases[0].score.measured_share[:, followed]
    x, mean = np.arange(len(followed)), measured.mean(axis=0)
    spread = np.abs(np.stack([mean - measured.min(axis=0), measured.max(axis=0) - mean]))
    bars = ax.bar(x, mean, 0.7, color=BAR_COLOUR, yerr=spread, error_kw={"elinewidth": 0.8}, zorder=1)
    handles: dict[str, Any] = {"measured (range over seeds)": bars}
    for bias in biases:
        style: dict[str, Any] = {
            "marker": FLOW_MARKERS[bias.flow],
            "color": FLOW_COLOURS[bias.flow],
            "linestyle": "none",
        }
        size = 11.0 if bias.flow == "tied" else 4.5
        share = bias.score.predicted_share[followed]
        (handles[f"{bias.flow} flow"],) = ax.plot(x, share, ms=size, mew=1.6, zorder=3, **style)
    return handles


def draw_vectors(ax: Axes, norms: Floats, spaces: Eigenspaces) -> dict[str, Any]:
    """One number a basis vector over their largest, the first left out; and what no basis changes, the root mean square
    over each eigenspace. Returns handles for a legend."""
    labels, later = spaces.labels[1:], norms[1:]
    largest = float(later.max(initial=0.0)) or 1.0
    mean = np.sqrt(np.bincount(spaces.labels, weights=norms**2) / spaces.multiplicities)[labels]
    x = np.arange(1, len(norms))
    bars = ax.bar(x, later / largest, 0.8, color=[COLOURS[4] if k % 2 else COLOURS[2] for k in labels], zorder=1)
    steps = ax.hlines(mean / largest, x - 0.5, x + 0.5, color=SPACE_COLOUR, lw=1.3, zorder=2)
    return {"one eigenvector, LAPACK's basis (colour changes with the eigenspace)": bars, "eigenspace": steps}


def _label_spaces(ax: Axes, spaces: Eigenspaces, followed: NDArray[np.int64]) -> None:
    every = -(-len(followed) // MOST_LABELS)
    at = np.arange(0, len(followed), every)
    ax.set_xticks(at, [_space(spaces, int(followed[i])) for i in at], rotation=90, fontsize=TICK_SIZE)


def _label_vectors(ax: Axes, spaces: Eigenspaces) -> None:
    ends = np.cumsum(spaces.multiplicities)
    middles = ends - (spaces.multiplicities + 1) / 2
    shown = np.flatnonzero(ends > 1)
    shown = shown[:: -(-len(shown) // MOST_LABELS)]
    ax.set_xticks(middles[shown], [_space(spaces, int(k)) for k in shown], rotation=90, fontsize=TICK_SIZE)


def _space(spaces: Eigenspaces, k: int) -> str:
    return eigenspace_name(spaces.eigenvalues[k], spaces.multiplicities[k])
