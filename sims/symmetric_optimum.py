"""The certified tied optimum of a task by the cheaper of two routes: the blocks of the graph's symmetry, or densely."""

from __future__ import annotations

import numpy as np

from fiedler.theory import TiedOptimum, graph_symmetry, reduced_tied_optimum
from fiedler.theory.optimum.tied import OPTIMUM_LIMIT, centre_gram
from fiedler.theory.routes.optimum import useful_symmetry
from fiedler.theory.symmetry.coherent import COLOURING_LIMIT

from .reference import reference_optimum
from .tasks import Task


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
        gram=centre_gram(symmetry.expand(found.gram)),
        bias=np.asarray(found.bias[symmetry.colouring.node_type]),
        loss=found.loss,
        weight_decay=0.0,
        total_weight=found.total_weight,
        attained=found.attained,
        components=np.zeros(graph.n, dtype=np.int64),
        certificate=found.certificate,
        method=f"{found.method}: {symmetry.method}",
    )
