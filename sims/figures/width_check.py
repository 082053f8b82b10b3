"""Runs of several widths against the flow of infinite width, as muP's coordinate check: energies over time, and how far
they are from the flow over the width, which theory expects to fall like 1 / sqrt(width)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from fiedler.theory import predict_from_tangent, tied_tangent
from fiedler.theory.width.tangent import TANGENT_LIMIT

from ..predict.trajectory import PredictedTrajectory, predict_trajectory
from .drawn import Drawn, letter_panels
from .style import Column, look
from .width_runs import WidthRuns, read_widths

Floats = NDArray[np.float64]

DRAWN_MODES = 3
MOMENTS = (0.35, 0.65, 1.0)  # of the logarithmic time axis, at which deviations are drawn
SIDESTEP = 1.03  # factor along the width between the marks of different times
ALONG = 30  # widths of a predicted line
MARK_EVERY = 9  # recorded steps between two marks of a mode
FADE = 1e-4  # of the largest energy: the energy axis ends here


def deviation(energy: Floats, flow: Floats) -> Floats:
    """sqrt(mean over seeds of sum_k (E_k - F_k)^2) / sum_k F_k at every time: ``energy`` (seeds, times, modes),
    ``flow`` (times, modes)."""
    return np.asarray(np.sqrt(_squares(energy, flow).mean(axis=0)) / flow.sum(axis=1))


def deviation_error(energy: Floats, flow: Floats) -> Floats:
    """(2, times): how far ``deviation`` reaches below and above when its mean square is one standard error off; zero
    for one seed."""
    squares = _squares(energy, flow)
    seeds = len(squares)
    error = squares.std(axis=0, ddof=1) / np.sqrt(seeds) if seeds > 1 else np.zeros(squares.shape[1])
    middle = np.sqrt(squares.mean(axis=0))
    ends = np.sqrt(np.maximum(squares.mean(axis=0) + np.array([[-1.0], [1.0]]) * error, 0.0))
    return np.asarray(np.abs(ends - middle) / flow.sum(axis=1))


def _squares(energy: Floats, flow: Floats) -> Floats:
    return np.asarray(((energy - flow) ** 2).sum(axis=2))


def predicted_deviation(runs: WidthRuns, times: Floats, widths: Sequence[int]) -> Floats | None:
    """The same (widths, times) to first order in 1 / width from ``theory.predict_width``: the root of the sum over
    modes of variance and squared bias over the flow's total. None above TANGENT_LIMIT nodes."""
    if runs.task.graph.n > TANGENT_LIMIT:
        return None
    scale, decay = float(np.sqrt(runs.start)), float(runs.settings.weight_decay)
    tangent = tied_tangent(runs.task.target, scale, times, weight_decay=decay, row_weight=runs.task.row_weight)
    found = []
    for width in widths:
        one = predict_from_tangent(tangent, runs.task.spaces, width, scale)
        found.append(np.sqrt((one.energy_std**2 + one.energy_bias**2).sum(axis=1)) / one.energy.sum(axis=1))
    return np.array(found)


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """Raises Unsuitable as ``read_widths``."""
    runs = read_widths(folders)
    flow = predict_trajectory(runs.task, runs.model, runs.settings, runs.steps)
    shape = (1, 2) if column.wide else (2, 1)
    figure, (left, right) = plt.subplots(*shape, figsize=(column.width, 3.0 if column.wide else 5.2))
    share = flow.energy / flow.energy.sum(axis=1, keepdims=True)
    chosen = np.sort(np.argsort(-share.mean(axis=0), kind="stable")[:DRAWN_MODES])
    at = np.unique(np.round(np.array(MOMENTS) * (len(flow.times) - 1)).astype(int))
    _draw_energies(left, runs, flow, chosen)
    measured, predicted = _draw_deviations(right, runs, flow, at)
    letter_panels((left, right))
    widths = list(runs.energy)
    eigenvalues = ", ".join(f"{runs.task.spaces.eigenvalues[k]:.3g}" for k in chosen)
    slopes = np.polyfit(np.log(widths), np.log(measured), 1)[0]
    lines = (
        "Lines: scatter and bias to first order in 1/m (predict_width), which goes as 1/sqrt(m) and holds for small n/m"
        if predicted
        else f"Lines: 1/sqrt(m) through the least width (no first-order prediction above {TANGENT_LIMIT} nodes)"
    )
    caption = (
        f"Node2Vec on {runs.task.title} at widths {', '.join(map(str, widths))}, all starting at size "
        f"{runs.start:.3g}, {len(runs.seeds)} seed(s). (a) Mean energies of the modes of the largest share "
        f"(eigenvalues {eigenvalues}), mean of the embedding included; "
        "black: the flow of infinite width. (b) Root mean square over seeds of the distance of all energies from "
        f"the flow, over the flow's total; bars: one standard error of the mean square. {lines}. Fitted slopes: "
        + ", ".join(f"{slope:.2f} at t = {flow.times[k]:.2g}" for slope, k in zip(slopes, at, strict=True))
        + "."
    )
    title = f"{runs.task.title}: runs of several widths and the flow of infinite width"
    return Drawn(figure, title, caption, runs.sources)


def _draw_energies(ax: Axes, runs: WidthRuns, flow: PredictedTrajectory, chosen: NDArray[np.int64]) -> None:
    top = float(flow.energy[:, chosen].max())
    for number, (width, energy) in enumerate(runs.energy.items()):
        style, mean = look(number), energy.mean(axis=0)
        top = max(top, float(mean[:, chosen].max()))
        every = (number * MARK_EVERY // len(runs.energy), MARK_EVERY)
        for k in chosen:
            label = f"width {width}" if k == chosen[0] else None
            ax.plot(flow.times, mean[:, k], ls="none", marker=style.marker, color=style.color, mfc="none", ms=2.8,
                    markevery=every, label=label)  # fmt: skip
    for k in chosen:
        label = "infinite width" if k == chosen[0] else None
        ax.plot(flow.times, flow.energy[:, k], "-", marker="", color="black", lw=1.0, zorder=4, label=label)
    low = max(float(flow.energy[:, chosen].min()), FADE * top)
    ax.set(xscale="log", yscale="log", ylim=(low / 2, top * 2))
    ax.set(xlabel="flow time $t$", ylabel=r"mode energy $\|\Pi_k V\|^2$", title=f"{len(chosen)} largest modes")
    ax.legend(loc="best")


def _draw_deviations(
    ax: Axes, runs: WidthRuns, flow: PredictedTrajectory, at: NDArray[np.int64]
) -> tuple[Floats, bool]:
    """The measured deviations (widths, len(at)), and whether there are predicted ones."""
    widths = list(runs.energy)
    along = np.unique(np.round(np.geomspace(widths[0], widths[-1], ALONG)))
    predicted = predicted_deviation(runs, flow.times[at], [int(width) for width in along])
    measured = np.array([deviation(energy, flow.energy)[at] for energy in runs.energy.values()])
    errors = np.array([deviation_error(energy, flow.energy)[:, at] for energy in runs.energy.values()])
    for number, k in enumerate(at):
        style = look(number)
        beside = np.array(widths) * SIDESTEP ** (number - (len(at) - 1) / 2)
        ax.errorbar(beside, measured[:, number], yerr=errors[:, :, number].T, fmt=style.marker, color=style.color,
                    elinewidth=0.7, label=f"$t$ = {flow.times[k]:.2g}")  # fmt: skip
        guide = measured[0, number] * np.sqrt(widths[0] / along)  # where no more than the rate is known
        line = guide if predicted is None else predicted[:, number]
        ax.plot(along, line, ls=style.linestyle, marker="", color=style.color)
    ax.set(xscale="log", yscale="log", xlabel="width $m$", ylabel="relative deviation from the flow")
    ax.set_title("lines: theory, first order" if predicted is not None else r"lines: slope of $1/\sqrt{m}$")
    ax.set_xticks(widths, [str(width) for width in widths])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend(loc="best")
    return measured, predicted is not None
