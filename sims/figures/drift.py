"""How slowly an infimum that is not attained is approached: the integrated flow against its law, a graph a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ..compare.folder import read_comparison
from ..draw.sources import Unsuitable
from ..predict.drift import drift_of_the_flow
from .drawn import Drawn, letter_panels
from .style import Column, look

START = 0.1  # s of K(0) = s^2 I; late times do not depend on it
DECADES, POINTS = (1, 6), 3  # of time, and points a decade


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """Of the graphs of comparisons, one folder each. Raises Unsuitable where one attains its infimum."""
    times = np.geomspace(10.0 ** DECADES[0], 10.0 ** DECADES[1], (DECADES[1] - DECADES[0]) * POINTS + 1)
    shape = (1, 2) if column.wide else (2, 1)
    lines, sources = [], []
    for folder in folders:
        comparison, source = read_comparison(folder)
        law, gap = drift_of_the_flow(comparison.task, times, START)
        if law is None:
            raise Unsuitable(
                f"{comparison.task.title} attains its infimum, or falls apart: nothing drifts by this law; take a "
                "connected graph that is not regular, such as path-star:4x5"
            )
        lines.append((comparison.task.title, law, gap))
        sources.append(source)
    figure, (left, right) = plt.subplots(*shape, figsize=(column.width, 2.7 if column.wide else 4.8))
    for number, (title, law, gap) in enumerate(lines):
        style, expected = look(number), law.gap_per_node(times)
        left.plot(times, expected, ls=style.linestyle, marker="", color=style.color)
        left.plot(times, gap, ls="none", marker=style.marker, color=style.color, mfc="none", label=title)
        right.plot(times, gap / expected, ls=style.linestyle, marker=style.marker, color=style.color, mfc="none")
    left.set(xscale="log", yscale="log", xlabel="flow time $t$", ylabel="loss per node above the infimum")
    left.set_title("lines: the law; markers: the flow")
    left.legend(loc="best")
    right.axhline(1.0, color="black", lw=0.8)
    right.set(xscale="log", xlabel="flow time $t$", ylabel="flow / law", title="their ratio")
    letter_panels((left, right))
    kappas = ", ".join(f"{law.kappa:.5g} on {title}" for title, law, _ in lines)
    last = ", ".join(f"{gap[-1] / float(law.gap_per_node(times[-1])):.4f}" for _, law, gap in lines)
    caption = (
        "The loss of tied Node2Vec without weight decay above an infimum that no embedding attains. (a) Markers: the "
        f"integrated flow from K(0) = {START:g}^2 I; lines: the law (kappa n / 8)^(1/2) t^(-1/2) / n, nothing fitted, "
        f"kappa = {kappas}. (b) Their ratio, {last} at t = {times[-1]:.0e}."
    )
    return Drawn(figure, "How slowly an infimum is approached", caption, tuple(sources))
