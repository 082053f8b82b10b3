"""How far trained embeddings are from the optimum, and what moving them there does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..draw.sources import read_answer
from ..headroom.plot import draw_variants
from .drawn import Drawn, letter_panels, only_one
from .style import Column, look

HEADROOM = "the folder of a `fiedler headroom`"
ERROR, TOP = "gram_error", "geometric_margin_top1"
ROW = 0.19  # inches a variant


def draw(folders: Sequence[Path], column: Column) -> Drawn:
    """Of tiny graphs or of path runs, whichever the folder has."""
    answer, source = read_answer(only_one(folders, HEADROOM), ("kind",), HEADROOM)
    if answer["kind"] == "paths":
        figure, title = _paths(answer, column), f"{answer['graph']}, width {answer['width']}: headroom"
        about = (
            f"Path runs on {answer['graph']}, width {answer['width']}: distance of the embeddings from the certified "
            "optimum (gram_error 0; dashed: the least at this width), and held-out accuracy of the first "
            "node after the "
            "root over the steps, mean and range over seeds, dotted: chance."
        )
    else:
        figure, title = _graphs(answer["graphs"], column), "Headroom: distance from the optimum"
        about = (
            "Distance from the certified optimum (gram_error 0) and share of nodes whose nearest node by E E' is a "
            "neighbour, a row a variant: bars means, marks seeds. Dashed: the optimum, or the least gram_error at this "
            f"width. Model: {answer.get('model', 'transformer')}."
        )
    return Drawn(figure, title, about, (source,))


def _graphs(graphs: Mapping[str, Any], column: Column) -> Figure:
    """Columns: both measures in one column of a page, else graphs."""
    keys = ((ERROR, "gram_error"), (TOP, "top-1 share"))
    variants = len(next(iter(graphs.values()))["variants"])
    shape = (len(keys), len(graphs)) if column.wide else (len(graphs), len(keys))
    height = shape[0] * (ROW * variants + 0.5)
    figure, axes = plt.subplots(*shape, figsize=(column.width, height), sharey=True, squeeze=False)
    for panels, (name, one) in zip(axes.T if column.wide else axes, graphs.items(), strict=True):
        for ax, (key, label) in zip(panels, keys, strict=True):
            draw_variants(ax, one["variants"], key, label)
            optimum = one["optimum"]["least_gram_error" if key == ERROR else key]
            ax.axvline(optimum, color="black", lw=0.8, ls="--")
            ax.set(xlim=(-0.04, 1.06), xticks=[0, 0.5, 1])
        panels[0].set_title(name)
    return figure


def _paths(answer: Mapping[str, Any], column: Column) -> Figure:
    shape = (1, 2) if column.wide else (2, 1)
    figure, (left, right) = plt.subplots(*shape, figsize=(column.width, 2.5 if column.wide else 4.0))
    variants = answer["variants"]
    draw_variants(left, variants, ERROR, "gram_error")
    left.axvline(answer["optimum"]["least_gram_error"], color="black", lw=0.8, ls="--")
    left.set(xlim=(-0.04, 1.06), title="distance from the optimum")
    for number, variant in enumerate(variants.values()):
        steps, values = variant["curve"]["step"], np.array(variant["curve"]["first_token_accuracy"])
        style = look(number)
        right.plot(steps, values.mean(axis=0), ls=style.linestyle, marker="", color=style.color, label=variant["title"])
        if len(values) > 1:
            right.fill_between(steps, values.min(axis=0), values.max(axis=0), color=style.color, alpha=0.13, lw=0)
    right.axhline(answer["chance"], color="black", lw=0.8, ls=(0, (1, 2)))
    right.set(xlabel="training steps", ylabel="held-out accuracy", ylim=(-0.03, 1.03), title="first node")
    letter_panels((left, right))
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4 if column.wide else 2)
    return figure
