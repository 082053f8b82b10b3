"""The optimum that trained embeddings are scored against."""

from __future__ import annotations

import numpy as np

from fiedler.theory import TiedOptimum, tied_optimum
from fiedler.theory.optimum.tied import arcs_on_cycles

from .tasks import Task

# Where there is no optimum without weight decay: its loss per node is then within 0.15 of the floor on the paper's tiny
# graphs; at a fifth of it within 0.03, after ten times as long.
REFERENCE_DECAY = 0.005


def reference_decay(task: Task) -> float:
    """Zero, or REFERENCE_DECAY for a task without an optimum there: edges of one direction that lie on no cycle (a
    path-star's or a grid's, forward), whose embeddings grow for ever (``theory.optimum``)."""
    weight = np.ones(task.graph.n) if task.row_weight is None else task.row_weight
    return 0.0 if not task.directed or arcs_on_cycles(task.target, weight) else REFERENCE_DECAY


def reference_optimum(task: Task, weight_decay: float = 0.0) -> TiedOptimum:
    """The certified tied optimum of ``task`` with ``weight_decay``, or, where that is zero, with ``reference_decay``:
    the result's ``weight_decay`` says which. Raises as ``theory.tied_optimum``."""
    decay = weight_decay if weight_decay > 0 else reference_decay(task)
    return tied_optimum(task.target, weight_decay=decay, row_weight=task.row_weight)
