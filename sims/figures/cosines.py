"""Cosines between the embeddings of a star's nodes over training: with the root by depth, within arms and across them.

Of each model of a comparison on a star, or condition of path runs, two panels. Cosines are those of the embeddings as
they are or, ``centred``, less their mean row: of Node2Vec, whose rows all share a large mean, only these tell nodes
apart.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ..draw.sources import Unsuitable
from ..draw.style import shade
from ..foreign import drawn
from ..paths.geometry import directions
from .drawn import Drawn, letter_panels
from .films import Arms, Reel, kept_text, read_reels
from .style import Column, look

Floats = NDArray[np.float64]

HEIGHT = 1.85  # inches a row of panels
DEPTH_LINES: tuple[Any, ...] = ("-", (0, (5, 1)), "--", "-.", ":", (0, (1, 1)))
PARTS = ("start", "a third", "two thirds", "end")  # of the steps kept, whose profile over the depth is drawn
MOST_NODES = 400  # whose pairs are taken: of whole arms, evenly chosen
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = np.linspace(-1, 1, 41).tolist()
LETTERS, MOST_LETTERS = 20, 60  # of a title over a narrow panel a line, and of any title
WITHIN, ACROSS = "within an arm", "across arms"


def draw_root(folders: Sequence[Path], column: Column, *, centred: bool = False) -> Drawn:
    """Mean cosine of the nodes of each depth with the root: over the depth at four steps, and over the steps; range
    over seeds. Raises Unsuitable as ``read_reels``, and for graphs that are no stars."""
    reels, sources = read_reels(folders)
    figure, pairs = _panels(reels, column)
    same = len({tuple(reel.steps) for reel in reels}) == 1
    deepest, ends = 0, []
    for (left, right), reel in zip(pairs, reels, strict=True):
        arms = Arms.of(reel)
        found = root_cosines(reel, arms, centred)
        deepest = max(deepest, found.shape[2])
        _draw_profiles(left, reel, found, same)
        _draw_depths(right, reel, found)
        values = ", ".join(f"{value:.2f}" for value in found[:, -1].mean(axis=0))
        ends.append(f"{reel.name} {values} ({_seeds(reel)})")
    handles = pairs[0][0].get_legend_handles_labels()[0] + [
        Line2D([], [], color=shade(k, deepest), ls=DEPTH_LINES[k % len(DEPTH_LINES)], label=f"depth {k + 1}")
        for k in range(deepest)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if column.wide else 3)
    caption = (
        f"Cosine of a node's embedding{_less(centred)} with the root's: mean over the nodes of a depth, then over "
        "seeds, their range shaded; left over the depth at four of the steps kept, right over training. At the end, "
        f"from depth 1 on: {'; '.join(ends)}.{kept_text(reels)}"
    )
    return Drawn(figure, "Cosine to the root by depth", caption, sources)


def draw_arms(folders: Sequence[Path], column: Column, *, centred: bool = False) -> Drawn:
    """Cosines of two nodes of one arm and of two arms, the root left out: median, quartiles and 5 and 95 % over the
    steps, and their densities at the last. Raises Unsuitable as ``draw_root``."""
    reels, sources = read_reels(folders)
    figure, pairs = _panels(reels, column)
    ends = []
    for (left, right), reel in zip(pairs, reels, strict=True):
        found = arm_cosines(reel, Arms.of(reel), centred)
        for number, values in enumerate(found):
            _draw_fan(left, reel, values, look(number))
            _draw_density(right, values, look(number))
        left.set_ylim(-1.05, 1.05)
        right.set(xlabel="cosine", xlim=(-1.05, 1.05), yticks=[], ylabel="density")
        within, across = (float(np.median(values[-1])) for values in found)
        ends.append(f"{reel.name} {within:.2f} and {across:.2f} ({_seeds(reel)})")
    handles: list[Any] = [
        Line2D([], [], color=look(k).color, ls=look(k).linestyle, label=name) for k, name in enumerate((WITHIN, ACROSS))
    ]
    handles.append(Patch(facecolor="#888888", alpha=0.5, lw=0, label="quartiles"))
    handles.append(Patch(facecolor="#888888", alpha=0.2, lw=0, label="5 to 95 %"))
    handles.append(Line2D([], [], color="#555555", ls=(0, (1, 1)), lw=0.8, label="density at the start"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5 if column.wide else 2)
    caption = (
        f"Cosines between the embeddings{_less(centred)} of two nodes {WITHIN} and {ACROSS}, the root left out, all "
        "seeds together: left the median, quartiles and 5 and 95 % over training; right the density at the last step "
        f"(filled) and at the first (dotted). Medians at the end: {'; '.join(ends)}.{kept_text(reels)}"
    )
    return Drawn(figure, "Similarity within and across paths", caption, sources)


def root_cosines(reel: Reel, arms: Arms, centred: bool = False) -> Floats:
    """(seeds, f, l - 1): mean over the nodes of each depth >= 1 of their cosine with the root."""
    counts = np.bincount(arms.depth)[1:]
    found = []
    for seed in range(len(reel.seeds)):
        for frame in _frames(reel, seed, centred):
            unit = directions(frame)
            found.append(np.bincount(arms.depth, weights=unit @ unit[arms.depth == 0][0])[1:] / counts)
    return np.array(found).reshape(len(reel.seeds), len(reel.steps), -1)


def arm_cosines(reel: Reel, arms: Arms, centred: bool = False) -> tuple[Floats, Floats]:
    """(f, pairs) cosines of two nodes of one arm, and of two nodes of two, the root left out; of MOST_NODES nodes, or
    two arms', and of all seeds. Raises Unsuitable where fewer than two arms were kept."""
    chosen = _some(arms.arm)
    arm = arms.arm[chosen]
    first, second = np.triu_indices(len(chosen), 1)
    together = arm[first] == arm[second]
    if not together.any() or together.all():
        raise Unsuitable(f"{reel.name}: there are no pairs of nodes both within an arm and across arms")
    within, across = [], []
    for seed in range(len(reel.seeds)):
        units = [directions(frame[chosen]) for frame in _frames(reel, seed, centred)]
        cosines = np.array([(unit @ unit.T)[first, second] for unit in units])
        within.append(cosines[:, together])
        across.append(cosines[:, ~together])
    return np.concatenate(within, axis=1), np.concatenate(across, axis=1)


def _some(arm: NDArray[np.int64]) -> NDArray[np.int64]:
    """Nodes of whole arms, evenly chosen, MOST_NODES of them or those of two arms; no root."""
    every = np.unique(arm[arm >= 0])
    count = int(np.clip(MOST_NODES // max(1, int((arm == every[0]).sum())), 2, len(every)))
    kept = every[np.linspace(0, len(every) - 1, count).round().astype(int)]
    return np.flatnonzero(np.isin(arm, kept))


def _frames(reel: Reel, seed: int, centred: bool) -> Floats:
    return reel.centred(seed) if centred else reel.frames[seed]


def _panels(reels: Sequence[Reel], column: Column) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Two panels a reel, beside each other; two reels in a row of two columns."""
    in_a_row = min(2 if column.wide else 1, len(reels))
    rows = -(-len(reels) // in_a_row)
    size = (column.width, HEIGHT * rows + 0.55)
    figure, axes = plt.subplots(rows, 2 * in_a_row, figsize=size, squeeze=False)
    flat = axes.ravel()
    pairs = [(flat[2 * k], flat[2 * k + 1]) for k in range(len(reels))]
    for ax in flat[2 * len(reels) :]:
        ax.set_visible(False)
    letters = MOST_LETTERS if column.wide and in_a_row == 1 else LETTERS
    for (left, _), reel in zip(pairs, reels, strict=True):
        left.set_title(textwrap.fill(drawn(reel.name, MOST_LETTERS), letters, break_on_hyphens=False))
    letter_panels([ax for pair in pairs for ax in pair])
    return figure, pairs


def _draw_profiles(ax: Axes, reel: Reel, found: Floats, same: bool) -> None:
    depths = np.arange(1, found.shape[2] + 1)
    chosen = np.linspace(0, len(reel.steps) - 1, len(PARTS)).round().astype(int)
    for number, (place, part) in enumerate(zip(chosen, PARTS, strict=True)):
        style, values = look(number), found[:, place]
        label = f"step {reel.steps[place]:,}" if same else part
        ax.plot(depths, values.mean(axis=0), ls=style.linestyle, marker=style.marker, color=style.color, label=label)
        ax.fill_between(depths, values.min(axis=0), values.max(axis=0), color=style.color, alpha=0.15, lw=0)
    ax.set(xlabel="depth", ylabel="cosine with the root", ylim=(-1.05, 1.05))
    ax.set_xticks(depths[:: -(-len(depths) // 6)])


def _draw_depths(ax: Axes, reel: Reel, found: Floats) -> None:
    count = found.shape[2]
    for k in range(count):
        values, colour = found[:, :, k], shade(k, count)
        ax.plot(reel.steps, values.mean(axis=0), ls=DEPTH_LINES[k % len(DEPTH_LINES)], marker="", color=colour)
        ax.fill_between(reel.steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.12, lw=0)
    _over_steps(ax, reel)
    ax.set_ylim(-1.05, 1.05)


def _draw_fan(ax: Axes, reel: Reel, values: Floats, style: Any) -> None:
    low, lower, middle, upper, high = np.quantile(values, QUANTILES, axis=1)
    ax.fill_between(reel.steps, low, high, color=style.color, alpha=0.13, lw=0)
    ax.fill_between(reel.steps, lower, upper, color=style.color, alpha=0.3, lw=0)
    ax.plot(reel.steps, middle, ls=style.linestyle, marker="", color=style.color)
    _over_steps(ax, reel)
    ax.set_ylabel("cosine")


def _draw_density(ax: Axes, values: Floats, style: Any) -> None:
    ax.hist(np.clip(values[-1], -1, 1), BINS, density=True, histtype="stepfilled", color=style.color, alpha=0.35, lw=0)
    ax.hist(np.clip(values[0], -1, 1), BINS, density=True, histtype="step", color=style.color, ls=(0, (1, 1)), lw=0.8)


def _over_steps(ax: Axes, reel: Reel) -> None:
    if reel.log:
        ax.set_xscale("symlog", linthresh=1, linscale=0.4)
        ax.set_xlim(0, reel.steps[-1])
        powers = np.arange(0, np.log10(reel.steps[-1]) + 1e-9, max(1, np.log10(reel.steps[-1]) // 2))
        ax.set_xticks([0, *10.0**powers], ["0", *(f"$10^{{{power:.0f}}}$" for power in powers)])
        ax.minorticks_off()
    else:
        ax.set_xlim(0, reel.steps[-1])
    ax.set_xlabel("training steps")


def _less(centred: bool) -> str:
    return ", less the mean of all," if centred else ""


def _seeds(reel: Reel) -> str:
    return f"{len(reel.seeds)} seed{'s' if len(reel.seeds) > 1 else ''}"
