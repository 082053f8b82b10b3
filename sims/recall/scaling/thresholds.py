"""What finished searches say of recall against dimension: where it crosses each level, on which axis that is the same
for all sizes, which law it follows, and what would decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ...draw.over_seeds import mean_and_deviation, mean_and_interval
from ...scores.statistics import mean, mean_interval, standard_deviation
from .collapse import FEWEST, NORMALISATIONS, collapse
from .decide import deciding_data
from .fit import FEWEST_SIZES, ScalingFit, fit_laws
from .run import ScalingPoint, ScalingResult

AXES = ("subjects", "relations")
ALL = "all"  # sizes, of both axes


def levels_of(result: ScalingResult) -> tuple[float, ...]:
    """The accuracies whose crossing was sought, the highest first."""
    return (result.threshold, *sorted(result.lower, reverse=True))


def points_along(result: ScalingResult, condition: str, axis: str) -> list[ScalingPoint]:
    """The searches of a condition along ``axis`` "subjects" or "relations", or ALL."""
    if axis == ALL:
        return [point for point in result.points if point.condition == condition]
    return result.curve(condition, axis)


def crossings(points: Sequence[ScalingPoint], level: float) -> list[tuple[int, int, int, float]] | None:
    """(N, R, seed, d) of all ``points``; None where recall did not cross the level for one of them."""
    found = [(p.subjects, p.relations, p.seed, p.found.crossing(level)) for p in points]
    known = [(n, r, seed, d) for n, r, seed, d in found if d is not None]
    return known if known and len(known) == len(found) else None


def describe_thresholds(result: ScalingResult) -> dict[str, Any]:
    """By level ("0.99") and condition: ``thresholds``, one entry a size with its crossing for each seed; ``collapse``
    by axis and normalisation, the coefficient of variation of each seed, their mean and its interval; ``laws`` of the
    crossings against subjects, with ``deciding`` data."""
    found = {}
    for level in levels_of(result):
        found[f"{level:g}"] = {name: _describe(result, name, level) for name in result.conditions}
    return found


def fit_crossings(result: ScalingResult, condition: str, level: float) -> ScalingFit | None:
    """Both laws of the crossings against subjects; None for fewer than FEWEST_SIZES sizes or a missing one."""
    known = crossings(points_along(result, condition, "subjects"), level)
    if known is None or len({n for n, *_ in known}) < FEWEST_SIZES:
        return None
    return fit_laws([n for n, *_ in known], [d for *_, d in known])


def _describe(result: ScalingResult, condition: str, level: float) -> dict[str, Any]:
    sizes = sorted({(p.subjects, p.relations) for p in points_along(result, condition, ALL)})
    thresholds = [
        {"subjects": n, "relations": r, "dimensions": [p.found.crossing(level) for p in result.points
         if (p.condition, p.subjects, p.relations) == (condition, n, r)]}
        for n, r in sizes
    ]  # fmt: skip
    fit = fit_crossings(result, condition, level)
    laws = None
    if fit is not None:
        at = sorted({p.subjects for p in points_along(result, condition, "subjects")})
        laws = {"log": fit.log, "power": fit.power, "better": fit.better, "advantage": fit.advantage,
                "deciding": [asdict(one) for one in deciding_data(fit, at)]}  # fmt: skip
    along = {axis: _collapse(result, condition, level, axis) for axis in (ALL, *AXES)}
    return {"thresholds": thresholds, "collapse": along, "laws": laws}


def _collapse(result: ScalingResult, condition: str, level: float, axis: str) -> dict[str, Any] | None:
    known = crossings(points_along(result, condition, axis), level)
    if known is None or len({(n, r) for n, r, *_ in known}) < FEWEST:
        return None
    seeds = [
        collapse(*(np.array([one[i] for one in known if one[2] == seed]) for i in (0, 1, 3))) for seed in result.seeds
    ]
    found = {}
    for name in NORMALISATIONS:
        each = [one[name] for one in seeds]
        variations = [one.variation for one in each]
        powers = {
            key: None if getattr(each[0], key) is None else mean([getattr(one, key) for one in each]) for key in AXES
        }
        found[name] = {"variation": mean(variations), "interval": mean_interval(variations), "per_seed": variations,
                       "powers": powers}  # fmt: skip
    return found


def collapse_rows(answer: Mapping[str, Any], level: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of each condition over all sizes, over subjects and over relations: the coefficient of variation
    of d after each normalisation, and the powers of the last one."""
    rows = []
    for name, entry in answer["levels"][level].items():
        for axis in (ALL, *AXES):
            found = entry["collapse"][axis]
            if found is None:
                continue
            cells = [
                mean_and_deviation(one["variation"], standard_deviation(one["per_seed"]), ".2f")
                for one in found.values()
            ]
            powers = found[NORMALISATIONS[-1]]["powers"]
            shown = [f"{powers[one]:.2f}" if axis in (ALL, one) else "–" for one in AXES]
            rows.append([f"{name.replace('_', ' ')}, {'all sizes' if axis == ALL else axis}", *cells, ", ".join(shown)])
    return ["condition", *NORMALISATIONS, "a, b"], rows


def threshold_rows(answer: Mapping[str, Any], level: str) -> tuple[list[str], list[list[str]]]:
    """Header and a row for each condition: where recall crosses ``level`` at every size, mean over seeds."""
    entries = answer["levels"][level]
    sizes = [(one["subjects"], one["relations"]) for one in next(iter(entries.values()))["thresholds"]]
    rows = []
    for name, entry in entries.items():
        cells = []
        for one in entry["thresholds"]:
            values = one["dimensions"]
            cells.append("–" if None in values else f"{mean(values):.1f}")
        rows.append([name.replace("_", " "), *cells])
    return ["condition", *(f"{n} x {r}" for n, r in sizes)], rows


def law_rows(answer: Mapping[str, Any], level: str) -> tuple[list[str], list[list[str]]]:
    """Header and one row a condition: the power, which law fits better, the seeds a size that would decide at the sizes
    measured, and up to which N three seeds would."""
    rows = []
    for name, entry in answer["levels"][level].items():
        laws = entry["laws"]
        if laws is None:
            continue
        power, log, deciding = laws["power"], laws["log"], laws["deciding"]
        enough = next((f"{one['largest']:,}" for one in deciding if one["seeds"] <= len(answer["seeds"])), "–")
        rows.append(
            [name.replace("_", " "), mean_and_interval(power.second, (power.low, power.high), ".2f"),
             mean_and_interval(log.second, (log.low, log.high), ".2f"), f"{laws['better']} by {laws['advantage']:.1f}",
             f"{deciding[0]['seeds']:,}", enough]
        )  # fmt: skip
    header = ["condition", "exponent", "per doubling", "better law", "seeds that would decide",
              "N up to which these seeds would"]  # fmt: skip
    return header, rows
