"""Headroom drawn: every seed's distance from the optimum, and held-out accuracy over the steps of path runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..draw.style import COLOURS, MARKERS, STYLE
from ..foreign import drawn

ROW = 0.34  # inches a variant
PANEL = 2.5  # inches a graph
DRAWN = (("gram_error", "gram_error (0: the optimum)"), ("geometric_margin_top1", "top-1 of E E' among neighbours"))


def headroom_figure(answer: Mapping[str, Any]) -> Figure:
    """A column a graph: above gram_error, below the share of nodes whose nearest node by E E' is a neighbour; a row a
    variant, a mark a seed, a bar the mean. Dashed: the optimum, or the least gram_error at this width. For paths:
    gram_error beside the curves."""
    return _paths(answer) if answer["kind"] == "paths" else _embeddings(answer["graphs"])


def _embeddings(graphs: Mapping[str, Any]) -> Figure:
    first = next(iter(graphs.values()))["variants"]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(DRAWN), len(graphs), squeeze=False, sharey=True, sharex="row", layout="constrained",
            figsize=(1.9 + PANEL * len(graphs), len(DRAWN) * (ROW * len(first) + 0.75)),
        )  # fmt: skip
        for column, (name, one) in zip(axes.T, graphs.items(), strict=True):
            for ax, (key, label) in zip(column, DRAWN, strict=True):
                draw_variants(ax, one["variants"], key, label)
                optimum = one["optimum"]["least_gram_error" if key == "gram_error" else key]
                ax.axvline(optimum, color="black", lw=0.9, ls="--")
                ax.set_xlim(-0.04, 1.06)
            column[0].set_title(drawn(name), loc="left")
    return figure


def _paths(answer: Mapping[str, Any]) -> Figure:
    variants = answer["variants"]
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(9.2, 3.1), layout="constrained", gridspec_kw={"width_ratios": (1, 1.5)}
        )
        draw_variants(left, variants, "gram_error", DRAWN[0][1])
        left.axvline(answer["optimum"]["least_gram_error"], color="black", lw=0.9, ls="--")
        left.set_title("dashed: the least at this width", loc="left")
        left.set_xlim(-0.04, 1.06)
        for number, variant in enumerate(variants.values()):
            curve = variant["curve"]
            values = np.array(curve["first_token_accuracy"])
            colour = COLOURS[number % len(COLOURS)]
            right.plot(curve["step"], values.mean(axis=0), color=colour, lw=1.6, label=variant["title"])
            if len(values) > 1:
                right.fill_between(
                    curve["step"], values.min(axis=0), values.max(axis=0), color=colour, alpha=0.13, lw=0
                )
        right.axhline(answer["chance"], color="black", lw=0.9, ls=(0, (1, 2)))
        right.set(xlabel="training steps", ylabel="held-out accuracy", ylim=(-0.03, 1.03))
        right.set_title("first node after the root: mean, range over seeds; dotted: chance", loc="left")
        right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        figure.suptitle(
            f"{answer['graph']}, width {answer['width']}: {answer['trained_paths']} paths seen, "
            f"{answer['held_out_paths']} held out",
            x=0.01, ha="left", fontsize=10.5, fontweight="bold",
        )  # fmt: skip
    return figure


def draw_variants(ax: Axes, variants: Mapping[str, Any], key: str, label: str) -> None:
    """A row a variant: a bar the mean of ``key`` over seeds, a mark a seed."""
    for number, variant in enumerate(variants.values()):
        values = np.array([row[key] for row in variant["per_seed"]])
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        ax.barh(number, values.mean(), height=0.62, color=colour, alpha=0.22, lw=0)
        spread = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
        ax.plot(values, number + spread, marker, color=colour, ms=3.6, ls="none")
    ax.set_yticks(range(len(variants)), [variant["title"] for variant in variants.values()])
    ax.set_ylim(len(variants) - 0.45, -0.55)
    ax.set_xlabel(label)
