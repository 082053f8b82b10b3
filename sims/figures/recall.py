"""Factual recall: what training finds of the predicted structure, the map over hops, and the scaling laws."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..draw.over_seeds import T_INTERVAL, mean_and_interval
from ..draw.sources import Unsuitable, read_answer
from ..draw.style import COLOURS, MARKERS
from ..recall.scaling.dimension import SmallestWidth, Trial
from ..recall.scaling.hops import draw_hop_thresholds
from ..recall.scaling.plot import LETTERS, draw_scaling
from ..recall.scaling.report import fit_curves
from ..recall.scaling.run import ScalingPoint, ScalingResult
from ..recall.scaling.threshold_plot import draw_thresholds, size_handles
from ..recall.settings import RecallSettings
from ..recall.show.hop_map import draw_dimensions, draw_map
from ..recall.show.plot import STRUCTURE, TRANSFER, draw_bars, draw_curve
from ..runs.folder import RunDir
from .drawn import Drawn, letter_panels, only_one
from .style import Column, look

RECALL = "the folder of a `fiedler recall"
SCALING_TITLES = {
    "blocks": "blocks",
    "rotations": "rotations",
    "associative": "associative",
    "trained": "trained",
    "frozen_subjects": "frozen subjects",
    "frozen_embeddings": "frozen, codes too",
}


def draw_structure(folders: Sequence[Path], column: Column, *, preset: str) -> Drawn:
    """Accuracy over the steps, transfer to new facts, and the predicted structure. Raises Unsuitable for runs of
    several hops, which have none of it."""
    path = only_one(folders, f"{RECALL}`")
    answer, source = read_answer(path, ("conditions", "subjects", "dimension"), f"{RECALL}`", preset)
    if not any(key in one["mean"] for _, key in STRUCTURE for one in answer["conditions"].values()):
        raise Unsuitable(f"{path} holds questions of several hops, which are not analysed for structure")
    figure, axes = _panels(column, "curve" in answer)
    for ax in axes[:-2]:
        for number, name in enumerate(answer["conditions"]):
            draw_curve(ax, answer["curve"], name, number, linestyle=look(number).linestyle)
        ax.axhline(answer["chance"], color="black", lw=0.8, ls=(0, (1, 2)))
        ax.set(xlabel="training steps", ylabel="facts recalled", ylim=(-0.03, 1.03), title="recall over time")
    transfer, structure = axes[-2:]
    draw_bars(transfer, answer["conditions"], TRANSFER)
    transfer.set_title("recall, and transfer to new facts")
    draw_bars(structure, answer["conditions"], STRUCTURE)
    structure.set_yticks(structure.get_yticks(), [textwrap.fill(t.get_text(), 20) for t in structure.get_yticklabels()])
    structure.set_title("predicted structure")
    letter_panels(axes)
    names = [name.replace("_", " ") for name in answer["conditions"]]
    handles = [
        Line2D(
            [], [], color=COLOURS[k % len(COLOURS)], marker=MARKERS[k % len(MARKERS)], ls=look(k).linestyle, label=name
        )
        for k, name in enumerate(names)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5 if column.wide else 2)
    sizes = f"{answer['subjects']} subjects, {answer['relations']} relations, width {answer['dimension']}"
    caption = (
        f"Factual recall: {sizes}. Over time: mean and range over seeds, dotted: chance. Bars: means, marks: seeds, at "
        "the end of training; superposition and probes on subjects the fit has not seen; shuffled: the same with facts "
        "shuffled; swap: one code of a subject's vector replaced by another. Numbers with intervals are in scores.json."
    )
    return Drawn(figure, f"Factual recall: {sizes}", caption, (source,))


def _panels(column: Column, curve: bool) -> tuple[Figure, list[Axes]]:
    """Recall over time where there is a ``curve`` (results kept as JSON may have none), transfer, structure."""
    if not column.wide:
        heights = ((1.0,) if curve else ()) + (0.95, 1.7)
        figure, found = plt.subplots(len(heights), 1, figsize=(column.width, 1.8 * sum(heights)), height_ratios=heights)
        return figure, list(found)
    figure = plt.figure(figsize=(column.width, 3.9))
    grid = figure.add_gridspec(2, 2)
    left = [grid[0, 0], grid[1, 0]] if curve else [grid[:, 0]]
    return figure, [figure.add_subplot(place) for place in (*left, grid[:, 1])]


def draw_hops(folders: Sequence[Path], column: Column) -> Drawn:
    """The map over hops and layers, and the dimensions that the constructions need."""
    answer, source = read_answer(
        only_one(folders, f"{RECALL}`"), ("hop_map",), f"{RECALL} --preset multi-hop`", "multi-hop"
    )
    found = answer["hop_map"]
    shape = (1, 2) if column.wide else (2, 1)
    figure, (left, right) = plt.subplots(*shape, figsize=(column.width, 3.1 if column.wide else 5.3))
    draw_map(left, found)
    left.set_yticks(left.get_yticks(), [text.get_text().replace("chain of thought", "chain of\nthought")
                                        for text in left.get_yticklabels()])  # fmt: skip
    for text in left.texts:
        text.set_fontsize(plt.rcParams["xtick.labelsize"])
    draw_dimensions(right, found)
    letter_panels((left, right))
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2 if column.wide else 1)
    caption = (
        f"Multi-hop recall, {answer['subjects']} subjects, {answer['relations']} relations, width {found['width']}. "
        "(a) Mean accuracy over seeds; black line: right of it a cell should fail, predicted from the "
        "models of one layer "
        f"({found['agree']} of {found['predicted']} cells as predicted). (b) The dimension of a subject's vector that "
        "the constructions need, a lower bound by counting, and the width that was trained."
    )
    return Drawn(figure, f"Multi-hop recall, width {found['width']}", caption, (source,))


def draw_laws(folders: Sequence[Path], column: Column) -> Drawn:
    """The smallest dimension that memorises, with both fitted laws and the 95 % intervals of their exponents."""
    path = only_one(folders, f"{RECALL}`")
    answer, source = read_answer(
        path, ("points", "settings", "threshold", "fits"), f"{RECALL} --preset scaling`", "scaling"
    )
    result = read_scaling(answer, path)
    fits = fit_curves(result)
    panels = [name for name in LETTERS if len(getattr(result, name)) > 1] or ["subjects"]
    shape = (1, len(panels)) if column.wide else (len(panels), 1)
    size = (column.width, 3.9 if column.wide else 3.9 * len(panels))
    figure = plt.figure(figsize=size)
    parts = figure.subfigures(*shape, squeeze=False).ravel()
    for part, against in zip(parts, panels, strict=True):
        ax = part.subplots()
        draw_scaling(ax, result, fits, against, SCALING_TITLES, brief=True)
        ax.set_ylabel("smallest dimension $d$")
        fixed = "relations" if against == "subjects" else "subjects"
        ax.set_title(f"{getattr(result.settings, fixed)} {fixed}")
        part.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    caption = (
        f"Smallest embedding dimension at which {result.threshold:.0%} of the facts are recalled (all, by "
        "constructions), "
        f"geometric mean and range over {len(result.seeds)} seeds. Solid: of d = c x^a and d = b + c log x "
        "the law that "
        "fits better by AIC, dotted: the other. Numbers: the exponents a, here with "
        f"the {T_INTERVAL} of the regression [low, high]. "
        "Dashed: theory, blocks. " + " ".join(_law(name, fits[name], panels) for name in result.conditions)
    )
    return Drawn(figure, "The smallest dimension that memorises", caption.rstrip(), (source,))


def draw_threshold(folders: Sequence[Path], column: Column) -> Drawn:
    """Recall against dimension for every size, plain and over R log2 N."""
    path = only_one(folders, f"{RECALL}`")
    answer, source = read_answer(path, ("points", "levels"), f"{RECALL} --preset threshold`", "threshold")
    result = read_scaling(answer, path)
    count = len(result.conditions)
    shape = (2, count) if column.wide else (count, 2)
    height = 4.4 if column.wide else 1.6 * count + 0.9
    figure, axes = plt.subplots(*shape, figsize=(column.width, height), sharey=True, squeeze=False)
    draw_thresholds(result, axes if column.wide else axes.T, {}, SCALING_TITLES)
    letter_panels(list(axes.ravel()))
    figure.legend(handles=size_handles(result), loc="outside lower center", ncols=6 if column.wide else 4)
    level = list(answer["levels"])[-1]
    caption = (
        f"Facts recalled against embedding dimension, {len(result.seeds)} seeds: a line a size and seed, at the "
        "dimensions tried (trainings that recall "
        f"{result.threshold:.0%} end there). Plain, and over R log2 N. Coefficient of variation over sizes of the "
        f"dimension at {float(level):.0%}: "
        + "; ".join(_variation(name, answer["levels"][level][name]) for name in result.conditions)
        + "."
    )
    return Drawn(figure, "Recall against dimension", caption, (source,))


def _variation(name: str, entry: Mapping[str, Any]) -> str:
    found = entry["collapse"]["all"]
    if found is None:
        return f"{SCALING_TITLES[name]}: not crossed everywhere"
    return f"{SCALING_TITLES[name]}: " + ", ".join(f"d / ({key}) {one['variation']:.2f}" for key, one in found.items())


def draw_hop_threshold(folders: Sequence[Path], column: Column) -> Drawn:
    """The smallest dimension over hops, at once and with chain of thought."""
    path = only_one(folders, f"{RECALL}`")
    answer, source = read_answer(path, ("points", "hops_found"), f"{RECALL} --preset hop-threshold`", "hop-threshold")
    result = read_scaling(answer, path)
    count = len(result.conditions)
    shape = (1, count) if column.wide else (count, 1)
    figure, axes = plt.subplots(*shape, figsize=(column.width, 3.2 if column.wide else 2.6 * count), squeeze=False)
    for ax, name in zip(axes.ravel(), result.conditions, strict=True):
        draw_hop_thresholds(ax, result, name)
    letter_panels(list(axes.ravel()))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    caption = (
        f"Smallest embedding dimension at which {result.threshold:.0%} of the longest questions are answered right, "
        f"{result.settings.subjects} entities: geometric mean and range over {len(result.seeds)} seeds. Dashed: what "
        "the constructions need, R k with chain of thought and R^K k at once in one layer, "
        f"k = {answer['hops_found']['code_dimension']}."
    )
    return Drawn(figure, "The smallest dimension over hops", caption, (source,))


def read_scaling(answer: Mapping[str, Any], path: Path) -> ScalingResult:
    """The searches that scores.json holds."""
    points = []
    for point in answer["points"]:
        found = SmallestWidth(point["width"], tuple(Trial(**one) for one in point["tried"]), point["seconds"])
        where = (point["condition"], point["subjects"], point["relations"], point["seed"])
        points.append(ScalingPoint(*where, found, point.get("hops", 1)))  # earlier versions had one hop alone
    names = [field.name for field in dataclasses.fields(RecallSettings)]
    settings = RecallSettings(**{name: value for name, value in answer["settings"].items() if name in names})
    lists: dict[str, Any] = {name: tuple(answer[name]) for name in ("conditions", "subjects", "relations", "seeds")}
    later: dict[str, Any] = {name: tuple(answer[name]) for name in ("hops", "lower") if name in answer}
    return ScalingResult(
        settings, **lists, threshold=answer["threshold"], high=answer["high"], points=tuple(points),
        folder=RunDir(path), **later,
    )  # fmt: skip


def _law(name: str, fits: Mapping[str, Any], panels: Sequence[str]) -> str:
    """The exponent of one condition against each size, and the better law with its difference of AIC."""
    laws = [(against, fits[against]) for against in panels if fits[against]]
    texts = [
        f"{against} a {mean_and_interval(fit.power.second, (fit.power.low, fit.power.high), '.2f')}, "
        f"{fit.better} by {fit.advantage:.1f} AIC"
        for against, fit in laws
    ]
    return f"{SCALING_TITLES[name]}: {'; '.join(texts)}." if texts else ""
