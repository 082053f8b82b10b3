"""The certified tied optimum of a task by the cheaper of two routes: the blocks of the graph's symmetry, or densely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import TiedOptimum, graph_symmetry, reduced_tied_optimum, tied_optimum
from fiedler.theory.optimum.tied import EXACT, OPTIMUM_LIMIT, arcs_on_cycles, centre_gram
from fiedler.theory.routes.optimum import useful_symmetry
from fiedler.theory.symmetry.coherent import COLOURING_LIMIT

from .task import Task


def task_optimum(task: Task) -> TiedOptimum:
    """``reference_optimum`` of ``task``; for a connected graph with symmetry, such as a path-star of many arms, the
    same found on the symmetry's blocks in a fraction of the time.

    Raises ValueError for a graph of more than OPTIMUM_LIMIT nodes and as ``theory.tied_optimum``.
    """
    graph = task.graph
    if graph.n > OPTIMUM_LIMIT:
        raise ValueError(
            f"{graph.name} has {graph.n} nodes, and its optimum is found up to {OPTIMUM_LIMIT}: take a smaller graph"
        )
    plain = task.graph_target and graph.component_count == 1
    if not plain or graph.n > COLOURING_LIMIT or useful_symmetry(graph) is None:
        return reference_optimum(task)
    symmetry = graph_symmetry(graph, family=False)  # which lists the pairs of nodes
    assert symmetry is not None
    assert symmetry.colouring is not None
    given = symmetry.target(self_edges=task.self_edges, label_smoothing=task.label_smoothing)
    found = reduced_tied_optimum(symmetry.algebra, given)
    return TiedOptimum(
        factor=_factor(centre_gram(symmetry.expand(found.gram))),
        bias=np.asarray(found.bias[symmetry.colouring.node_type]),
        loss=found.loss,
        weight_decay=0.0,
        total_weight=found.total_weight,
        attained=found.attained,
        components=np.zeros(graph.n, dtype=np.int64),
        certificate=found.certificate,
        method=f"{found.method}: {symmetry.method}",
    )


def _factor(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    values, modes = np.linalg.eigh(gram)
    keep = values > EXACT * max(1.0, float(values[-1]))
    return np.asarray(modes[:, keep] * np.sqrt(values[keep]))[:, ::-1]


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
