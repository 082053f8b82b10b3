"""The smallest dimension that memorises, against subjects and against relations: measured points, both fitted laws, and
the dimension that theory gives for blocks."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from fiedler.theory import distinct_code_dimension

from ...draw.style import COLOURS, MARKERS, REST_COLOUR, STYLE
from .fit import ScalingFit
from .presets import CONDITIONS
from .run import ScalingResult

TITLES = {
    "blocks": "construction, blocks",
    "rotations": "construction, random rotations",
    "associative": "construction, associative",
    "trained": "trained Transformer",
    "frozen_subjects": "trained, frozen subjects",
    "frozen_embeddings": "trained, frozen subjects and codes",
}
ABOUT = "markers: geometric mean over seeds, range; solid: the law that fits better, dotted: the other"
LETTERS = {"subjects": "N", "relations": "R"}
DRAWN = 100  # points of a fitted line
SPREAD = 0.012  # by which curves stand apart along the axis, as a share of its decades


def scaling_figure(result: ScalingResult, fits: Mapping[str, Mapping[str, ScalingFit | None]]) -> Figure:
    """``fits``: by condition, then "subjects" or "relations". Both axes logarithmic; a panel for each with two sizes or
    more."""
    panels = [name for name in LETTERS if len(getattr(result, name)) > 1] or ["subjects"]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(panels), figsize=(5.6 * len(panels), 5.4), layout="constrained", sharey=True, squeeze=False
        )
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
        for ax, against in zip(axes[0], panels, strict=True):
            draw_scaling(ax, result, fits, against)
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False, ncols=1)
        axes[0, 0].set_ylabel("smallest embedding dimension $d$")
        about = f"{result.threshold:.0%} of the facts recalled, by constructions all; {ABOUT}"
        figure.suptitle(about, x=0.01, ha="left", fontsize=9)
    return figure


def draw_scaling(
    ax: Axes,
    result: ScalingResult,
    fits: Mapping[str, Mapping[str, ScalingFit | None]],
    against: str,
    titles: Mapping[str, str] = TITLES,
    brief: bool = False,
) -> None:
    """The smallest dimensions of every condition ``against`` "subjects" or "relations" with both fitted laws. Labels
    have the exponent and, unless ``brief``, its interval and the law that fits better."""
    sizes = np.array(sorted({getattr(p, against) for name in result.conditions for p in result.curve(name, against)}))
    along = np.geomspace(sizes[0], sizes[-1], DRAWN)
    letter, fixed = LETTERS[against], "relations" if against == "subjects" else "subjects"
    for number, name in enumerate(result.conditions):
        index = CONDITIONS.index(name)
        colour = [*COLOURS, REST_COLOUR][index]
        drawn = _statistics(result, name, against)
        fit = fits[name][against]
        label = titles[name]
        if fit is not None:
            better, other = (fit.log, fit.power) if fit.better == "log" else (fit.power, fit.log)
            ax.plot(along, better.predict(along), "-", color=colour, lw=1.3, zorder=2)
            ax.plot(along, other.predict(along), ":", color=colour, lw=1.3, zorder=2)
            ends = f"[{fit.power.low:.2f}, {fit.power.high:.2f}]"
            exponent = f"{fit.power.second:.2f}"
            label += f": {exponent}" if brief else f": ${letter}^{{{exponent}}}$ {ends}, {_chosen(fit)}"
        if len(drawn):
            at = drawn[:, 0] * (sizes[-1] / sizes[0]) ** (SPREAD * (number - (len(result.conditions) - 1) / 2))
            spread = np.abs(drawn[:, 2:].T - drawn[:, 1])
            ax.errorbar(at, drawn[:, 1], yerr=spread, fmt=[*MARKERS, "P"][index], ms=4.5, color=colour, mfc="white",
                        mew=1.1, elinewidth=0.9, label=label, zorder=3)  # fmt: skip
    if "blocks" in result.conditions:
        predicted = [_predicted(result, against, int(size)) for size in sizes]
        label = "theory, blocks" if brief else "theory, blocks: median over codes"
        ax.plot(sizes, predicted, "--", color="black", lw=1.0, zorder=4, label=label)
    ax.set(xscale="log", yscale="log", xlabel=f"{against} ${letter}$")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_title(f"{fixed}: {getattr(result.settings, fixed)}", loc="left")
    ax.grid(axis="y", color="#dddddd", lw=0.6)


def _statistics(result: ScalingResult, name: str, against: str) -> np.ndarray:
    """Rows of size, geometric mean, least and largest dimension; only sizes at which every seed found one."""
    rows, curve = [], result.curve(name, against)
    for size in sorted({getattr(p, against) for p in curve}):
        widths = [p.found.width for p in curve if getattr(p, against) == size]
        known = [width for width in widths if width is not None]
        if len(known) == len(widths):
            rows.append([size, float(np.exp(np.mean(np.log(known)))), min(known), max(known)])
    return np.array(rows)


def _predicted(result: ScalingResult, against: str, size: int) -> int:
    if against == "subjects":
        return result.settings.relations * distinct_code_dimension(size)
    return size * distinct_code_dimension(result.settings.subjects)


def _chosen(fit: ScalingFit) -> str:
    return f"{fit.better} law by {fit.advantage:.1f} AIC"
