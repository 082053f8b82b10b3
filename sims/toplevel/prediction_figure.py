"""The figure of a prediction: Gram spectrum, mode times, and the predicted embedding in its plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from fiedler.theory import TiedOptimum

from ..draw.principal_plane import node_colours, predicted_plane
from ..draw.style import COLOURS, STYLE
from ..foreign import drawn
from ..tasks.task import DENSE_NODES, Task

MOST = 12  # eigenvalues and modes that are drawn


def plot_prediction(task: Task, answer: Mapping[str, Any], optimum: Callable[[], TiedOptimum]) -> Figure:
    """Three panels of the ``answer`` for ``task``; one whose part was left out says so. ``optimum``: asked for where an
    embedding is drawn."""
    with plt.rc_context(STYLE):
        figure, (spectrum, times, plane) = plt.subplots(1, 3, figsize=(11.0, 3.6), layout="constrained")
        figure.suptitle(drawn(task.title), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        values = answer["optimum"]["eigenvalues"][:MOST] if "optimum" in answer else []
        _bars(spectrum, values, _nothing(answer))
        of = answer["optimum"]["eigenvalues_of"] if "optimum" in answer else ""
        spectrum.set_title(f"optimum: {of}" if of else "optimum", loc="left")
        spectrum.set(xlabel="index", ylabel="eigenvalue" if answer["model"] == "tied" else "singular value")
        _bars(times, answer.get("mode_times", [])[:MOST], "no growing mode")
        times.set_title("early phase: when modes are learned", loc="left")
        times.set(xlabel="growing mode", ylabel="flow time = learning rate × steps")
        _embedding(plane, task, answer, optimum)
    return figure


def _bars(ax: Axes, values: Sequence[float], nothing: str) -> None:
    if not values:
        _say(ax, nothing)
        return
    index = np.arange(1, len(values) + 1)
    ax.vlines(index, 0, values, color=COLOURS[0], lw=1.5)
    ax.plot(index, values, "o", ms=5, color=COLOURS[0])
    ax.set_ylim(0.0, 1.08 * max(values))
    ax.set_xticks(index[:: 1 if len(index) <= 8 else 2])


def _nothing(answer: Mapping[str, Any]) -> str:
    """Why there is no eigenvalue to draw."""
    if "optimum" not in answer:
        return "no optimum"
    return "the optimum is zero" if answer["optimum"]["attained"] else "not attained: logits diverge"


def _embedding(ax: Axes, task: Task, answer: Mapping[str, Any], optimum: Callable[[], TiedOptimum]) -> None:
    ax.set_title("predicted embedding, in its plane", loc="left")
    if answer["model"] != "tied" or "optimum" not in answer:
        _say(ax, "no tied optimum")
        return
    if task.graph.n > DENSE_NODES:
        _say(ax, f"drawn up to {DENSE_NODES:,} nodes")
        return
    found = optimum()
    points = predicted_plane(found)
    if points is None:
        _say(ax, f"rank {found.rank}: no plane")
        return
    edges = np.stack(task.graph.adjacency.tocoo().coords, axis=1)
    edges = edges[edges[:, 0] < edges[:, 1]]
    ax.add_collection(LineCollection(list(points[edges]), colors="#999999", linewidths=0.6, zorder=1))
    size = float(np.clip(900 / task.graph.n, 4, 30))
    ax.scatter(points[:, 0], points[:, 1], s=size, c=node_colours(task.graph, points), zorder=2)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xticks([])
    ax.set_yticks([])


def _say(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)
    ax.set_xticks([])
    ax.set_yticks([])
