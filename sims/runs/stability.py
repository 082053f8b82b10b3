"""Whether a run's step size is below the edge of stability, at the states it recorded (``theory.flow.curvature``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import sharpness

from ..models.node2vec import Node2VecSettings
from ..tasks.task import Task
from .engine import Run

Floats = NDArray[np.float64]

SHARPNESS_NODES = 1000  # above, the products of n x n matrices take longer than the warning is worth
STATES = 3  # recorded embeddings looked at beside the last


def describe_stability(task: Task, run: Run, flow: Floats | None = None) -> dict[str, Any]:
    """``sharpness``, the largest curvature of the training objective at the last state of a Node2Vec run and, where
    whole tied embeddings were recorded, at some before it; ``sharpness_step``: where that was; ``flow_sharpness``: at
    ``flow`` (n, r), the tied flow at the run's time, which a run that oscillates never sees; ``stable_learning_rate``:
    2 over the larger of the two; ``loss_rise``: how far the recorded loss per node came to lie above an earlier one.
    Empty for other models, whose Hessian this is not, and for more than SHARPNESS_NODES nodes."""
    settings, final = run.settings, run.final
    if not isinstance(settings, Node2VecSettings) or task.graph.n > SHARPNESS_NODES:
        return {}
    if not np.isfinite(final.embedding).all():
        return {}
    states = [(settings.steps, final.embedding, None if settings.tied else final.context)]
    steps, shots = run.modes.snapshot_steps, run.modes.snapshots
    if settings.tied and steps is not None and shots is not None and run.modes.snapshot_whole:
        chosen = np.unique(np.linspace(0, len(steps) - 1, STATES + 2).astype(int))[1:-1]
        states += [(int(steps[i]), shots[i], None) for i in chosen]
    options: dict[str, Any] = {"weight_decay": settings.weight_decay, "row_weight": task.row_weight}
    found = [(sharpness(task.target, v, context=u, **options), step) for step, v, u in states]
    largest, step = max(found)
    of_flow = {} if flow is None else {"flow_sharpness": sharpness(task.target, flow, **options)}
    loss, most = run.modes.loss, max(largest, *of_flow.values(), 0.0)
    return {
        "sharpness": largest,
        "sharpness_step": step,
        **of_flow,
        "stable_learning_rate": 2 / most if most > 0 else None,
        "loss_rise": float((loss - np.minimum.accumulate(loss)).max()),
    }


def stability_warning(scores: Mapping[str, Any], learning_rate: float) -> str:
    """What is to be said of a run whose step was above the edge of stability; empty where it was below."""
    limit = scores.get("stable_learning_rate")
    if limit is None or not learning_rate > limit:
        return ""
    rise = scores.get("loss_rise") or 0.0
    largest, where = scores["sharpness"], f"at step {scores['sharpness_step']}"
    if (scores.get("flow_sharpness") or 0.0) > largest:
        largest, where = scores["flow_sharpness"], "where the flow is at the run's time"
    risen = f"; its loss per node rose by up to {rise:.2g} on the way" if rise > 0 else ""
    return (
        f"the learning rate {learning_rate:g} is above the edge of stability, 2 / sharpness = {limit:.3g} (sharpness "
        f"{largest:.4g} {where}){risen}. Gradient descent then oscillates and does not follow the "
        f"flow: give --learning-rate below {floor_digits(limit):g}"
    )


def floor_digits(value: float, digits: int = 2) -> float:
    """``value`` > 0 rounded down to so many digits."""
    unit = 10.0 ** (np.floor(np.log10(value)) - digits + 1)
    return float(f"{np.floor(value / unit) * unit:.{digits}g}")
