"""How a task's infimum is approached where it is not attained: the law, and the integrated flow it is the limit of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import (
    DriftLaw,
    GraphOptimum,
    TiedOptimum,
    drift_law,
    graph_drift_law,
    graph_flow,
    graph_optimum,
    target_flow,
    target_optimum,
)

from ..tasks.task import Task

Floats = NDArray[np.float64]

DRIFT_TIMES = (1e2, 1e4, 1e6)  # at which `fiedler theory` shows the law


def one_hop_options(task: Task) -> dict[str, Any]:
    return {"self_edges": task.self_edges, "label_smoothing": task.label_smoothing}


def task_drift(task: Task, optimum: GraphOptimum | TiedOptimum) -> DriftLaw | None:
    """The drift law of ``task`` and its optimum, None where nothing drifts (``theory.optimum.drift``): ``law.gap(t)``
    is how far above its infimum the loss of a run of time t, learning rate times steps, must still be."""
    detail = optimum if isinstance(optimum, TiedOptimum) else optimum.detail
    if isinstance(optimum, GraphOptimum) and task.graph_target:
        return graph_drift_law(task.graph, optimum=optimum, **one_hop_options(task))
    if not isinstance(detail, TiedOptimum):
        return None
    return drift_law(detail, task.target, row_weight=task.row_weight)


def describe_drift(law: DriftLaw | None, until: float | None = None) -> dict[str, Any] | None:
    """kappa, and at DRIFT_TIMES and ``until`` the loss per node above the infimum and the length of the mean vector;
    None where it is attained."""
    if law is None:
        return None
    times = sorted({*DRIFT_TIMES, *(() if until is None else (float(until),))})
    return {
        "kappa": law.kappa,
        "points": [
            {"time": t, "gap_per_node": float(law.gap_per_node(t)), "mean_norm": float(law.mean_norm(t))} for t in times
        ],
    }


def drift_of_the_flow(task: Task, times: Sequence[float] | Floats, init_scale: float) -> tuple[DriftLaw | None, Floats]:
    """The law, and the loss per node of the tied flow without decay from K(0) = s^2 I above its infimum at ``times``.
    The second is empty where there is no law."""
    if task.graph_target:
        optimum = graph_optimum(task.graph, **one_hop_options(task))
    else:
        optimum = target_optimum(task.target, row_weight=task.row_weight)
    law = task_drift(task, optimum)
    if law is None:
        return None, np.zeros(0)
    if task.graph_target:
        flow = graph_flow(task.graph, times, init_scale=init_scale, **one_hop_options(task))
    else:
        flow = target_flow(task.target, times, init_scale=init_scale, row_weight=task.row_weight)
    return law, np.asarray(flow.loss_per_node - optimum.loss_per_node)
