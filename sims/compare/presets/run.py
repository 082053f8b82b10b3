"""Running a preset: every cell's comparison, resumable, and the numbers that stand beside the published ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...disk.files import folder_name
from ...runs.control import AFRESH, UNWATCHED, Restart, Watch
from ...runs.folder import RunDir
from ...runs.opening import opened
from ...scores.statistics import finite_values, mean, standard_deviation
from ...tasks.search import SEARCH, Search
from ..ahead import Planned, train_ahead
from ..comparison import Comparison, recall_step, scores_of_runs
from ..model_comparison import ModelComparison
from ..run import compare, describe_comparison
from .definitions import Cell, Preset, PresetModel
from .published import published_numbers

# What a preset's table has of every run: its name here, and where the number is.
MEASURES = (
    "loss",
    "entropy_floor",
    "edge_recall",
    "recall_step",
    "geometric_level",
    "geometric_level_centred",
    "geometric_margin",
    "geometric_margin_top1",
    "transposed_margin",
    "gram_error",
    "fiedler_score",
)
# A score whose standard deviation over seeds is below this share of its mean is called stable; only then is its ratio
# to a single published seed worth a number.
STABLE = 0.25


@dataclass(frozen=True, eq=False)
class CellResult:
    """A cell and its comparison; models weighed by node and by line are in one, each scored on its own task."""

    cell: Cell
    comparison: Comparison


@dataclass(frozen=True, eq=False)
class PresetResult:
    """A finished preset: its cells in order, and the folder they are in."""

    preset: Preset
    seeds: tuple[int, ...]
    cells: tuple[CellResult, ...]
    folder: RunDir


@dataclass(frozen=True)
class Measured:
    """One score of one model in one cell over its seeds, beside the published one (None where there is none)."""

    cell: str
    model: str
    title: str
    measure: str
    values: tuple[float, ...]
    published: float | None

    @property
    def mean(self) -> float:
        """Over the seeds that have it; NaN where none has."""
        return mean(finite_values(self.values))

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds that have it (n - 1 in the denominator); None below two."""
        return standard_deviation(finite_values(self.values))

    @property
    def stable(self) -> bool:
        """Whether every seed has it and they agree to STABLE."""
        everywhere = bool(np.isfinite(self.values).all())
        return everywhere and self.deviation is not None and self.deviation <= STABLE * abs(self.mean)

    def describe(self) -> dict[str, Any]:
        """As scores.json has it."""
        return {**dataclasses.asdict(self), "mean": self.mean, "std": self.deviation, "stable": self.stable}


def run_preset(
    preset: Preset,
    seeds: Sequence[int],
    out: Path,
    *,
    jobs: int | None = 1,
    restart: Restart = AFRESH,
    search: Search = SEARCH,
    watch: Watch = UNWATCHED,
) -> PresetResult:
    """Compare every cell under ``out``, a folder each, in order; ``jobs``: processes that train, see ``train_ahead``;
    arguments and errors are otherwise those of ``compare``."""
    config = {"preset": preset.name, "seeds": list(seeds), "settings": preset_settings(preset)}
    if preset.graph is not None:
        config["graph"] = preset.graph
    if preset.options:
        config["options"] = dict(preset.options)
    planned = [_planned(cell, out) for cell in preset.cells]
    for one in (one for of_cell in planned for one in of_cell):
        _ = one.task.solver_target  # an impossible graph is refused before a folder is made
    with opened(out, config, restart) as folder:
        trained = train_ahead([one for of_cell in planned for one in of_cell], seeds, out, restart, jobs, watch)
        how: dict[str, Any] = {"restart": trained, "search": search, "follow": not preset.ladder, "watch": watch}
        pairs = zip(preset.cells, planned, strict=True)
        cells = tuple(_run_cell(cell, of_cell, seeds, how) for cell, of_cell in pairs)
    return PresetResult(preset, tuple(seeds), cells, folder)


def _planned(cell: Cell, out: Path) -> list[Planned]:
    return [
        Planned(
            task, [(spec.model(), spec.model().make_settings()) for spec in specs],
            out / folder_name(f"{cell.name} {task.weights}"),
        )
        for task, specs in cell.tasks()
    ]  # fmt: skip


def _run_cell(cell: Cell, planned: Sequence[Planned], seeds: Sequence[int], how: Mapping[str, Any]) -> CellResult:
    how = {**how, "watch": how["watch"].within(cell.name)}
    parts = [compare(one.task, one.models, seeds, out=one.folder, **how) for one in planned]
    return CellResult(cell, merge_parts(cell, parts))


def merge_parts(cell: Cell, parts: Sequence[Comparison]) -> Comparison:
    """One comparison with the models in the cell's order; task and optimum are the first part's."""
    models = {one.model.name: one for part in parts for one in part.models}
    return dataclasses.replace(parts[0], models=tuple(models[one.name] for one in cell.models), parts=tuple(parts))


def measured(results: Sequence[CellResult]) -> list[Measured]:
    """Every measure of every model that has it."""
    rows = []
    for result in results:
        for spec, one in zip(result.cell.models, result.comparison.models, strict=True):
            rows += _of_model(result.cell, spec, one)
    return rows


def _of_model(cell: Cell, spec: PresetModel, one: ModelComparison) -> list[Measured]:
    published = published_numbers(spec.published, cell.graph)
    runs = [{**scores, "loss": scores["loss_per_node"], "recall_step": recall_step(run)}
            for run, scores in zip(one.runs, scores_of_runs(one), strict=True)]  # fmt: skip
    return [
        Measured(
            cell.name,
            spec.name,
            spec.title,
            name,
            tuple(float(scores[name]) for scores in runs),
            published.get(name),
        )
        for name in MEASURES
        if all(scores.get(name) is not None for scores in runs)
    ]


def describe_preset(preset: Preset, seeds: Sequence[int], results: Sequence[CellResult]) -> Mapping[str, Any]:
    """scores.json of a preset."""
    return {
        "preset": preset.name,
        "title": preset.title,
        "source": preset.source,
        "seeds": list(seeds),
        "settings": preset_settings(preset),
        "table": [row.describe() for row in measured(results)],
        "cells": {result.cell.name: describe_comparison(result.comparison) for result in results},
    }


def preset_settings(preset: Preset) -> dict[str, Any]:
    """For each cell its models with their settings: what a preset means, in numbers."""
    return {
        cell.name: {one.name: dataclasses.asdict(one.model().make_settings()) for one in cell.models}
        for cell in preset.cells
    }
