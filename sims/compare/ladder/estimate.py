"""How long a ladder's predictions will take, from the beginning of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ...models.registry import Model
from ...runs.control import Watch
from ...tasks.task import Task
from .prediction import predict_in_time

TRIED = 0.5  # seconds of each prediction that are timed


def prediction_seconds(task: Task, model: Model, settings: Any, seeds: Sequence[int], limit: float) -> float:
    """Of the predictions of all ``seeds``, at most ``limit``, after which they are left out. Descents have even steps;
    a flow's take longer as it goes on, so that a stiff one is estimated too low."""
    told, began = 0.0, time.monotonic()

    def hear(_: str, fraction: float) -> None:
        nonlocal told
        told = fraction

    answer = predict_in_time(task, model, settings, seeds, TRIED, watch=Watch(hear))
    spent = time.monotonic() - began
    if not isinstance(answer, str):
        return min(spent, limit)
    return min(spent / told, limit) if told > 0 else limit
