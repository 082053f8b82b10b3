"""Held-out accuracy of path tasks: over the steps, of every position, and at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from ..draw.style import shade
from .drawn import Drawn, letter_panels
from .path_folders import PathNumbers, accuracy, read_numbers
from .style import Column, look

TITLES = {
    "path_accuracy": "whole path",
    "first_token_accuracy": "first node",
    "first_token_choice": "first node, among neighbours",
}
HEIGHT = 1.85  # inches a panel
POSITION_LINES: tuple[Any, ...] = ("-", (0, (5, 1)), "--", "-.", ":", (0, (1, 1)))


def draw(
    folders: Sequence[Path],
    column: Column,
    *,
    preset: str,
    needs: Sequence[str],
    panels: Sequence[str] = ("path_accuracy", "first_token_accuracy"),
    positions: Sequence[str] = (),
    arch: str = "gpt2",
    about: str = "",
) -> Drawn:
    """Accuracy over the steps, a panel each of ``panels``, then every position of the conditions in ``positions`` that
    are there. Raises Unsuitable as ``read_numbers``."""
    found = read_numbers(folders, preset, needs, arch)
    shown = [name for name in positions if name in found.conditions]
    count = len(panels) + len(shown)
    columns = min(3, count) if column.wide else 1
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(column.width, HEIGHT * rows + 0.5), sharey=True, squeeze=False)
    flat = axes.ravel()
    for ax, key in zip(flat, panels, strict=False):
        _draw_curves(ax, found, key)
    for ax, name in zip(flat[len(panels) :], shown, strict=False):
        _draw_positions(ax, found.curves[name])
        ax.set_title(f"positions, {name.replace('_', ' ')}")
    for ax in flat[count:]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("held-out accuracy")
    if count > 1:
        letter_panels(flat[:count])
    handles, labels = flat[0].get_legend_handles_labels()
    if shown:
        many = flat[len(panels)].get_legend_handles_labels()
        handles, labels = handles + many[0], labels + many[1]
    figure.legend(handles, labels, loc="outside lower center", ncols=4 if column.wide else 2)
    caption = _caption(found, about) + (
        " Positions: the accuracy of each target, those before it given." if shown else ""
    )
    return Drawn(figure, f"{found.graph}: {about}", caption, found.sources)


def draw_ends(
    folders: Sequence[Path], column: Column, *, preset: str, needs: Sequence[str], arch: str = "gpt2", about: str = ""
) -> Drawn:
    """Whole paths and first nodes at the end: a row a condition, a bar the mean, a mark a seed."""
    found = read_numbers(folders, preset, needs, arch)
    names = list(found.conditions)
    keys = ("path_accuracy", "first_token_accuracy")
    height = (0.27 if column.wide else 0.36) * len(names) + 0.75
    figure, axes = plt.subplots(1, 2, figsize=(column.width, height), sharey=True)
    for ax, key in zip(axes, keys, strict=True):
        for row, name in enumerate(names):
            values = [seed[key] for seed in found.conditions[name]["per_seed"]]
            style = look(row)
            ax.barh(row, np.mean(values), height=0.62, color=style.color, alpha=0.25, lw=0)
            ax.plot(values, np.full(len(values), row), marker=style.marker, color=style.color, ls="none", clip_on=False)
        ax.set(xlim=(0, 1.03), xticks=[0, 0.5, 1], title=TITLES[key])
    figure.supxlabel("held-out accuracy", fontsize=plt.rcParams["axes.labelsize"])
    letters = 60 if column.wide else 18
    axes[0].set_yticks(range(len(names)), [textwrap.fill(name.replace("_", " "), letters) for name in names])
    axes[0].set_ylim(len(names) - 0.45, -0.55)
    return Drawn(figure, f"{found.graph}: {about}", _caption(found, about), found.sources)


def _draw_curves(ax: Axes, found: PathNumbers, key: str) -> None:
    for number, (name, curve) in enumerate(found.curves.items()):
        if not all(key in record for run in curve for record in run):
            continue  # the reverse task has no choice among neighbours
        steps, values = accuracy(curve, key)
        style = look(number)
        ax.plot(
            steps, values.mean(axis=0), ls=style.linestyle, marker="", color=style.color, label=name.replace("_", " ")
        )
        if len(values) > 1:
            ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=style.color, alpha=0.15, lw=0)
    chances = sorted({one["chance"] for one in found.conditions.values() if one["settings"]["task"] == "forward"})
    for chance in chances if key != "path_accuracy" else ():
        ax.axhline(chance, color="black", lw=0.8, ls=(0, (1, 2)), marker="")
    ax.set(xlabel="training steps", ylim=(-0.03, 1.03), title=TITLES[key])


def _draw_positions(ax: Axes, curve: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    steps, values = accuracy(curve, "per_position")
    mean = values.mean(axis=0)
    for k in range(mean.shape[1]):
        colour = shade(k, mean.shape[1])
        line = POSITION_LINES[k % len(POSITION_LINES)]
        ax.plot(steps, mean[:, k], ls=line, marker="", color=colour, label=f"target {k + 1}")
    ax.set(xlabel="training steps", ylim=(-0.03, 1.03))


def _caption(found: PathNumbers, about: str) -> str:
    ends = []
    for name, one in found.conditions.items():
        seeds = len(one["per_seed"])
        ends.append(f"{name.replace('_', ' ')} {one['path_accuracy']:.3g} ({seeds} seed{'s' if seeds > 1 else ''})")
    return (
        f"{about[:1].upper()}{about[1:]}, on {found.graph}. Paths whose leaf was not shown; mean and range over seeds. "
        f"Dotted: chance of the first node after the root. Whole paths right at the end: {', '.join(ends)}."
    )
