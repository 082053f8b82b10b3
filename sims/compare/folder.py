"""A finished comparison, or a preset of them, read from its folder: nothing is trained, scored or written again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Certificate, TiedOptimum, parse

from ..draw.sources import Source, Unsuitable, open_run, source_of_run
from ..models.protocol import Final
from ..models.registry import Model, get_model
from ..predict.trajectory import PredictedTrajectory, predict_trajectory
from ..runs.engine import Run
from ..runs.folder import RunDir
from ..runs.graph_arrays import graph_of_arrays
from ..runs.recorder import Modes, log_spaced_steps
from ..runs.scored import own_decay
from ..tasks.optimum import gram_factor, reference_optimum
from ..tasks.task import Task
from .comparison import Comparison, mean_of_runs, run_folder
from .model_comparison import ModelComparison
from .trajectory_fit import TrajectoryFit, fit_trajectory

COMPARISON = "the folder of a `fiedler compare GRAPH`"


def read_comparison(path: Path) -> tuple[Comparison, Source]:
    """The comparison that ``fiedler compare GRAPH`` left in ``path``. Raises Unsuitable for any other folder,
    ValueError for a damaged one."""
    folder, config = open_run(path, ("graph", "models", "seeds"), COMPARISON)
    models = [get_model(word, earlier=True) for word in config["models"]]
    return comparison_from(folder, config, models), source_of_run(folder)


def read_task(config: Mapping[str, Any], modes: Mapping[str, NDArray[Any]]) -> Task:
    """The task of a run's config. The graph is the one kept with the run, or, in folders of earlier versions, the one
    its word names. Raises ValueError where that is another graph by now."""
    graph = graph_of_arrays(modes, config["graph"])
    graph = parse(config["graph"]) if graph is None else graph
    if (graph.n, graph.edge_count) != (config["n"], config["edges"]):
        raise ValueError(
            f"{config['graph']} has {graph.n} nodes and {graph.edge_count} edges now, {config['n']} and "
            f"{config['edges']} when it was run: give the graph's file as it was"
        )
    return Task.from_description(graph, config)


def read_settings(model: Model, stored: Mapping[str, Any]) -> Any:
    """The settings a run was made with. Raises ValueError where this version of the model does not know one."""
    try:
        return model.settings(**stored)
    except TypeError as error:
        raise ValueError(f"the settings {dict(stored)} are not those of {model.name} in this version") from error


def comparison_from(folder: RunDir, config: Mapping[str, Any], models: Sequence[Model]) -> Comparison:
    modes, scores = folder.read_modes(), folder.read_scores()
    task = read_task(config, modes)
    optimum = None if scores["optimum"] is None else _optimum(
        task, _factor(modes), scores["optimum"], float(scores.get("optimum_weight_decay", 0.0))
    )  # fmt: skip
    for model in models:
        if model.name not in config["models"]:
            raise Unsuitable(f"{folder.path} has no runs of {model.name}")
    compared = tuple(_read_model(folder, config, model, task, optimum, modes, scores) for model in models)
    return Comparison(task, optimum, compared, folder, no_optimum=scores.get("optimum_left_out", ""))


def _read_model(
    folder: RunDir,
    config: Mapping[str, Any],
    model: Model,
    task: Task,
    optimum: TiedOptimum | None,
    modes: Mapping[str, NDArray[Any]],
    scores: Mapping[str, Any],
) -> ModelComparison:
    settings = read_settings(model, config["models"][model.name])
    runs = [read_finished_run(RunDir.open(run_folder(folder.path, model)(seed)), model, settings, seed)
            for seed in config["seeds"]]  # fmt: skip
    predicted = _predicted(task, model, settings, modes)
    entries = [entry for entry in scores["runs"] if entry["model"] == model.name]
    mean = mean_of_runs(runs)
    own, decay = optimum, own_decay(model, settings)
    if optimum is not None and decay > 0 and decay != optimum.weight_decay:
        described = scores["optimum_of_model"][model.name]
        if f"{model.name}/optimum_factor" in modes:
            own = _optimum(task, modes[f"{model.name}/optimum_factor"], described, decay)
        else:  # a folder of an earlier version
            own = reference_optimum(task, decay)
    return ModelComparison(
        model,
        settings,
        own,
        predicted,
        tuple(runs),
        tuple({name: _known(value) for name, value in entry.items() if name not in ("model", "seed", "loss_per_node",
               "trajectory_fit")} for entry in entries),
        tuple(_fit(entry["trajectory_fit"]) for entry in entries),
        mean,
        fit_trajectory(predicted, mean, model.time_per_step(settings)),
        scores.get("rivals", {}).get(model.name, []),
        scores.get("flow_left_out", {}).get(model.name, ""),
    )  # fmt: skip


def _predicted(
    task: Task, model: Model, settings: Any, modes: Mapping[str, NDArray[Any]]
) -> PredictedTrajectory | None:
    """As it is kept, None where it was left out. Folders of earlier versions lack the last Gram matrix, which figures
    ask for of untied models alone: there the flow is followed again."""
    name = model.name
    if f"{name}/predicted_times" not in modes:
        return None
    if f"{name}/predicted_gram" not in modes and not model.tied:
        return predict_trajectory(task, model, settings, log_spaced_steps(settings.steps))
    n = task.graph.n
    return PredictedTrajectory(
        modes[f"{name}/predicted_times"],
        modes[f"{name}/predicted_energy"],
        modes[f"{name}/predicted_centred_energy"],
        modes[f"{name}/predicted_loss_per_node"],
        modes.get(f"{name}/predicted_gram", np.full((n, n), np.nan)),
        **{key: modes[f"{name}/{key}"] for key in ("position_times", "positions") if f"{name}/{key}" in modes},
        own=bool(modes.get(f"{name}/predicted_own", False)),
    )


def read_finished_run(folder: RunDir, model: Model, settings: Any, seed: int) -> Run:
    """One seed, as its folder keeps it; what no folder holds, its logits, is NaN."""
    arrays, matrices = folder.read_modes(), folder.read_embeddings()
    modes = Modes(
        arrays["steps"],
        arrays["energy"],
        arrays["centred_energy"],
        arrays["loss_per_node"],
        arrays.get("edge_recall"),
        arrays.get("geometric_level"),
        *(arrays.get(name) for name in ("snapshot_steps", "snapshots", "snapshot_whole")),
    )
    n = len(matrices["embedding"])
    logits = np.full((n, n), np.nan)  # not kept, and drawn nowhere
    return Run(model, settings, seed, modes, Final(matrices["embedding"], matrices.get("context"), logits,
               matrices.get("inner")))  # fmt: skip


def _factor(modes: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Of the Gram matrix that is kept; folders of earlier versions hold the matrix itself."""
    if "optimum_factor" in modes:
        return np.asarray(modes["optimum_factor"])
    return gram_factor(modes["optimum_gram"])


def _optimum(task: Task, factor: NDArray[np.float64], stored: Mapping[str, Any], decay: float) -> TiedOptimum:
    """As it is kept, but for the bias, which no folder holds (NaN)."""
    components = task.graph.component_labels if decay == 0 else np.zeros(task.graph.n, dtype=np.int64)
    certificate = Certificate(*(_known(stored["certificate"][name]) for name in ("max_violation", "duality_gap")))
    stopped = stored.get("stopped_by", "")
    return TiedOptimum(
        factor,
        bias=np.full(task.graph.n, np.nan),
        loss=stored["loss_per_node"] * task.total_weight,
        weight_decay=decay,
        total_weight=task.total_weight,
        attained=bool(stored["attained"]),
        components=np.asarray(components, dtype=np.int64),
        certificate=certificate,
        method=stored["method"],
        tolerance=stored.get("tolerance", 0.0),
        converged=not stopped,
        stopped_by=stopped or "tolerance",
    )


def _fit(stored: Mapping[str, Any]) -> TrajectoryFit:
    values: dict[str, Any] = {name: tuple(v) if name == "fitted" else _known(v) for name, v in stored.items()}
    return TrajectoryFit(**values)


def _known(value: Any) -> Any:
    """JSON writes NaN as null."""
    return float("nan") if value is None else value
