"""A finished comparison of one task: each model's prediction, runs, scores and fits; summaries over seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiedler.theory import TiedOptimum

from ..disk.files import folder_name
from ..models.registry import Model
from ..runs.engine import Run
from ..runs.folder import RunDir
from ..runs.recorder import Modes
from ..scores.statistics import first_step, mean, standard_deviation
from ..tasks.task import Task
from .at_time import of_one_start
from .model_comparison import ModelComparison
from .spectral_bias import ModelBias, spectral_biases

Floats = NDArray[np.float64]

# What a summary averages over seeds; the rest of a run's scores are lists.
SUMMARISED = (
    "loss_per_node",
    "gram_error",
    "gram_error_at_time",
    "predicted_loss_per_node",
    "predicted_gram_error",
    "predicted_fiedler_score",
    "predicted_effective_rank",
    "gram_scale",
    "fiedler_score",
    "effective_rank",
    "geometric_level",
    "geometric_level_centred",
    "edge_recall",
    "trajectory_rms_log10",
)


OF_FLOW = {name for name in SUMMARISED if name.startswith("predicted_")} | {"gram_error_at_time"}


@dataclass(frozen=True, eq=False)
class Comparison:
    """A finished comparison of one task; ``folder`` is None when nothing was kept. ``parts``: the comparisons whose
    models are shown together here, each of a task of its own; none otherwise. ``optimum``: without weight decay, or
    with the first model's where every model has some; None where it was left out, for the reason ``no_optimum``."""

    task: Task
    optimum: TiedOptimum | None
    models: tuple[ModelComparison, ...]
    folder: RunDir | None
    parts: tuple[Comparison, ...] = ()
    no_optimum: str = ""

    @property
    def certified(self) -> TiedOptimum:
        """The optimum. Raises ValueError where it was left out."""
        if self.optimum is None:
            raise ValueError(
                f"{self.task.title} was compared {self.no_optimum}, which this needs: compare it with --optimum"
            )
        return self.optimum

    @cached_property
    def biases(self) -> tuple[ModelBias, ...]:
        """The spectral bias of every model, as ``spectral_biases`` scores it: seconds of work, done when asked for."""
        if not self.parts:
            return spectral_biases(self.task, self.models)
        order = [compared.model.name for compared in self.models]
        biases = [bias for part in self.parts for bias in part.biases]  # each part against its own flows
        return tuple(sorted(biases, key=lambda bias: order.index(bias.compared.model.name)))


def scores_of_runs(compared: ModelComparison) -> list[dict[str, Any]]:
    """Per run: model, seed, loss, every score and the trajectory fit, as scores.json holds them."""
    return [
        {
            "model": compared.model.name,
            "seed": run.seed,
            "loss_per_node": float(run.modes.loss[-1]),
            **scores,
            "trajectory_fit": dataclasses.asdict(fit),
        }
        for run, scores, fit in zip(compared.runs, compared.scores, compared.fits, strict=True)
    ]


def summarise(entries: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation over seeds of the scalar scores; of those against the flow, ``of_one_start``."""
    summary: dict[str, dict[str, float | None]] = {}
    of_flow = of_one_start(entries)
    for name in SUMMARISED:
        used = of_flow if name in OF_FLOW else entries
        values = [e["trajectory_fit"]["rms_log10"] if name == "trajectory_rms_log10" else e.get(name) for e in used]
        numbers = [float("nan") if value is None else value for value in values]  # None: without the optimum
        summary[name] = {"mean": mean(numbers), "std": standard_deviation(numbers)}
    return summary


def mean_of_runs(runs: Sequence[Run]) -> Modes:
    """The geometric mean over seeds of the energies, the mean of the losses."""
    return Modes(
        runs[0].modes.steps,
        geometric_mean([run.modes.energy for run in runs]),
        geometric_mean([run.modes.centred_energy for run in runs]),
        np.mean([run.modes.loss for run in runs], axis=0),
    )


def geometric_mean(arrays: ArrayLike) -> Floats:
    """Over the first axis of ``arrays`` (seeds, ...); what is zero counts as the smallest positive number."""
    logs = np.log(np.maximum(np.array(arrays), np.finfo(np.float64).tiny))
    return np.asarray(np.exp(logs.mean(axis=0)))


def run_folder(root: Path, model: Model) -> Callable[[int], Path]:
    """Where a comparison in ``root`` keeps the run of ``model`` with each seed."""
    return lambda seed: root / "runs" / f"{folder_name(model.name)}-seed{seed}"


def recall_step(run: Any) -> float | None:
    """The first recorded step at which every edge is recalled, infinity where it never is; None if not recorded."""
    recall = run.modes.edge_recall
    if recall is None:
        return None
    return first_step(run.modes.steps, recall >= 1.0)
