"""A comparison or one training run as it lies in its folder, in the form the page's sections share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Graph, centre_rows

from ..compare.comparison import Comparison, scores_of_runs
from ..compare.folder import read_comparison as read_comparison_folder
from ..compare.folder import read_finished_run, read_settings, read_task
from ..compare.presets.folder import read_preset_parts
from ..compare.trajectory_fit import TrajectoryFit, fit_trajectory
from ..draw.sources import source_of
from ..models.registry import Model, get_model
from ..predict.describe import describe_optimum
from ..predict.trajectory import PredictedTrajectory, predict_trajectory, predicted_gram
from ..runs.engine import Run
from ..runs.folder import RunDir
from ..tasks.optimum import reference_optimum
from ..tasks.task import Task

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
    """A task and the models trained on it. ``optimum_gram`` (n, n): K of the certified optimum, None where it was not
    made; ``optimum``: what scores.json says of it."""

    folder: Path
    task: Task
    eigenvalues: Floats
    multiplicities: NDArray[np.int64]
    optimum_gram: Floats | None
    optimum: Mapping[str, Any]
    models: list[ModelView]

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
            one.mean_fit,
            _descending(predicted_gram(one.model, one.optimum, one.predicted)),
        )
        for one in comparison.models
    ]
    return TaskView(
        comparison.folder.path,
        comparison.task,
        spaces.eigenvalues,
        spaces.multiplicities,
        comparison.optimum.gram,
        describe_optimum(comparison.optimum),
        models,
    )


def read_run(folder: Path, report: Callable[[str, float], None]) -> TaskView:
    """One run of `fiedler train`. Its prediction is made now, for graphs up to PREDICTED_NODES. Raises ValueError."""
    of_run = RunDir.open(folder)
    config, arrays = of_run.read_config(), of_run.read_modes()
    scores = [of_run.read_scores()] if (folder / "scores.json").is_file() else []
    task = read_task(config, arrays)
    model = get_model(config["model"])
    settings = read_settings(model, config["settings"])
    run = read_finished_run(of_run, model, settings, int(config["seed"]))
    predicted = fit = gram = None
    optimum: dict[str, Any] = {}
    eigenvalues = np.zeros(0)
    if task.graph.n <= PREDICTED_NODES:
        report("prediction", 0.0)
        certified = reference_optimum(task)
        predicted = predict_trajectory(task, model, settings, run.modes.steps)
        fit = fit_trajectory(predicted, run.modes, model.time_per_step(settings))
        gram, optimum = certified.gram, describe_optimum(certified)
        eigenvalues = _descending(predicted_gram(model, certified, predicted))
        report("prediction", 1.0)
    view = ModelView(model, settings, (run,), scores, predicted, fit, eigenvalues)
    return TaskView(folder, task, arrays["eigenvalues"], arrays["multiplicities"], gram, optimum, [view])


def _descending(gram: Floats) -> Floats:
    return np.asarray(np.linalg.eigvalsh(gram)[::-1])
