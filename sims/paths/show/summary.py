"""The numbers of finished path runs: each seed, each condition over its seeds, and the curve over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from fiedler.theory import Graph

from ...scores.statistics import mean, standard_deviation
from ..data import InWeightsData, make_data
from ..geometry import describe_geometry
from ..one_run import PathRun
from ..run import PathResult
from ..star import star_paths

# Held-out metrics that are averaged over seeds.
AVERAGED = ("first_token_accuracy", "first_token_choice", "path_accuracy", "edge_recall", "edge_hits",
            "edge_loss", "edge_floor", "train_first_token_accuracy", "train_path_accuracy", "train_loss")  # fmt: skip


def describe_paths(result: PathResult) -> dict[str, Any]:
    """The JSON of ``fiedler paths``: ``graph``, ``chance`` (of the first node after the root), ``conditions`` (their
    names), one object for each condition under its name, and ``curve``: every recorded step of every run."""
    curve = [
        {"condition": name, "seed": run.seed, **record}
        for name, runs in result.runs.items()
        for run in runs
        for record in run.records
    ]
    return {
        "graph": result.graph.name,
        "n": result.graph.n,
        "chance": 1 / star_paths(result.graph).arm_count,
        "conditions": list(result.runs),
        **{name: summarise_condition(result.graph, runs) for name, runs in result.runs.items()},
        "curve": curve,
    }


def summarise_condition(graph: Graph, runs: Sequence[PathRun]) -> dict[str, Any]:
    """Means over seeds of what the runs end in, their standard deviations, and every seed's own numbers.

    ``chance``: of the first token in this condition; ``first_token_right``, ``first_token_asked``: over all seeds;
    ``first_token_p_value``: the exact binomial probability of at least so many by chance. ``first_token_choice``: among
    the root's neighbours alone, with ``_right``, ``_asked`` and a two-sided ``_p_value`` (at chance: not small); not
    there for the reverse task.
    """
    per_seed = [_describe_run(graph, run) for run in runs]
    chance = runs[0].chance
    asked = sum(numbers["paths"] for numbers in per_seed)
    right = sum(round(numbers["first_token_accuracy"] * numbers["paths"]) for numbers in per_seed)
    summary: dict[str, Any] = {}
    for key in AVERAGED:
        if key in per_seed[0]:
            values = [numbers[key] for numbers in per_seed]
            summary |= {key: mean(values), f"{key}_sd": standard_deviation(values)}
    if "first_token_choice" in per_seed[0]:
        chosen = sum(round(numbers["first_token_choice"] * numbers["paths"]) for numbers in per_seed)
        summary |= {
            "first_token_choice_right": chosen,
            "first_token_choice_asked": asked,
            "first_token_choice_p_value": float(binomtest(chosen, asked, chance, alternative="two-sided").pvalue),
        }
    return {
        **summary,
        "per_position": np.mean([numbers["per_position"] for numbers in per_seed], axis=0).tolist(),
        "chance": chance,
        "first_token_right": right,
        "first_token_asked": asked,
        "first_token_p_value": float(binomtest(right, asked, chance, alternative="greater").pvalue),
        "parameters": runs[0].parameters,
        "settings": runs[0].settings,
        "per_seed": per_seed,
    }


def _describe_run(graph: Graph, run: PathRun) -> dict[str, Any]:
    data = make_data(graph, run.settings, run.seed)
    geometry = {}
    if isinstance(data, InWeightsData):
        geometry = {"geometry": describe_geometry(run.embedding, data.star, data.train, data.test)}
    best = max(record["first_token_accuracy"] for record in run.records)
    return {"seed": run.seed, **run.records[-1], "peak_first_token_accuracy": best, "seconds": run.seconds, **geometry}
