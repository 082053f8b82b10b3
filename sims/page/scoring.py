"""Scores of every model over its seeds: a table with intervals, and the seeds one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..compare.at_time import of_one_start
from ..compare.comparison import OF_FLOW
from ..draw.over_seeds import T_INTERVAL, mean_and_interval
from .blocks import Block, Choice, Plot, Section, Table
from .charts import THEORY, axis, figure, interval, look, words
from .views import TaskView

# What comes first, with the value a perfect run would have; other numbers of scores.json follow in its order.
FIRST = {
    "loss_per_node": None,
    "gram_error": 0.0,
    "gram_error_at_time": 0.0,
    "fiedler_score": 1.0,
    "effective_rank": None,
    "geometric_level": None,
    "geometric_margin": None,
    "edge_recall": 1.0,
    "trajectory_error": 0.0,
}
# What they mean; shown beside them.
MEANING = {
    "loss_per_node": "cross-entropy a node, in nats",
    "gram_error": "relative distance of the centred Gram matrix from the limit's, after the best scale",
    "gram_error_at_time": "the same from the flow at the run's own time t = learning rate × steps",
    "fiedler_score": "share of the centred energy in the limit's column space",
    "effective_rank": "exp of the entropy of the centred Gram matrix's eigenvalues: how many directions are in use",
    "geometric_level": "mean cosine of the embeddings of an edge's two ends",
    "geometric_margin": "largest logit VV' of a neighbour less the largest of another node, mean over nodes",
    "edge_recall": "share of nodes whose most likely targets are their neighbours",
    "trajectory_error": "root mean square of log10(measured / predicted) mode energies over time, in decades",
    "gram_scale": "factor that brings the Gram matrix nearest to the limit's",
}
MOST_BESIDE = 8  # names that stand beside each other; more are turned
LAST = ("seconds",)
Group = tuple[str, Sequence[int], Mapping[str, Sequence[float]]]  # a name, its seeds, for each score a value a seed


def score_section(view: TaskView) -> Section | None:
    """None where nothing was scored."""
    groups: list[Group] = [
        (one.model.title, one.seeds, run_scores(_of_one_start(one.scores)))
        for one in view.models
        if len(one.scores) == len(one.seeds)
    ]
    if not groups:
        return None
    perfect = {**FIRST, "loss_per_node": view.optimum.get("loss_per_node")}
    return Section("Scores", score_blocks(groups, perfect), [INTERVALS], view.source)


def _of_one_start(scores: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What is against another flow than that of the runs' own starts is left out, where some have that."""
    kept, undefined = of_one_start(scores), dict.fromkeys(OF_FLOW, float("nan"))
    return [one if any(one is each for each in kept) else {**one, **undefined} for one in scores]


INTERVALS = f"Mean over seeds with its {T_INTERVAL} where there are two seeds or more."


def score_blocks(groups: Sequence[Group], reference: Mapping[str, float | None]) -> list[Block]:
    """A figure with a menu of scores, a table of all of them, and a table of every seed."""
    names = list(dict.fromkeys(name for _, _, found in groups for name in found))
    names = [name for name in reference if name in names] + [name for name in names if name not in reference]
    names.sort(key=lambda name: name in LAST)
    options = [(words(name), _plot(name, groups, reference.get(name))) for name in names]
    means = Table("scores", ["score", *(title for title, _, _ in groups)], [_row(name, groups) for name in names])
    meanings = [[words(name), MEANING[name]] for name in names if name in MEANING]
    legend: list[Block] = [Table("what-scores-mean", ["score", "what it is"], meanings)] if meanings else []
    each = Table(
        "scores-by-seed",
        ["run", "seed", *map(words, names)],
        [
            [title, seed, *(found[name][i] if name in found else None for name in names)]
            for title, seeds, found in groups
            for i, seed in enumerate(seeds)
        ],
        "Every seed",
    )
    return [Choice("Score", options), means, *legend, each]


def _plot(name: str, groups: Sequence[Group], reference: float | None) -> Plot:
    traces: list[Any] = []
    present = [(place, *group) for place, group in enumerate(groups) if name in group[2]]
    for place, title, seeds, found in present:
        style, values = look(place), np.array(found[name], dtype=np.float64)
        finite = np.isfinite(values)
        offset = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
        traces.append(
            go.Scatter(
                x=place + offset,
                y=values,
                mode="markers",
                name=title,
                meta="seed",
                marker={"color": style["colour"], "symbol": f"{style['symbol']}-open", "size": 8},
                customdata=list(seeds),
                hovertemplate=f"{title}, seed %{{customdata}}: %{{y:.6g}}<extra></extra>",
                showlegend=False,
            )
        )
        if finite.sum() >= 2:
            mean, reach = interval(values[finite])
            traces.append(
                go.Scatter(
                    x=[place],
                    y=[float(mean)],
                    error_y={"type": "data", "array": [float(reach)] if reach is not None else [0.0], "width": 8},
                    mode="markers",
                    name=title,
                    meta="mean, 95 % interval",
                    marker={"color": style["colour"], "symbol": "line-ew-open", "size": 22},
                    hovertemplate=f"{title}: mean %{{y:.6g}}<extra></extra>",
                    showlegend=False,
                )
            )
    shapes = []
    if reference is not None:
        line = {"color": THEORY, "dash": "dot", "width": 1}
        shapes.append(
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": reference, "y1": reference, "line": line}
        )
    crowded = len(groups) > MOST_BESIDE
    drawn = figure(
        traces,
        shapes=shapes,
        xaxis={
            "tickmode": "array",
            "tickvals": list(range(len(groups))),
            "ticktext": [title if crowded else _folded(title) for title, _, _ in groups],
            "tickangle": 90 if crowded else 0,
            "tickfont": {"size": 9} if crowded else {},
            "range": [-0.5, len(groups) - 0.5],
            "zeroline": False,
            "automargin": True,
        },
        yaxis=axis(words(name)),
    )
    note = "" if reference is None else f", dotted line at {reference:.4g}"
    return Plot(f"score-{name}", f"{words(name)} of every seed with 95 % intervals{note}", drawn, 380)


def _row(name: str, groups: Sequence[Group]) -> list[str | float | None]:
    return [words(name), *(_cell(found.get(name)) for _, _, found in groups)]


def _cell(values: Sequence[float] | None) -> str | float | None:
    if values is None:
        return None
    known = np.array([value for value in values if np.isfinite(value)], dtype=np.float64)
    if not len(known):
        return "undefined"
    mean, reach = interval(known)
    missing = f", {len(values) - len(known)} undefined" if len(known) < len(values) else ""
    if reach is None:
        return f"{float(mean):.4g}{missing}" if missing else float(mean)
    return mean_and_interval(float(mean), (float(mean - reach), float(mean + reach)), ".4g") + missing


def run_scores(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """The scores that are one number a run; the trajectory's error among them."""
    found: dict[str, list[float]] = {}
    for entry in entries:
        fit = entry.get("trajectory_fit") or {}
        for name, value in {**entry, "trajectory_error": fit.get("rms_log10")}.items():
            if name in ("seed", "model") or isinstance(value, (str, bool, list, dict)):
                continue
            if value is None and name not in FIRST and name not in found:
                continue
            found.setdefault(name, []).append(float("nan") if value is None else float(value))
    whole = {name: values for name, values in found.items() if len(values) == len(entries)}
    return {name: values for name, values in whole.items() if not np.isnan(values).all()}


def _folded(title: str, width: int = 18) -> str:
    import textwrap

    return "<br>".join(textwrap.wrap(title, width)) or title
