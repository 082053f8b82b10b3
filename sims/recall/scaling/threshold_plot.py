"""Recall against dimension for every size, on the plain axis and on that of d / (R log2 N), side by side for trained
models, both frozen controls and the associative construction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ...draw.style import STYLE, shade
from .plot import TITLES
from .run import ScalingResult

STYLES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
SHOWN = ("1", "log2 N", "R log2 N", "N^a R^b")  # coefficients of variation in a panel
LABELS = {"1": "$d$", "log2 N": r"$d/\log_2 N$", "R log2 N": r"$d/(R\,\log_2 N)$"}
SIZE = (3.3, 6.4)  # inches of a column of panels


def threshold_figure(result: ScalingResult, levels: Mapping[str, Any]) -> Figure:
    """``levels``: as ``describe_thresholds`` has them, the coefficients of variation of the lowest are written in."""
    columns = max(2, len(result.conditions))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, len(result.conditions), figsize=(SIZE[0] * columns, SIZE[1]), layout="constrained", sharey=True,
            squeeze=False,
        )  # fmt: skip
        draw_thresholds(result, axes, levels)
        figure.legend(handles=size_handles(result), loc="outside lower center", ncols=3 * columns - 1, frameon=False)
        about = f"a line a size and seed, at the dimensions that were tried; {len(result.seeds)} seeds"
        figure.suptitle(f"Recall against dimension: {about}", x=0.01, ha="left", fontsize=9)
    return figure


def draw_thresholds(
    result: ScalingResult, axes: Any, levels: Mapping[str, Any], titles: Mapping[str, str] = TITLES
) -> None:
    """``axes`` (2, number of conditions): above against d, below against d / (R log2 N), with the coefficients of
    variation of the lowest of ``levels``, if there are any."""
    for column, name in enumerate(result.conditions):
        draw_recall(axes[0, column], result, name, normalised=False)
        draw_recall(axes[1, column], result, name, normalised=True)
        axes[0, column].set_title(titles[name], loc="left")
        level = list(levels)[-1] if levels else None
        found = None if level is None else levels[level][name]["collapse"]["all"]
        if level is not None and found is not None:
            words = [f"{_label(key, found[key])}: {found[key]['variation']:.2f}" for key in SHOWN]
            half = (len(words) + 1) // 2
            text = f"variation at {float(level):.0%}: {', '.join(words[:half])},\n{', '.join(words[half:])}"
            axes[1, column].set_title(text, loc="left", fontsize=7)  # in the panel lines would run through it
    for row in axes:
        row[0].set_ylabel("facts recalled")


def draw_recall(ax: Axes, result: ScalingResult, condition: str, *, normalised: bool) -> None:
    """Accuracy at every dimension tried, a line for each size and seed."""
    for point in (p for p in result.points if p.condition == condition):
        trials = sorted(point.found.tried, key=lambda trial: trial.width)
        scale = point.relations * np.log2(point.subjects) if normalised else 1.0
        colour, style = _look(result, point.subjects, point.relations)
        ax.plot([t.width / scale for t in trials], [t.accuracy for t in trials], ls=style, color=colour, lw=0.9,
                marker="o", ms=2, alpha=0.8)  # fmt: skip
    ax.axhline(0.5, color="black", lw=0.7, ls=(0, (1, 2)))
    ax.set(xscale="log", ylim=(-0.03, 1.05), xlabel=LABELS["R log2 N"] if normalised else "embedding dimension $d$")
    ax.xaxis.set_major_locator(LogLocator(subs=_ticks(ax)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.grid(axis="x", color="#dddddd", lw=0.6)


def size_handles(result: ScalingResult) -> list[Line2D]:
    """A colour for each N, a style for each R."""
    held = result.settings
    sizes = [Line2D([], [], color=_look(result, n, held.relations)[0], lw=1.5, label=f"N = {n:,}")
             for n in sorted({p.subjects for p in result.points})]  # fmt: skip
    styles = [Line2D([], [], color="#555555", ls=_look(result, held.subjects, r)[1], lw=1.2, label=f"R = {r}")
              for r in sorted({p.relations for p in result.points})]  # fmt: skip
    return [*sizes, *styles]


def _look(result: ScalingResult, subjects: int, relations: int) -> tuple[Any, Any]:
    ns: Sequence[int] = sorted({p.subjects for p in result.points})
    others = sorted({p.relations for p in result.points} - {result.settings.relations})
    style = STYLES[0] if relations == result.settings.relations else STYLES[1 + others.index(relations) % 4]
    return shade(ns.index(subjects), len(ns)), style


def _label(key: str, found: Mapping[str, Any]) -> str:
    if key in LABELS:
        return LABELS[key]
    return f"$d/(N^{{{found['powers']['subjects']:.2f}}} R^{{{found['powers']['relations']:.2f}}})$, fitted"


def _ticks(ax: Axes) -> tuple[int, ...]:
    """Of each decade, as many as fit."""
    decades = float(np.ptp(np.log10(ax.get_xlim())))
    return (1, 2, 3, 5) if decades < 1 else (1, 2, 5) if decades < 2 else (1, 3)
