"""One model of a comparison: its prediction, its runs, their scores and their fits to the predicted trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fiedler.theory import TiedOptimum

from ..models.registry import Model
from ..predict.trajectory import PredictedTrajectory
from ..runs.engine import Run
from ..runs.recorder import Modes
from .trajectory_fit import TrajectoryFit


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """One model's prediction, its runs, and per run the scores and the trajectory fit, in the order of the
    seeds. ``mean_modes`` and ``mean_fit``: the same for the geometric mean over seeds, which figures draw. ``rivals``:
    what ``describe_rivals`` says of the final embeddings, in the order of the seeds. ``optimum`` and ``predicted`` are
    None where they were not found; ``no_flow`` says why there is no predicted flow."""

    model: Model
    settings: Any
    optimum: TiedOptimum | None
    predicted: PredictedTrajectory | None
    runs: tuple[Run, ...]
    scores: tuple[dict[str, Any], ...]
    fits: tuple[TrajectoryFit, ...]
    mean_modes: Modes
    mean_fit: TrajectoryFit
    rivals: list[dict[str, Any]]
    no_flow: str = ""
