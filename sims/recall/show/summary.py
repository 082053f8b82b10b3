"""The numbers of finished recall runs: each seed, and each condition over its seeds with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...scores.statistics import mean, mean_interval
from ..one_run import RecallRun
from ..run import RecallResult

# Of the last record: what a condition's summary averages beside the analysis.
MEASURED = ("loss", "accuracy", "held_out_accuracy", "unseen_facts_accuracy", "zero_hop_accuracy")


def describe_recall(result: RecallResult) -> dict[str, Any]:
    """The JSON of ``fiedler recall``: the sizes and the means of the first condition on top, ``conditions``: one object
    each, ``curve``: every recorded step of every run."""
    conditions = {name: summarise_recall(runs) for name, runs in result.runs.items()}
    first = next(iter(conditions.values()))
    curve = [
        {"condition": name, "seed": run.seed, **record}
        for name, runs in result.runs.items()
        for run in runs
        for record in run.records
    ]
    settings = first["settings"]
    return {
        "subjects": settings.subjects,
        "relations": settings.relations,
        "attributes": settings.attribute_count,
        "dimension": settings.width,
        "chance": first["chance"],
        **first["mean"],
        "conditions": conditions,
        "curve": curve,
    }


def summarise_recall(runs: Sequence[RecallRun]) -> dict[str, Any]:
    """``mean`` over seeds of every number the runs end in, its 95 % ``interval`` (Student's t, None for one seed) and
    ``per_seed``; lists by relation are averaged first. ``chance``: of guessing among the attributes."""
    per_seed = [_describe(run) for run in runs]
    numbers: dict[str, list[float]] = {}
    for name in per_seed[0]:
        values = [number_of(entry.get(name)) for entry in per_seed]
        if name not in ("seed", "seconds") and all(value is not None for value in values):
            numbers[name] = [value for value in values if value is not None]
    settings = runs[0].settings
    return {
        "mean": {name: mean(values) for name, values in numbers.items()},
        "interval": {name: mean_interval(values) for name, values in numbers.items()},
        "chance": 1 / settings.attribute_count,
        "parameters": runs[0].parameters,
        "facts": settings.subjects * settings.relations,
        "settings": settings,
        "per_seed": per_seed,
    }


def _describe(run: RecallRun) -> dict[str, Any]:
    last = run.records[-1]
    measured = {name: last[name] for name in MEASURED if name in last}
    return {
        "seed": run.seed,
        **measured,
        **run.scores,
        "accuracy_by_hops": last["accuracy_by_hops"],
        "seconds": run.seconds,
    }


def number_of(value: Any) -> float | None:
    """A number, or the mean of a list of numbers; None for what is neither."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list) and value and all(isinstance(entry, int | float) for entry in value):
        return mean(value)
    return None
