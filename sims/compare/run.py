"""Prediction against runs: the graph's certified optimum and predicted flow beside every model, over seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import TiedOptimum

from ..models.registry import Model
from ..predict.describe import describe_optimum
from ..predict.rivals import describe_rivals
from ..predict.trajectory import PredictedTrajectory, predict_trajectory
from ..runs.control import AFRESH, UNWATCHED, Restart, Watch
from ..runs.engine import Run, check_seeds, run_seeds
from ..runs.folder import RunDir
from ..runs.graph_arrays import graph_arrays
from ..runs.opening import opened
from ..runs.recorder import log_spaced_steps
from ..runs.scored import score_final
from ..tasks.optimum import reference_optimum
from ..tasks.task import Task
from .comparison import Comparison, mean_of_runs, own_optimum, run_folder, scores_of_runs, summarise
from .model_comparison import ModelComparison
from .spectral_bias import describe_spectral_bias
from .trajectory_fit import fit_trajectory


def compare(
    task: Task,
    models: Sequence[tuple[Model, Any]],
    seeds: Sequence[int],
    *,
    out: Path | None = None,
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> Comparison:
    """Predict, train every (model, settings) pair over ``seeds``, score. Writes run folders, modes and scores.json
    under ``out``; ``compare.show.output.write_comparison`` adds figure and report.

    ``watch`` is told of each stage; ``restart``: see ``runs.engine.run_seeds``. Raises ValueError for repeated models
    or seeds, an output folder in use, or a task the theory refuses, before anything is trained.
    """
    names = [model.name for model, _ in models]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"models must be a non-empty list without repeats; got {', '.join(names) or 'none'}")
    check_seeds(seeds)
    config = {
        **task.describe(),
        "models": {model.name: dataclasses.asdict(settings) for model, settings in models},
        "seeds": list(seeds),
    }
    if task.graph.n < 2:
        raise ValueError(f"{task.graph.name} has one node, which leaves nothing to compare; use at least two")
    _ = task.target, task.spaces  # refuse an impossible task before the output folder is touched
    if out is None:
        return _compare(task, models, seeds, None, restart, watch)
    runs = [run_folder(out, model)(seed) for model, _ in models for seed in seeds]
    with opened(out, config, restart, runs=runs) as folder:
        comparison = _compare(task, models, seeds, folder, restart.inside, watch)
        _write(comparison, folder)
    return comparison


def _compare(
    task: Task,
    models: Sequence[tuple[Model, Any]],
    seeds: Sequence[int],
    folder: RunDir | None,
    restart: Restart,
    watch: Watch,
) -> Comparison:
    watch.report("optimum", 0.0)
    optimum = reference_optimum(task)
    watch.report("optimum", 1.0)
    done = []
    for model, settings in models:
        stage = f"{model.title} prediction"
        watch.report(stage, 0.0)
        predicted = predict_trajectory(task, model, settings, log_spaced_steps(settings.steps))
        own = own_optimum(task, model, settings, optimum)
        watch.report(stage, 1.0)
        place = None if folder is None else run_folder(folder.path, model)
        runs = run_seeds(task, model, settings, seeds, folder=place, restart=restart, watch=watch)
        done.append(_compare_model(task, model, settings, own, predicted, runs))
    return Comparison(task, optimum, tuple(done), folder)


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
    """scores.json of a comparison: the task, the optimum without weight decay (for a task that has none with the little
    that ``optimum_weight_decay`` says, see ``reference``) and the one each model is scored against, every run, per
    model mean and standard deviation over seeds (n - 1 in the denominator; null for one seed), and how far the runs are
    from rival predictions; the order and times of the modes against the predicted ones ("spectral_bias")."""
    runs = [entry for one in comparison.models for entry in scores_of_runs(one)]
    return {
        **comparison.task.describe(),
        **({"optimum_weight_decay": comparison.optimum.weight_decay} if comparison.optimum.weight_decay else {}),
        "optimum": describe_optimum(comparison.optimum),
        "optimum_of_model": {one.model.name: describe_optimum(one.optimum) for one in comparison.models},
        "runs": runs,
        "summary": {one.model.name: summarise(scores_of_runs(one)) for one in comparison.models},
        "rivals": {one.model.name: one.rivals for one in comparison.models},
        "spectral_bias": describe_spectral_bias(comparison.biases),
    }


def _compare_model(
    task: Task, model: Model, settings: Any, optimum: TiedOptimum, predicted: PredictedTrajectory, runs: list[Run]
) -> ModelComparison:
    clock = model.time_per_step(settings)
    mean = mean_of_runs(runs)
    return ModelComparison(
        model,
        settings,
        optimum,
        predicted,
        tuple(runs),
        tuple(score_final(run.final, task, optimum) for run in runs),
        tuple(fit_trajectory(predicted, run.modes, clock) for run in runs),
        mean,
        fit_trajectory(predicted, mean, clock),
        describe_rivals(task, optimum, [np.asarray(run.final.embedding, dtype=np.float64) for run in runs]),
    )


def _modes(comparison: Comparison) -> dict[str, NDArray[Any]]:
    spaces = comparison.task.spaces
    arrays: dict[str, NDArray[Any]] = {
        "eigenvalues": spaces.eigenvalues,
        "multiplicities": spaces.multiplicities,
        "optimum_gram": comparison.optimum.gram,
        **graph_arrays(comparison.task.graph),
    }
    for one in comparison.models:
        name = one.model.name
        arrays[f"{name}/predicted_times"] = one.predicted.times
        arrays[f"{name}/predicted_energy"] = one.predicted.energy
        arrays[f"{name}/predicted_centred_energy"] = one.predicted.centred_energy
        arrays[f"{name}/predicted_loss_per_node"] = one.predicted.loss
        arrays[f"{name}/predicted_gram"] = one.predicted.gram
        arrays[f"{name}/position_times"] = one.predicted.position_times
        arrays[f"{name}/positions"] = one.predicted.positions
        arrays[f"{name}/steps"] = one.mean_modes.steps
        arrays[f"{name}/seeds"] = np.array([run.seed for run in one.runs])
        arrays[f"{name}/centred_energy"] = np.array([run.modes.centred_energy for run in one.runs])
        arrays[f"{name}/energy"] = np.array([run.modes.energy for run in one.runs])
        arrays[f"{name}/loss_per_node"] = np.array([run.modes.loss for run in one.runs])
    return arrays
