"""The map of multi-hop recall: accuracy over hops and layers, beside what the constructions predict.

One layer that answers K hops at once needs R^K blocks of codes, L layers R^ceil(K/L): with the width of a single layer
that memorises h hops, L layers should memorise h L, and writing the entities in between any number. h is measured on
the models of one layer; everything deeper is predicted from it.
Source: arXiv 2605.12426, theorems 4.3 and 4.4 (orders of growth).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fiedler.theory import multi_hop_plan, one_shot_dimension_bound

from ...draw.colours import SEQUENTIAL
from ...draw.style import COLOURS, MARKERS, STYLE
from ..run import RecallResult

MEMORISED = 0.95  # accuracy from which a cell counts as memorised
WRITTEN = "chain of thought"


def describe_hop_map(result: RecallResult) -> dict[str, Any]:
    """``cells``: hops, layers, chain_of_thought, mean accuracy on the longest questions and on those held out, seeds'
    own, whether it is memorised (mean >= 0.95) and predicted to be (None on the models of one layer, which calibrate
    it, and for all without the model of one hop and one layer), and the construction's dimension; ``one_layer_hops`` h;
    ``agree``, ``predicted``: cells predicted right, and predicted at all; ``dimension_bound``: for each hop the least
    dimension of a subject's vector by counting, one bit a coordinate as in the construction, where no weight knows the
    facts."""
    first = next(iter(result.runs.values()))[0].settings
    cells: list[dict[str, Any]] = []
    for runs in result.runs.values():
        settings = runs[0].settings
        values = [run.records[-1]["accuracy"] for run in runs]
        hidden = [run.records[-1]["held_out_accuracy"] for run in runs] if settings.held_out else None
        plan = multi_hop_plan(
            settings.subjects, settings.relations, settings.hops, settings.layers,
            chain_of_thought=settings.chain_of_thought,
        )  # fmt: skip
        cells.append(
            {
                "hops": settings.hops,
                "layers": settings.layers,
                "chain_of_thought": settings.chain_of_thought,
                "accuracy": float(np.mean(values)),
                "per_seed": values,
                "held_out_accuracy": None if hidden is None else float(np.mean(hidden)),
                "memorised": float(np.mean(values)) >= MEMORISED,
                "construction_dimension": plan.dimension,
            }
        )
    single = [c["hops"] for c in cells if c["layers"] == 1 and not c["chain_of_thought"] and c["memorised"]]
    longest = max(single, default=0)
    calibrated = any(c["hops"] == c["layers"] == 1 for c in cells)
    for cell in cells:
        cell["predicted"] = _predict(cell, longest) if calibrated else None
    asked = [cell for cell in cells if cell["predicted"] is not None]
    hops = sorted({cell["hops"] for cell in cells})
    return {
        "cells": cells,
        "width": first.width,
        "one_layer_hops": longest,
        "agree": sum(cell["predicted"] == cell["memorised"] for cell in asked),
        "predicted": len(asked),
        "dimension_bound": {
            str(k): one_shot_dimension_bound(first.subjects, first.relations, k, bits_per_coordinate=1) for k in hops
        },
    }


def _predict(cell: Mapping[str, Any], longest: int) -> bool | None:
    if cell["chain_of_thought"]:
        return longest >= 1
    return None if cell["layers"] == 1 else bool(cell["hops"] <= longest * cell["layers"])


def hop_rows(found: Mapping[str, Any], key: str = "accuracy") -> tuple[list[str], list[list[str]]]:
    """Header and a row for every depth, the accuracies by hops; * where the prediction is another. ``key``: "accuracy"
    or "held_out_accuracy"."""
    hops = sorted({cell["hops"] for cell in found["cells"]})
    rows = []
    for name in _rows(found):
        row = [name]
        for k in hops:
            cell = _cell(found, name, k)
            wrong = cell is not None and cell["predicted"] not in (None, cell["memorised"])
            value = None if cell is None else cell[key]
            row.append("–" if value is None else f"{value:.3f}{'*' if wrong and key == 'accuracy' else ''}")
        rows.append(row)
    return ["layers", *(f"{k} hop{'s' if k > 1 else ''}" for k in hops)], rows


def hop_figure(found: Mapping[str, Any]) -> Figure:
    """Left: accuracy of every depth (rows) on every number of hops, and the predicted boundary (black; right of it a
    cell should fail). Right: the dimension that the constructions need, against the width that was trained."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(11.0, 4.0), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.0))
        draw_map(left, found)
        draw_dimensions(right, found)
        right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        title = f"Multi-hop recall, width {found['width']}: {found['agree']} of {found['predicted']} cells as predicted"
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    return figure


def draw_map(ax: Axes, found: Mapping[str, Any]) -> None:
    """Accuracy over hops and layers, and the predicted boundary."""
    names, hops = _rows(found), sorted({cell["hops"] for cell in found["cells"]})
    values = np.full((len(names), len(hops)), np.nan)
    for i, name in enumerate(names):
        for j, k in enumerate(hops):
            cell = _cell(found, name, k)
            if cell is not None:
                values[i, j] = cell["accuracy"]
                colour = "white" if cell["accuracy"] < 0.55 else "black"
                ax.text(j, i, f"{cell['accuracy']:.2f}", ha="center", va="center", color=colour, fontsize=9)
    reaches = [len(hops) * (found["one_layer_hops"] > 0) if name == WRITTEN else
               sum(k <= found["one_layer_hops"] * int(name) for k in hops) for name in names]  # fmt: skip
    for i, reach in enumerate(reaches):
        ax.plot([reach - 0.5] * 2, [i - 0.5, i + 0.5], color="black", lw=2.2)
        if i > 0:
            ax.plot([reaches[i - 1] - 0.5, reach - 0.5], [i - 0.5] * 2, color="black", lw=2.2)
    ax.imshow(values, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(hops)), [str(k) for k in hops])
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="hops", ylabel="layers", xlim=(-0.55, len(hops) - 0.45))
    ax.set_title("accuracy; black: predicted boundary", loc="left")
    for spine in ax.spines.values():
        spine.set_visible(False)


def draw_dimensions(ax: Axes, found: Mapping[str, Any]) -> None:
    """The dimensions that the constructions need over the hops."""
    for number, name in enumerate(_rows(found)):
        cells = sorted((c for c in found["cells"] if _name(c) == name), key=lambda c: c["hops"])
        label = f"construction, {name} layer{'s' if name not in ('1', WRITTEN) else ''}"
        ax.plot(
            [c["hops"] for c in cells],
            [c["construction_dimension"] for c in cells],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            ms=4,
            lw=1.4,
            label=f"construction, {WRITTEN}" if name == WRITTEN else label,
        )
    bound = {int(k): value for k, value in found["dimension_bound"].items()}
    ax.plot(
        list(bound), list(bound.values()), color="black", lw=1.2, ls="--", label="counting bound, one bit a coordinate"
    )
    ax.axhline(found["width"], color="black", lw=1.0, ls=(0, (1, 2)), label="width trained")
    ax.set_yscale("log")
    ax.set_xticks(list(bound))
    ax.set(xlabel="hops", ylabel="dimension")
    ax.set_title("dimension of a subject's vector", loc="left")


def _rows(found: Mapping[str, Any]) -> list[str]:
    layers = sorted({cell["layers"] for cell in found["cells"] if not cell["chain_of_thought"]})
    written = any(cell["chain_of_thought"] for cell in found["cells"])
    return [*(str(depth) for depth in layers), *([WRITTEN] if written else [])]


def _name(cell: Mapping[str, Any]) -> str:
    return WRITTEN if cell["chain_of_thought"] else str(cell["layers"])


def _cell(found: Mapping[str, Any], name: str, hops: int) -> Mapping[str, Any] | None:
    return next((c for c in found["cells"] if _name(c) == name and c["hops"] == hops), None)
