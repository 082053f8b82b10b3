"""Predicted against measured times of the modes: a column a model, a row a flow, a colour a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from ...draw.style import COLOURS, MARKERS, STYLE
from ..comparison import Comparison
from ..mode_events import ModeEvents
from ..spectral_bias import ModelBias
from .panels import shared_models, short_name

Floats = NDArray[np.float64]

PANEL = 1.75  # inches a side
LEGEND = 2.4  # inches, for the longest name
TITLE_SIZE = 8.5
LONGEST_NAME = 24
FLOWS = ("tied", "untied")
MARGIN = 1.5  # factor by which the axes reach beyond the earliest and the latest event


def plot_mode_times(comparisons: Sequence[Comparison]) -> Figure:
    """Every event of every seed that the prediction has too, in flow time.

    Raises ValueError when the comparisons' models differ, or for more graphs than there are colours.
    """
    titles = shared_models(comparisons)
    if len(comparisons) > len(COLOURS):
        raise ValueError(f"at most {len(COLOURS)} graphs can be told apart in one figure; got {len(comparisons)}")
    with plt.rc_context(STYLE):
        size = (PANEL * len(titles) + 0.6 + LEGEND, PANEL * len(FLOWS) + 0.7)
        figure, axes = plt.subplots(
            len(FLOWS), len(titles), figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
        )
        handles: dict[str, Any] = {}
        reach: list[float] = []
        for row, flow in zip(axes, FLOWS, strict=True):
            for i, ax in enumerate(row):
                for look, comparison in enumerate(comparisons):
                    for bias in comparison.biases:
                        if bias.compared is comparison.models[i] and bias.flow == flow:
                            name = short_name(comparison.task.title, LONGEST_NAME)
                            handles |= _draw_events(ax, bias, name, COLOURS[look], MARKERS[look], reach)
            row[0].set_ylabel(f"{flow} flow", fontsize=TITLE_SIZE)
        low, high = (min(reach) / MARGIN, max(reach) * MARGIN) if reach else (0.1, 10.0)
        for ax in axes.flat:
            ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_locator(LogLocator(base=10, numticks=4))
                axis.set_minor_locator(LogLocator(base=10, numticks=1))
            if not ax.lines:
                ax.text(0.5, 0.85, "nothing to compare", ha="center", fontsize=6.5, transform=ax.transAxes)
            ax.plot([low, high], [low, high], color="black", lw=0.7, zorder=1)
        for ax, title in zip(axes[0], titles, strict=True):
            ax.set_title(short_name(title), fontsize=TITLE_SIZE)
        figure.supxlabel("predicted time of the mode", fontsize=TITLE_SIZE)
        figure.supylabel("measured time", fontsize=TITLE_SIZE)
        if handles:
            figure.legend(handles.values(), handles.keys(), loc="outside right upper", frameon=False)
    return figure


def mode_times_caption(comparisons: Sequence[Comparison]) -> str:
    """What the figure shows."""
    seeds = len(comparisons[0].models[0].runs)
    return (
        f"Times of the modes of {seeds} seed(s), one mark an eigenspace and seed. Filled: the mode falls a factor ten "
        "behind the largest (filtering); hollow: it has grown tenfold. Measured times are steps times the flow time of "
        "a step: the learning rate for gradient descent, else one factor fitted to all marks of a model and graph. "
        "Modes that have the event in only one of the two are not drawn; the table counts them. Node2Vec has its own "
        "flow only."
    )


def _draw_events(ax: Axes, bias: ModelBias, name: str, colour: str, marker: str, reach: list[float]) -> dict[str, Any]:
    handles: dict[str, Any] = {}
    score = bias.score
    for kind, found, face in (("filtering", score.filtering, colour), ("growth", score.growth, "none")):
        pairs = [_both(found.predicted, seen) * [1.0, score.time_scale] for seen in found.measured]
        x, y = np.concatenate(pairs).T
        if len(x) == 0:
            continue
        reach += [float(x.min()), float(x.max()), float(y.min()), float(y.max())]
        look: dict[str, Any] = {"color": colour, "marker": marker, "mfc": face, "ms": 3.2, "mew": 0.7, "alpha": 0.8}
        (handles[f"{name}, {kind}"],) = ax.plot(x, y, linestyle="none", zorder=3 if kind == "filtering" else 2, **look)
    return handles


def _both(predicted: ModeEvents, measured: ModeEvents) -> Floats:
    """(k, 2) predicted and measured times of the modes with an event after the start in both."""
    times = np.stack([predicted.times, measured.times], axis=1)
    return np.asarray(times[(np.isfinite(times) & (times > 0)).all(axis=1)])
