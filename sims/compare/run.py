"""Prediction against runs: the graph's certified optimum and predicted flow beside every model, over seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import TiedOptimum

from ..models.registry import Model
from ..predict.describe import describe_optimum
from ..predict.rivals import describe_rivals
from ..predict.trajectory import PredictedTrajectory
from ..runs.control import AFRESH, UNWATCHED, Restart, Watch
from ..runs.engine import Run, check_seeds, run_seeds
from ..runs.folder import RunDir
from ..runs.graph_arrays import graph_arrays
from ..runs.opening import opened
from ..runs.recorder import log_spaced_steps
from ..runs.scored import own_decay, saved_run, score_final
from ..runs.seeking import seek_optimum
from ..runs.stopping import heeding
from ..tasks.memory import check_pairs
from ..tasks.search import SEARCH, Search
from ..tasks.task import DENSE_NODES, Task
from .at_time import AtTime
from .comparison import Comparison, mean_of_runs, run_folder, scores_of_runs, summarise
from .flow import predicted_flow
from .model_comparison import ModelComparison
from .spectral_bias import describe_spectral_bias
from .trajectory_fit import fit_trajectory

NOT_FOLLOWED = "no predicted flow here: the ladder follows the model's own"


def compare(
    task: Task,
    models: Sequence[tuple[Model, Any]],
    seeds: Sequence[int],
    *,
    out: Path | None = None,
    restart: Restart = AFRESH,
    search: Search = SEARCH,
    follow: bool = True,
    watch: Watch = UNWATCHED,
) -> Comparison:
    """Train every (model, settings) pair over ``seeds``, predict, score. Writes run folders, modes and scores.json
    under ``out``; ``compare.show.output.write_comparison`` adds figure and report. ``search``: how far the optima, and
    for how long the predicted flows, are followed; what it leaves out is None in the result. ``follow``: False leaves
    the flows out, for one who predicts every run himself.

    ``watch`` is told of each stage; ``restart``: see ``runs.engine.run_seeds``. Raises ValueError for repeated models
    or seeds, an output folder in use, or a task the theory refuses, before anything is trained.
    """
    config = comparison_config(task, models, seeds)
    heeding(watch.stop, lambda: task.spaces)
    if out is None:
        return _compare(task, models, seeds, None, restart, search, follow, watch)
    with opened(out, config, restart, runs=run_folders(out, models, seeds)) as folder:
        comparison = _compare(task, models, seeds, folder, restart.inside, search, follow, watch)
        _write(comparison, folder)
    return comparison


def comparison_config(task: Task, models: Sequence[tuple[Model, Any]], seeds: Sequence[int]) -> dict[str, Any]:
    """What config.json says of a comparison. Raises ValueError where it cannot be made, see ``compare``."""
    names = [model.name for model, _ in models]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"models must be a non-empty list without repeats; got {', '.join(names) or 'none'}")
    check_seeds(seeds)
    if task.graph.n < 2:
        raise ValueError(f"{task.graph.name} has one node, which leaves nothing to compare; use at least two")
    _ = task.solver_target, task.row_weight  # refuse an impossible task before the output folder is touched
    check_pairs(
        task.graph.n, 3 + len(models) * len(seeds), f"comparing models on {task.graph.name}"
    )  # every run's logits
    return {
        **task.describe(),
        "models": {model.name: dataclasses.asdict(settings) for model, settings in models},
        "seeds": list(seeds),
    }


def run_folders(out: Path, models: Sequence[tuple[Model, Any]], seeds: Sequence[int]) -> list[Path]:
    """Where the runs of a comparison in ``out`` are."""
    return [run_folder(out, model)(seed) for model, _ in models for seed in seeds]


def _compare(
    task: Task,
    models: Sequence[tuple[Model, Any]],
    seeds: Sequence[int],
    folder: RunDir | None,
    restart: Restart,
    search: Search,
    follow: bool,
    watch: Watch,
) -> Comparison:
    trained = []
    for model, settings in models:
        place = None if folder is None else run_folder(folder.path, model)
        trained.append(run_seeds(task, model, settings, seeds, folder=place, restart=restart, watch=watch))
    with nullcontext() if folder is None else saved_run(folder.path):
        decays = [own_decay(model, settings) for model, settings in models]
        base = 0.0 if 0.0 in decays else decays[0]
        optima = {decay: seek_optimum(task, decay, search, watch) for decay in dict.fromkeys([base, *decays])}
        done = []
        for (model, settings), decay, runs in zip(models, decays, trained, strict=True):
            steps = log_spaced_steps(settings.steps)
            limit = search.time_limit
            flow = predicted_flow(task, model, settings, seeds, steps, limit, watch) if follow else (None, NOT_FOLLOWED)
            done.append(_compare_model(task, model, settings, optima[decay], flow, runs, decay, limit, watch))
    return Comparison(task, optima[base], tuple(done), folder, no_optimum=search.left_out(task.graph.n))


def _write(comparison: Comparison, folder: RunDir) -> None:
    """Every run's scores.json, and modes.npz and scores.json of them all."""
    for one in comparison.models:
        for run, scores in zip(one.runs, scores_of_runs(one), strict=True):
            of_seed = RunDir.open(run_folder(folder.path, one.model)(run.seed))
            of_seed.write_scores(scores)
            of_seed.seal()
    folder.write_modes(**_modes(comparison))
    folder.write_scores(describe_comparison(comparison))
    folder.seal()


def describe_comparison(comparison: Comparison) -> dict[str, Any]:
    """scores.json of a comparison: the task, the optimum without weight decay (with that of ``optimum_weight_decay``
    for a task that has none without, see ``reference``, and where every model has some) and the one each model is
    scored against, null where ``optimum_left_out`` says why; ``flow_left_out``: why a model has no predicted flow;
    every run, per model mean and standard deviation over seeds (n - 1 in the denominator; null for one seed), and how
    far the runs are from rival predictions; the order and times of the modes against the predicted ones
    ("spectral_bias")."""
    runs = [entry for one in comparison.models for entry in scores_of_runs(one)]
    optimum = comparison.optimum
    no_flow = {one.model.name: one.no_flow for one in comparison.models if one.no_flow}
    return {
        **comparison.task.describe(),
        **({"optimum_weight_decay": optimum.weight_decay} if optimum is not None and optimum.weight_decay else {}),
        **({"optimum_left_out": comparison.no_optimum} if optimum is None else {}),
        **({"flow_left_out": no_flow} if no_flow else {}),
        "optimum": None if optimum is None else describe_optimum(optimum),
        "optimum_of_model": {
            one.model.name: None if one.optimum is None else describe_optimum(one.optimum) for one in comparison.models
        },
        "runs": runs,
        "summary": {one.model.name: summarise(scores_of_runs(one)) for one in comparison.models},
        "rivals": {one.model.name: one.rivals for one in comparison.models},
        "spectral_bias": describe_spectral_bias(comparison.biases),
    }


def _compare_model(
    task: Task,
    model: Model,
    settings: Any,
    optimum: TiedOptimum | None,
    flow: tuple[PredictedTrajectory | None, str],
    runs: list[Run],
    decay: float,
    time_limit: float,
    watch: Watch,
) -> ModelComparison:
    clock, mean, (predicted, no_flow) = model.time_per_step(settings), mean_of_runs(runs), flow
    stage = f"{model.title} scores"
    watch.report(stage, 0.0)
    scores = [heeding(watch.stop, partial(score_final, run.final, task, optimum, decay)) for run in runs]
    final = [np.asarray(run.final.embedding, dtype=np.float64) for run in runs]
    rivals = []
    if optimum is not None and task.graph.n <= DENSE_NODES:  # theirs are matrices of all pairs of nodes
        rivals = heeding(watch.stop, lambda: describe_rivals(task, optimum, final))
    watch.report(stage, 1.0)
    at_time = AtTime(task, optimum, decay, time_limit, predicted, watch)
    scores = [{**found, **at_time.describe(run)} for found, run in zip(scores, runs, strict=True)]
    return ModelComparison(
        model,
        settings,
        optimum,
        predicted,
        tuple(runs),
        tuple(scores),
        tuple(fit_trajectory(predicted, run.modes, clock) for run in runs),
        mean,
        fit_trajectory(predicted, mean, clock),
        rivals,
        no_flow,
    )


def _modes(comparison: Comparison) -> dict[str, NDArray[Any]]:
    spaces = comparison.task.spaces
    arrays: dict[str, NDArray[Any]] = {
        "eigenvalues": spaces.eigenvalues,
        "multiplicities": spaces.multiplicities,
        **graph_arrays(comparison.task.graph),
    }
    if comparison.optimum is not None:
        arrays["optimum_factor"] = comparison.optimum.factor
    for one in comparison.models:
        name = one.model.name
        if one.optimum is not None and one.optimum is not comparison.optimum:
            arrays[f"{name}/optimum_factor"] = one.optimum.factor
        if one.predicted is not None:
            arrays[f"{name}/predicted_times"] = one.predicted.times
            arrays[f"{name}/predicted_energy"] = one.predicted.energy
            arrays[f"{name}/predicted_centred_energy"] = one.predicted.centred_energy
            arrays[f"{name}/predicted_loss_per_node"] = one.predicted.loss
            arrays[f"{name}/predicted_gram"] = one.predicted.gram
            arrays[f"{name}/predicted_own"] = np.array(one.predicted.own)
            arrays[f"{name}/position_times"] = one.predicted.position_times
            arrays[f"{name}/positions"] = one.predicted.positions
        arrays[f"{name}/steps"] = one.mean_modes.steps
        arrays[f"{name}/seeds"] = np.array([run.seed for run in one.runs])
        arrays[f"{name}/centred_energy"] = np.array([run.modes.centred_energy for run in one.runs])
        arrays[f"{name}/energy"] = np.array([run.modes.energy for run in one.runs])
        arrays[f"{name}/loss_per_node"] = np.array([run.modes.loss for run in one.runs])
    return arrays
