"""Whether path finding follows the geometry: path runs whose embeddings were moved toward the predicted one.

``fiedler.sims.paths.run`` trains them; here the distance of their embeddings from the certified optimum stands beside
the accuracy on held-out paths and the steps it took.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from fiedler.theory import TiedOptimum, fiedler_score, geometric_margin, gram_error

from ..paths.one_run import PathRun
from ..paths.run import PathResult
from ..paths.star import star_paths
from ..runs.control import UNWATCHED, Watch
from ..runs.seeking import told
from ..runs.stopping import heeding
from ..tasks.optimum import task_optimum
from ..tasks.search import SEARCH, Search
from ..tasks.task import Task
from .conditions import BASE, TITLES
from .embeddings import describe_rows, least_gram_error

HALF = 0.5  # of the final accuracy of the model as it is, on the same seed

# first_token_accuracy, path_accuracy: held-out, at the last step; ``half_step``: the first recorded step at which the
# first-token accuracy is at least HALF of what the base reaches at its last step, infinite where it never is.
PATH_MEASURES = (
    "gram_error",
    "fiedler_score",
    "geometric_margin",
    "geometric_margin_top1",
    "edge_recall",
    "train_first_token_accuracy",
    "first_token_accuracy",
    "path_accuracy",
    "half_step",
)


def describe_path_headroom(result: PathResult, search: Search = SEARCH, watch: Watch = UNWATCHED) -> dict[str, Any]:
    """The JSON of ``fiedler headroom --paths``: per condition its settings, every seed's measures, mean and standard
    deviation, paired differences from the base, and ``curve``: held-out first-token accuracy at every recorded step."""
    optimum = heeding(watch.stop, lambda: task_optimum(Task(result.graph), search, told(watch)))
    margin, top1 = geometric_margin(optimum.embedding(), result.graph)
    bases = result.runs[BASE]
    rows = {
        name: [_measure(run, base, result, optimum) for run, base in zip(runs, bases, strict=True)]
        for name, runs in result.runs.items()
    }
    star = star_paths(result.graph)
    return {
        "kind": "paths",
        "graph": result.graph.name,
        "n": result.graph.n,
        "rank": optimum.rank,
        "width": bases[0].settings.width,
        "chance": bases[0].chance,
        "held_out_paths": int(bases[0].records[-1]["paths"]),
        "trained_paths": len(star.paths) - int(bases[0].records[-1]["paths"]),
        "seeds": [run.seed for run in bases],
        "optimum": {
            "least_gram_error": least_gram_error(optimum, bases[0].settings.width),
            "geometric_margin": margin,
            "geometric_margin_top1": top1,
        },
        "variants": {
            name: {
                "title": TITLES[name],
                "settings": dataclasses.asdict(runs[0].settings),
                "per_seed": rows[name],
                **describe_rows(rows[name], rows[BASE], PATH_MEASURES),
                "curve": {
                    "step": [record["step"] for record in runs[0].records],
                    "first_token_accuracy": [[r["first_token_accuracy"] for r in run.records] for run in runs],
                },
            }
            for name, runs in result.runs.items()
        },
    }


def half_step(records: Sequence[dict[str, Any]], goal: float) -> float:
    """The first recorded step whose held-out first-token accuracy is at least HALF of ``goal``; infinite where none is,
    NaN for a goal of zero, which every step reaches."""
    if goal <= 0:
        return float("nan")
    reached = [record["step"] for record in records if record["first_token_accuracy"] >= HALF * goal]
    return float(reached[0]) if reached else float("inf")


def _measure(run: PathRun, base: PathRun, result: PathResult, optimum: TiedOptimum) -> dict[str, float]:
    margin, top1 = geometric_margin(run.embedding, result.graph)
    last = run.records[-1]
    return {
        "seed": run.seed,
        "gram_error": gram_error(run.embedding, optimum),
        "fiedler_score": fiedler_score(run.embedding, optimum),
        "geometric_margin": margin,
        "geometric_margin_top1": top1,
        **{key: float(last[key]) for key in PATH_MEASURES if key in last},
        "half_step": half_step(run.records, base.records[-1]["first_token_accuracy"]),
    }
