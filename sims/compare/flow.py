"""The flow that a model's runs are held against: of the very net where its equations are known, else Node2Vec's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.neural_settings import NeuralSettings
from ..models.registry import Model
from ..predict.trajectory import PredictedTrajectory, follow_flow
from ..runs.control import UNWATCHED, Watch
from ..tasks.task import Task


def predicted_flow(
    task: Task,
    model: Model,
    settings: Any,
    seeds: Sequence[int],
    steps: NDArray[np.int64],
    time_limit: float,
    watch: Watch = UNWATCHED,
) -> tuple[PredictedTrajectory | None, str]:
    """Of the runs of ``seeds`` at the recorded ``steps``: the flow, or None and why there is none, see
    ``follow_own_flow`` and ``follow_flow``."""
    if isinstance(settings, NeuralSettings) and model.time_per_step(settings) is not None:
        from .ladder.own_flow import follow_own_flow  # which needs torch, where Node2Vec alone does not

        own = follow_own_flow(task, model, settings, seeds, steps, time_limit, watch)
        if own is not None:
            return own
    return follow_flow(task, model, settings, steps, time_limit, watch)
