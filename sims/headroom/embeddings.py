"""How far a trained network's embeddings are from the certified optimum and from Node2Vec, and what closes the gap.

The network as it is, three ways of moving it toward the predicted geometry (``models.guidance``), and Node2Vec on the
same graph, all over the same seeds. A network that is given the prediction is no test of it: that is ``compare``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fiedler.theory import TiedOptimum, geometric_margin, gram_distance

from ..compare.comparison import Comparison, recall_step, scores_of_runs
from ..compare.run import compare
from ..disk.files import folder_name
from ..models.registry import Model, get_model
from ..runs.control import AFRESH, UNWATCHED, Restart, Watch
from ..runs.folder import RunDir
from ..runs.opening import opened
from ..scores.statistics import paired_difference, summary
from ..tasks.search import SEARCH, Search
from ..tasks.task import Task
from .conditions import BASE, REFERENCE, TITLES

# What is measured of every run: gram_error and fiedler_score to the certified optimum, ``node2vec_distance``: the
# gram_distance to the embedding Node2Vec learned from the same seed; the rest as in ``final_scores``.
MEASURES = (
    "gram_error",
    "fiedler_score",
    "node2vec_distance",
    "geometric_margin",
    "geometric_margin_top1",
    "edge_margin",
    "loss",
    "edge_recall",
    "recall_step",
)


def headroom_models(variants: Sequence[Model], changes: Mapping[str, Any] | None = None) -> list[tuple[Model, Any]]:
    """The variants with their settings, ``changes`` among them, and Node2Vec with its own."""
    reference = dataclasses.replace(get_model("node2vec"), name=REFERENCE)
    return [*((one, one.make_settings(**(changes or {}))) for one in variants), (reference, reference.make_settings())]


def run_headroom(
    tasks: Sequence[Task],
    variants: Sequence[Model],
    seeds: Sequence[int],
    out: Path,
    *,
    changes: Mapping[str, Any] | None = None,
    restart: Restart = AFRESH,
    search: Search = SEARCH,
    watch: Watch = UNWATCHED,
) -> tuple[RunDir, list[Comparison]]:
    """Compare ``variants`` (those of ``headroom.conditions.model_variants``) and Node2Vec on every task, each in a
    folder under that of them all, ``out``. ``changes``: settings of every variant; the other arguments and errors are
    ``compare``'s.

    Raises ValueError for a task whose predicted geometry is zero.
    """
    models = headroom_models(variants, changes)
    for task in tasks:
        for model, settings in models:  # refused before anything is trained
            model.start(task, settings, [seeds[0]])
    config = {
        "tasks": [task.describe() for task in tasks],
        "models": {model.name: dataclasses.asdict(settings) for model, settings in models},
        "seeds": list(seeds),
    }
    paths = [out / folder_name(task.graph.name) for task in tasks]
    with opened(out, config, restart, runs=paths) as folder:
        comparisons = [
            compare(task, models, seeds, out=path, restart=restart, search=search, watch=watch.within(task.graph.name))
            for task, path in zip(tasks, paths, strict=True)
        ]
    return folder, comparisons


def describe_headroom(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The JSON of ``fiedler headroom``: per graph the optimum's own margin and loss, and per variant its settings,
    every seed's measures, mean and standard deviation, and the paired differences from the network as it is."""
    return {"kind": "embeddings", "graphs": {one.task.graph.name: _describe(one) for one in comparisons}}


def _describe(comparison: Comparison) -> dict[str, Any]:
    task, optimum = comparison.task, comparison.certified
    margin, top1 = geometric_margin(optimum.embedding(), task.graph)
    rows = {one.model.name: _measure(comparison, number) for number, one in enumerate(comparison.models)}
    return {
        "n": task.graph.n,
        "rank": optimum.rank,
        "seeds": [run.seed for run in comparison.models[0].runs],
        "optimum": {
            "least_gram_error": least_gram_error(optimum, comparison.models[0].settings.width),
            "geometric_margin": margin,
            "geometric_margin_top1": top1,
            "loss_per_node": optimum.loss_per_node,
            "entropy_floor": task.entropy_floor,
        },
        "variants": {
            one.model.name: {
                "title": TITLES[one.model.name],
                "settings": dataclasses.asdict(one.settings),
                "per_seed": rows[one.model.name],
                **describe_rows(rows[one.model.name], rows[BASE], MEASURES),
            }
            for one in comparison.models
        },
    }


def least_gram_error(optimum: TiedOptimum, width: int) -> float:
    """The smallest gram_error of any embedding of ``width`` columns: sqrt(1 - share of the squared eigenvalues of K* in
    the ``width`` largest), 0 where the width is the rank or more."""
    squares = optimum.eigenvalues**2
    return float(np.sqrt(max(0.0, 1 - squares[:width].sum() / squares.sum())))


def describe_rows(
    rows: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]], measures: Sequence[str]
) -> dict[str, Any]:
    """ "summary" and "difference" of every measure; rows are seeds, in the same order in both."""
    values = {name: [row[name] for row in rows] for name in measures}
    first = {name: [row[name] for row in base] for name in measures}
    return {
        "summary": {name: summary(values[name]) for name in measures},
        "difference": {name: paired_difference(values[name], first[name]) for name in measures},
    }


def _measure(comparison: Comparison, number: int) -> list[dict[str, float]]:
    one = comparison.models[number]
    (reference,) = [other for other in comparison.models if other.model.name == REFERENCE]
    rows = []
    for run, trained, scores in zip(one.runs, reference.runs, scores_of_runs(one), strict=True):
        step = recall_step(run)
        found = {
            **scores,
            "loss": scores["loss_per_node"],
            "recall_step": float("nan") if step is None else step,
            "node2vec_distance": gram_distance(run.final.embedding, trained.final.embedding),
        }
        rows.append({"seed": run.seed, **{name: float(found[name]) for name in MEASURES}})
    return rows
