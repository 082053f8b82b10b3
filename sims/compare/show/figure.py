"""The comparison figure: theory lines through experiment dots, residuals, Gram spectrum, embedding in the plane."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...draw.plane import plane_coordinates
from ...draw.style import COLOURS, STYLE
from ...foreign import drawn
from ...predict.trajectory import centred_spectrum, predicted_spectrum
from ...scores.statistics import standard_deviations
from ..at_time import number, spectrum_at_time
from ..comparison import Comparison
from ..model_comparison import ModelComparison
from .energies import draw_energy, drawn_modes

Floats = NDArray[np.float64]

SPECTRUM_SIZE = 10


def plot_comparison(comparison: Comparison) -> Figure:
    """One row a model: mode energies over time with residuals, Gram spectrum, embedding in the predicted plane."""
    rows, modes = len(comparison.models), drawn_modes(comparison.models)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(11.0, 3.75 * rows), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
        for part, compared in zip(np.atleast_1d(figure.subfigures(rows, 1)), comparison.models, strict=True):
            part.suptitle(_row_title(comparison, compared), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
            grid = part.add_gridspec(2, 3, width_ratios=(1.45, 0.9, 1.0), height_ratios=(3.2, 1.0))
            energy = part.add_subplot(grid[0, 0])
            residual = part.add_subplot(grid[1, 0], sharex=energy)
            draw_energy(energy, residual, compared, comparison.task.spaces, modes)
            known = compared.predicted
            lines = "no predicted flow" if known is None else "lines: its own flow" if known.own else "lines: theory"
            energy.set_title(f"{lines}    markers: runs (mean, range over seeds)", loc="left", fontsize=8.5)
            energy.legend(loc="best", ncols=1, frameon=True, framealpha=0.85, edgecolor="none", handletextpad=0.4)
            spectrum = part.add_subplot(grid[:, 1])
            draw_spectrum(spectrum, compared)
            spectrum.set_title(_spectrum_title(compared), loc="left")
            _draw_embedding(part.add_subplot(grid[:, 2]), comparison, compared)
    return figure


def _row_title(comparison: Comparison, compared: ModelComparison) -> str:
    seeds = len(compared.runs)
    name = comparison.task.graph.name
    name = drawn(name) + comparison.task.title.removeprefix(comparison.task.graph.name)
    return f"{name}: {compared.model.title}, {seeds} seed{'s' if seeds > 1 else ''}"


def draw_spectrum(ax: Axes, compared: ModelComparison) -> None:
    """The largest eigenvalues of the centred Gram matrix: of the limit, of the flow at the time of the runs (mean over
    seeds), and measured (mean, deviation over seeds). Without a certified limit the flow alone."""
    found = predicted_spectrum(compared.model, compared.optimum, compared.predicted)
    measured = np.array([_centred_spectrum(run.final.embedding, compared) for run in compared.runs])
    predicted = np.zeros(measured.shape[1]) if found is None else found
    count = min(SPECTRUM_SIZE, len(predicted) - 1)
    index = np.arange(1, count + 1)
    scale = 1.0
    if compared.mean_fit.fitted and predicted.any():
        scale = float((measured @ predicted).sum() / (measured**2).sum())
    if found is not None:
        ax.plot(index, predicted[:count], "-", color="black", lw=1.2, zorder=1)
        ax.plot(index, predicted[:count], "s", ms=7, mfc="none", mec="black", mew=1.2, zorder=2,
                label="limit" if compared.model.tied else "predicted")  # fmt: skip
    highest = float(predicted.max())
    if compared.model.tied and (at_time := spectrum_at_time(compared.scores)) is not None:
        label = f"predicted at $t$ = {compared.scores[0]['flow_time']:g}"
        ax.plot(index, at_time[:count], "D--", ms=5.5, mfc="none", color=COLOURS[2], lw=1.0, label=label, zorder=2)
        highest = max(highest, float(at_time.max()))
    spread = scale * (standard_deviations(measured) if len(measured) > 1 else np.zeros(measured.shape[1]))
    centre = scale * measured.mean(axis=0)
    label = "measured" if scale == 1.0 else f"measured × {scale:.3g}"
    ax.errorbar(index, centre[:count], yerr=spread[:count], fmt="o", ms=4, color=COLOURS[1], label=label, zorder=3)
    ax.set(xlabel="index", ylabel="eigenvalue of centred Gram matrix", xticks=index[:: 1 if count <= 10 else 2])
    highest = max(highest, float((centre + spread).max()), 1e-12)
    rows = len(ax.get_legend_handles_labels()[1])
    top = (1.05 + 0.1 * rows) * highest  # the legend has the top to itself
    ax.set_ylim(min(0.0, float(centre.min())) - 0.03 * highest, top)
    ax.legend(loc="upper right", frameon=False)


def _spectrum_title(compared: ModelComparison) -> str:
    # gram_error is measured from the tied optimum; an untied model is drawn against its own flow.
    if compared.optimum is None:
        return "Gram spectrum, without the optimum" if compared.model.tied else "Gram spectrum, last step"
    error, at_time = (
        float(np.mean([number(scores, name) for scores in compared.scores]))
        for name in ("gram_error", "gram_error_at_time")
    )
    known = f", gram_error {error:.2g}" if np.isfinite(error) else ""
    if not compared.model.tied:
        return "Gram spectrum, last step"
    if known and np.isfinite(at_time):
        return f"gram_error {error:.2g} (limit), {at_time:.2g} (at $t$)"
    return f"Gram spectrum{known}"


def _centred_spectrum(embedding: NDArray[np.floating], compared: ModelComparison) -> Floats:
    labels = None if compared.optimum is None else compared.optimum.components
    return centred_spectrum(np.asarray(embedding, dtype=np.float64), labels)


def _draw_embedding(ax: Axes, comparison: Comparison, compared: ModelComparison) -> None:
    optimum, score = compared.optimum, compared.scores[0]["fiedler_score"]
    known = score is not None and np.isfinite(score)
    ax.set_title(f"embedding, fiedler_score {score:.3g}" if known else "embedding", loc="left")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color("#bbbbbb")
    ax.set_anchor("N")
    if optimum is None or optimum.rank < 2:
        why = "without the optimum:" if optimum is None else f"predicted rank {optimum.rank}:"
        ax.text(0.5, 0.5, f"{why}\nno plane to draw", ha="center", va="center", transform=ax.transAxes)
        return
    wanted, drawn = plane_coordinates(compared.runs[0].final.embedding, optimum)
    edges = np.stack(comparison.task.graph.adjacency.tocoo().coords, axis=1)
    edges = edges[edges[:, 0] < edges[:, 1]]
    size = _node_size(comparison.task.graph.n)
    ax.add_collection(LineCollection(list(drawn[edges]), colors="#999999", linewidths=0.8, zorder=1))
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": "black", "linewidths": 1.0}
    ax.scatter(wanted[:, 0], wanted[:, 1], s=2.6 * size, zorder=2, label="limit, in its plane", **ring)
    ax.scatter(drawn[:, 0], drawn[:, 1], s=size, color=COLOURS[1], zorder=3, label=f"seed {compared.runs[0].seed}")
    both = np.concatenate([wanted, drawn])
    middle, reach = (both.max(axis=0) + both.min(axis=0)) / 2, 0.56 * float(np.ptp(both, axis=0).max())
    ax.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach), aspect="equal")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), frameon=False, ncols=2, handletextpad=0.2)


def _node_size(n: int) -> float:
    return float(np.clip(900 / n, 6, 30))
