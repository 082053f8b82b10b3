"""A comparison or one training run as it lies in its folder, read for the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Graph, centre_rows, parse

from ..files import folder_name
from ..graph_arrays import graph_of_arrays
from ..models import Model, get_model
from ..prediction import PredictedTrajectory, predict_trajectory
from ..recorder import Modes
from ..reference import reference_optimum
from ..rundir import RunDir
from ..scores import TrajectoryFit, fit_trajectory
from ..tasks import Task

Floats = NDArray[np.float64]

PREDICTED_NODES = 400  # a single run's prediction, which its folder does not hold, is made for graphs up to this size


@dataclass(frozen=True, eq=False)
class SeedView:
    """One seed's run: its final embedding (n, m) and what was kept of it on the way."""

    seed: int
    folder: Path
    embedding: Floats
    snapshot_steps: NDArray[np.int64]
    snapshots: NDArray[np.float32]
    whole: bool  # whether snapshots are whole embeddings, all in one orientation


@dataclass(frozen=True, eq=False)
class ModelView:
    """One model's runs beside its prediction. ``steps`` (k,); ``centred_energy`` (s, k, modes) and ``loss`` (s, k) of
    the seeds; ``scores`` of each; ``optimum_eigenvalues`` of the centred Gram matrix the runs are compared with.
    ``predicted``, ``fit``: None where there is no prediction."""

    model: Model
    settings: Any
    steps: NDArray[np.int64]
    centred_energy: Floats
    loss: Floats
    scores: list[dict[str, Any]]
    seeds: list[SeedView]
    predicted: PredictedTrajectory | None
    fit: TrajectoryFit | None
    optimum_eigenvalues: Floats

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
    scores: Mapping[str, Any]
    models: list[ModelView]

    @property
    def graph(self) -> Graph:
        return self.task.graph

    def centred(self, embedding: NDArray[np.floating]) -> Floats:
        """The embedding less the mean row of each component."""
        return centre_rows(np.asarray(embedding, dtype=np.float64), self.graph.component_labels)


def read_comparison(folder: Path) -> TaskView:
    """A finished comparison. Raises ValueError naming the file that is missing or damaged."""
    kept = RunDir.open(folder)
    config, arrays, scores = kept.read_config(), kept.read_modes(), kept.read_scores()
    task = _task(config, arrays)
    gram = arrays["optimum_gram"]
    models = []
    for name, given in config["models"].items():
        model = get_model(name)
        settings = _settings(model, given)
        entries = [entry for entry in scores["runs"] if entry["model"] == name]
        predicted = PredictedTrajectory(
            arrays[f"{name}/predicted_times"],
            arrays[f"{name}/predicted_energy"],
            arrays[f"{name}/predicted_centred_energy"],
            arrays[f"{name}/predicted_loss_per_node"],
            arrays.get(f"{name}/predicted_gram", np.zeros((0, 0))),
            *(arrays[key] for key in (f"{name}/position_times", f"{name}/positions") if key in arrays),
        )
        energy, loss = arrays[f"{name}/centred_energy"], arrays[f"{name}/loss_per_node"]
        seeds = [
            _seed(folder / "runs" / f"{folder_name(name)}-seed{seed}", int(seed)) for seed in arrays[f"{name}/seeds"]
        ]
        steps = arrays[f"{name}/steps"]
        models.append(
            ModelView(
                model,
                settings,
                steps,
                energy,
                loss,
                entries,
                seeds,
                predicted,
                _fit(predicted, steps, energy, loss, model.time_per_step(settings)),
                _compared_with(model, scores["optimum_of_model"][name], predicted, task.graph),
            )
        )
    return TaskView(
        folder, task, arrays["eigenvalues"], arrays["multiplicities"], gram, scores["optimum"], scores, models
    )


def read_run(folder: Path, report: Callable[[str, float], None]) -> TaskView:
    """One run of `fiedler train`. Its prediction is made now, for graphs up to PREDICTED_NODES. Raises ValueError."""
    kept = RunDir.open(folder)
    config, arrays = kept.read_config(), kept.read_modes()
    scores = kept.read_scores() if (folder / "scores.json").is_file() else {}
    task = _task(config, arrays)
    model = get_model(config["model"])
    settings = _settings(model, config["settings"])
    steps, energy, loss = arrays["steps"], arrays["centred_energy"][None], arrays["loss_per_node"][None]
    predicted = fit = gram = None
    optimum: dict[str, Any] = {}
    eigenvalues = np.zeros(0)
    if task.graph.n <= PREDICTED_NODES:
        from ..predictions_json import describe_optimum

        report("prediction", 0.0)
        found = reference_optimum(task)
        predicted = predict_trajectory(task, model, settings, steps)
        report("prediction", 1.0)
        fit = _fit(predicted, steps, energy, loss, model.time_per_step(settings))
        gram, optimum = found.gram, describe_optimum(found)
        eigenvalues = _compared_with(model, optimum, predicted, task.graph)
    entries = [scores] if scores else []
    seeds = [_seed(folder, int(config["seed"]))]
    view = ModelView(model, settings, steps, energy, loss, entries, seeds, predicted, fit, eigenvalues)
    return TaskView(folder, task, arrays["eigenvalues"], arrays["multiplicities"], gram, optimum, scores, [view])


def _task(config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Task:
    name = config["graph"]
    graph = graph_of_arrays(arrays, name) or parse(name)
    if graph.n != config["n"]:
        raise ValueError(f"{name} has {graph.n} nodes now and had {config['n']} when it was trained: restore the file")
    options = {key: config[key] for key in ("self_edges", "label_smoothing", "window", "p", "q")}
    return Task(graph, **options, edges=config.get("direction", "both"), weights=config.get("weights", "node"))


def _settings(model: Model, given: Mapping[str, Any]) -> Any:
    """The settings of config.json, less those that the model's name fixes."""
    return model.make_settings(**{name: value for name, value in given.items() if name not in model.fixed})


def _seed(folder: Path, seed: int) -> SeedView:
    kept = RunDir.open(folder)
    embedding = np.asarray(kept.read_embeddings()["embedding"], dtype=np.float64)
    arrays = kept.read_modes()
    steps = arrays.get("snapshot_steps", np.zeros(0, dtype=np.int64))
    shots = arrays.get("snapshots", np.zeros((0, 0, 0), dtype=np.float32))
    return SeedView(seed, folder, embedding, steps, shots, bool(arrays.get("snapshot_whole", False)))


def _fit(
    predicted: PredictedTrajectory, steps: NDArray[np.int64], energy: Floats, loss: Floats, clock: float | None
) -> TrajectoryFit:
    """As ``compare`` fits the geometric mean over seeds."""
    mean = np.exp(np.log(np.maximum(energy, np.finfo(np.float64).tiny)).mean(axis=0))
    return fit_trajectory(predicted, Modes(steps, mean, mean, loss.mean(axis=0)), clock)


def _compared_with(model: Model, optimum: Mapping[str, Any], predicted: PredictedTrajectory, graph: Graph) -> Floats:
    """Eigenvalues, descending, as ``prediction.predicted_gram`` has them: the optimum's, or of an untied model those of
    its flow at the last time."""
    if model.tied:
        return np.asarray(optimum["eigenvalues"], dtype=np.float64)
    if not predicted.gram.size:
        return np.zeros(0)
    half = centre_rows(predicted.gram, graph.component_labels)
    return np.asarray(np.linalg.eigvalsh(centre_rows(half.T, graph.component_labels))[::-1])
