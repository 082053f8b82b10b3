"""Recall runs drawn: learning curves, transfer to new facts, and how much of the predicted structure is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...draw.style import COLOURS, MARKERS, STYLE

TRANSFER = (
    ("recall", "accuracy"),
    ("held out", "held_out_accuracy"),
    ("unseen facts", "unseen_facts_accuracy"),
    ("no hop", "zero_hop_accuracy"),
    ("fed back, shown", "fed_back_shown"),
    ("fed back, unseen facts", "fed_back_unseen"),
    ("alignment", "alignment"),
    ("closed form", "transfer_accuracy"),
    ("by gradient", "gradient_transfer_accuracy"),
    ("random", "random_control"),
)
STRUCTURE = (
    ("variance explained, held out", "superposition_r2_held_out"),
    ("the same, facts shuffled", "superposition_r2_shuffled"),
    ("probe, held out", "probe_accuracy"),
    ("the same, facts shuffled", "probe_accuracy_shuffled"),
    ("gate selectivity", "gate_selectivity"),
    ("swap changes its relation", "intervention_success"),
    ("swap keeps the others", "intervention_others_kept"),
    ("random direction changes it", "intervention_random_success"),
    ("corrected swap changes it", "intervention_corrected_success"),
    ("corrected swap keeps the others", "intervention_corrected_others_kept"),
    ("random direction of that length", "intervention_corrected_random_success"),
)
HEIGHT = 0.62  # of a row's bars, in rows


def structure_figure(answer: Mapping[str, Any], about: str) -> Figure:
    """Left accuracy over the steps (mean, range over seeds), then recall and transfer, then the predicted structure;
    a bar the mean of a condition, a mark a seed. Rows no condition has a number for are left out."""
    conditions = answer["conditions"]
    parts = any(key in one["mean"] for one in conditions.values() for _, key in STRUCTURE)
    widths = (1.0, 0.9, 1.25) if parts else (1.0, 1.1)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(11.5 if parts else 8.5, 4.2), layout="constrained")
        left, middle, *right = figure.subplots(1, len(widths), width_ratios=widths)
        for number, name in enumerate(conditions):
            draw_curve(left, answer["curve"], name, number)
        left.axhline(answer["chance"], color="black", lw=0.9, ls=(0, (1, 2)))
        left.set(xlabel="training steps", ylabel="facts recalled", ylim=(-0.03, 1.03))
        left.set_title("mean, range over seeds; dotted: chance", loc="left")
        draw_bars(middle, conditions, TRANSFER)
        middle.set_title("recall, and transfer to new facts" if parts else "at the end of training", loc="left")
        for ax in right:
            draw_bars(ax, conditions, STRUCTURE)
            ax.set_title("predicted structure", loc="left")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)), frameon=False)
        sizes = f"{answer['subjects']} subjects, {answer['relations']} relations"
        figure.suptitle(f"{sizes}: {about}", x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    return figure


def draw_curve(ax: Axes, curve: list[dict[str, Any]], name: str, number: int, linestyle: Any = "-") -> None:
    """Accuracy over the steps of one condition: mean and range over seeds."""
    seeds = sorted({one["seed"] for one in curve if one["condition"] == name})
    lines = [[one for one in curve if one["condition"] == name and one["seed"] == seed] for seed in seeds]
    steps = [one["step"] for one in lines[0]]
    values = np.array([[one["accuracy"] for one in line] for line in lines])
    colour = COLOURS[number % len(COLOURS)]
    again = "--" if number >= len(COLOURS) else ""  # the same colours a second time
    ax.plot(
        steps, values.mean(axis=0), color=colour, lw=1.6, ls="--" if again else linestyle, label=name.replace("_", " ")
    )
    if len(values) > 1:
        ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, lw=0)


def draw_bars(ax: Axes, conditions: Mapping[str, Any], rows: tuple[tuple[str, str], ...]) -> None:
    """A row for each number that a condition has: a bar the mean of a condition, a mark a seed."""
    shown = [(label, key) for label, key in rows if any(key in one["mean"] for one in conditions.values())]
    each = HEIGHT / len(conditions)
    for row, (_, key) in enumerate(shown):
        for number, one in enumerate(conditions.values()):
            if key not in one["mean"]:
                continue
            at = row + (number - (len(conditions) - 1) / 2) * each
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            ax.barh(at, one["mean"][key], height=each, color=colour, alpha=0.25, lw=0)
            values = [float(np.mean(seed[key])) for seed in one["per_seed"]]
            fill: Any = "none" if number >= len(COLOURS) else "full"
            ax.plot(values, np.full(len(values), at), marker, color=colour, ms=3.2, ls="none", fillstyle=fill)
    ax.set_yticks(range(len(shown)), [label for label, _ in shown])
    ax.set_ylim(len(shown) - 0.45, -0.55)
    low = min((float(np.mean(s[k])) for _, k in shown for o in conditions.values() if k in o["mean"]
               for s in o["per_seed"]), default=0.0)  # fmt: skip
    ax.set_xlim(min(-0.03, low - 0.03), 1.05)
