"""A comparison or one training run as it lies in its folder, in the form the page's sections share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Graph, TiedOptimum, centre_rows

from ..compare.comparison import Comparison, scores_of_runs
from ..compare.flow import predicted_flow
from ..compare.folder import read_comparison as read_comparison_folder
from ..compare.folder import read_finished_run, read_settings, read_task
from ..compare.notes import comparison_notes, model_notes
from ..compare.presets.folder import read_preset_parts
from ..compare.trajectory_fit import TrajectoryFit, fit_trajectory
from ..draw.sources import source_of
from ..models.registry import Model, get_model
from ..predict.describe import describe_optimum
from ..predict.trajectory import PredictedTrajectory, predicted_spectrum
from ..runs.control import UNWATCHED, Watch
from ..runs.engine import Run
from ..runs.folder import RunDir
from ..runs.scored import own_decay
from ..runs.seeking import seek_optimum
from ..tasks.search import SEARCH, Search
from ..tasks.task import DENSE_NODES, LEADING_MODES, Task

Floats = NDArray[np.float64]

PREDICTED_NODES = 400  # a single run's prediction, which its folder does not hold, is made for graphs up to this size


@dataclass(frozen=True, eq=False)
class ModelView:
    """One model's runs, in the order of the seeds, and the scores of each. ``predicted``, ``fit`` (of the mean over
    seeds): None where there is no prediction. ``eigenvalues`` of the centred Gram matrix the runs are held against,
    descending, empty where there is none."""

    model: Model
    settings: Any
    runs: tuple[Run, ...]
    scores: list[dict[str, Any]]
    predicted: PredictedTrajectory | None
    fit: TrajectoryFit | None
    eigenvalues: Floats

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs]

    @property
    def steps(self) -> NDArray[np.int64]:
        """The recorded steps (k,)."""
        return self.runs[0].modes.steps

    @property
    def centred_energy(self) -> Floats:
        """(seeds, k, modes)."""
        return np.array([run.modes.centred_energy for run in self.runs])

    @property
    def loss(self) -> Floats:
        """Per node, (seeds, k)."""
        return np.array([run.modes.loss for run in self.runs])

    @property
    def time_scale(self) -> float | None:
        """Flow time a step: the model's own clock, or the fitted one."""
        return self.model.time_per_step(self.settings) or (None if self.fit is None else self.fit.time_scale)


@dataclass(frozen=True, eq=False)
class TaskView:
    """A task and the models trained on it. ``optimum_factor`` (n, r): V of the certified optimum's K = V V', None where
    it was not made; ``optimum``: what scores.json says of it. ``missing``: in sentences, what the page lacks and the
    command that adds it; ``notes``: what is to be said beside the numbers (``compare.notes``); ``rivals`` and ``bias``:
    what scores.json says of other theories and of the spectral bias, by model."""

    folder: Path
    task: Task
    eigenvalues: Floats
    multiplicities: NDArray[np.int64]
    optimum_factor: Floats | None
    optimum: Mapping[str, Any]
    models: list[ModelView]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rivals: Mapping[str, Any] = field(default_factory=dict)
    bias: Mapping[str, Any] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        return self.task.graph

    @property
    def seeds(self) -> list[int]:
        """Those of the first model; all have the same."""
        return self.models[0].seeds

    @cached_property
    def source(self) -> dict[str, Any]:
        """Where the numbers come from."""
        return source_of(self.folder, self.seeds)

    def centred(self, embedding: NDArray[np.floating]) -> Floats:
        """The embedding less the mean row of each component."""
        return centre_rows(np.asarray(embedding, dtype=np.float64), self.graph.component_labels)


def read_comparison(folder: Path) -> TaskView:
    """A finished comparison. Raises ValueError naming the file that is missing or damaged."""
    return view_of(read_comparison_folder(folder)[0])


def read_preset(folder: Path) -> list[TaskView]:
    """The comparisons of a finished preset, whose models have names of their own. Raises as ``read_comparison``."""
    return [view_of(part) for _, parts in read_preset_parts(folder)[1] for part in parts]


def view_of(comparison: Comparison) -> TaskView:
    """A comparison that was read from its folder."""
    assert comparison.folder is not None
    spaces = comparison.task.spaces
    models = [
        ModelView(
            one.model,
            one.settings,
            one.runs,
            scores_of_runs(one),
            one.predicted,
            one.mean_fit if one.predicted is not None else None,
            _spectrum(one.model, one.optimum, one.predicted),
        )
        for one in comparison.models
    ]
    folder, optimum = comparison.folder.path, comparison.optimum
    missing = [f"{one.model.title}: {one.no_flow}." for one in comparison.models if one.no_flow]
    if optimum is None:
        missing.insert(
            0, f"Scored {comparison.no_optimum}: `fiedler score {folder} --optimum` adds what is against it."
        )
    return TaskView(
        folder,
        comparison.task,
        spaces.eigenvalues,
        spaces.multiplicities,
        None if optimum is None else optimum.factor,
        {} if optimum is None else describe_optimum(optimum),
        models,
        (*missing, *_partial(comparison.task)),
        tuple(comparison_notes(comparison)),
        {one.model.name: one.rivals for one in comparison.models},
        _bias(comparison),
    )


def _bias(comparison: Comparison) -> Mapping[str, Any]:
    folder = comparison.folder
    if folder is None or not (folder.path / "scores.json").is_file():
        return {}
    return dict(folder.read_scores().get("spectral_bias", {}))


def read_run(folder: Path, search: Search = SEARCH, watch: Watch = UNWATCHED) -> TaskView:
    """One run of `fiedler train`. Its prediction is made now, for graphs up to PREDICTED_NODES, as far as the time
    limit of ``search`` allows; what is missing is named. Raises ValueError; Interrupted where ``watch`` asks to
    stop."""
    of_run = RunDir.open(folder)
    config, arrays = of_run.read_config(), of_run.read_modes()
    scores = [of_run.read_scores()] if (folder / "scores.json").is_file() else []
    task = read_task(config, arrays)
    model = get_model(config["model"], earlier=True)
    settings = read_settings(model, config["settings"])
    run = read_finished_run(of_run, model, settings, int(config["seed"]))
    predicted = fit = certified = None
    missing = _unscored(folder, scores)
    small = task.graph.n <= PREDICTED_NODES
    if small and not search.left_out(task.graph.n):
        certified = seek_optimum(task, own_decay(model, settings), search, watch)
    else:
        why = search.left_out(task.graph.n) or f"it is drawn up to {PREDICTED_NODES} nodes"
        missing.append(f"The optimum is not drawn: {why}.")
    if small:
        steps, limit = run.modes.steps, search.time_limit
        predicted, why = predicted_flow(task, model, settings, [run.seed], steps, limit, watch)
        missing += [f"{why[0].upper()}{why[1:]}: give `fiedler report {folder}` more with --time-limit."] if why else []
    else:
        missing.append(f"The predicted flow of one run is drawn up to {PREDICTED_NODES} nodes.")
    if predicted is not None:
        fit = fit_trajectory(predicted, run.modes, model.time_per_step(settings))
    view = ModelView(model, settings, (run,), scores, predicted, fit, _spectrum(model, certified, predicted))
    return TaskView(
        folder,
        task,
        arrays["eigenvalues"],
        arrays["multiplicities"],
        None if certified is None else certified.factor,
        {} if certified is None else describe_optimum(certified),
        [view],
        (*missing, *_partial(task)),
        tuple(model_notes(settings, scores, [float(run.modes.loss[-1])]) if scores else ()),
    )


def _unscored(folder: Path, scores: list[dict[str, Any]]) -> list[str]:
    if not scores:
        return [f"There are no scores yet: `fiedler score {folder}` makes them."]
    if "optimum_left_out" in scores[0]:
        return [f"Scored {scores[0]['optimum_left_out']}: `fiedler score {folder} --optimum` adds what is against it."]
    if "optimum_stopped_by" in scores[0]:
        gap, reach = scores[0]["optimum_relative_gap"], scores[0]["optimum_uncertainty"]
        known = (
            "that is not known to be near it (no bound on its duality gap), which leaves gram_error and gram_scale open"
            if gap is None or reach is None
            else f"with a relative duality gap of {gap:.1e}, which leaves about {reach:.1g} open in gram_error and "
            "gram_scale, and the rank open"
        )
        return [
            f"The scores are against a point of the search for the optimum {known}: `fiedler score {folder} "
            "--time-limit SECONDS` narrows it."
        ]
    return []


def _partial(task: Task) -> list[str]:
    if not task.partial_modes:
        return []
    return [f"Modes are those of the {LEADING_MODES} lowest eigenvalues: the graph has more than {DENSE_NODES} nodes."]


def _spectrum(model: Model, optimum: TiedOptimum | None, predicted: PredictedTrajectory | None) -> Floats:
    found = predicted_spectrum(model, optimum, predicted)
    return np.zeros(0) if found is None else found
