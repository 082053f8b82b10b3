"""What the functions of ``fiedler`` are given, as the tasks and searches that the commands make of their words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import as_graph
from fiedler.theory.checks import check_matrix

from ..suggest import choose
from ..tasks.task import TASK_OPTIONS, Task


class TaskOptions(TypedDict, total=False):
    """What is trained on a graph, as the options of the commands: see ``sims.Task``."""

    self_edges: bool
    label_smoothing: float
    window: int
    p: float
    q: float
    edges: str
    weights: str


def make_task(graph: Any, symmetrize: bool, options: Mapping[str, Any], *, dense: bool = True) -> Task:
    """The task on ``graph``, anything ``theory.as_graph`` takes, or a task, which has its options. With ``dense`` its
    target is built, which says at once whether it can be.

    Raises TypeError for an unknown option or for options of a task, ValueError for bad ones.
    """
    for name in options:
        if name not in TASK_OPTIONS:
            raise TypeError(f"unknown option {name!r}; {choose(name, TASK_OPTIONS)}")
    if isinstance(graph, Task):
        if options or symmetrize:
            raise TypeError("the task has its options: leave them out, or give its graph")
        return graph
    task = Task(as_graph(graph, symmetrize=symmetrize), **options)
    if dense:
        _ = task.solver_target
    return task


def node_vectors(embedding: Any, task: Task) -> NDArray[np.float64]:
    """The vectors (n, m) of the nodes of ``task`` in their order: rows of an array, a data frame or a tensor on the
    CPU; of a mapping those under the nodes. Raises ValueError where a node has none, and as ``check_matrix``."""
    nodes = task.graph.nodes
    if isinstance(embedding, Mapping):
        missing = [node for node in nodes if node not in embedding]
        if missing:
            raise ValueError(
                f"the embedding has no vector of node {missing[0]!r} ({len(missing)} of {len(nodes)} lack)"
            )
        embedding = [embedding[node] for node in nodes]
    if hasattr(embedding, "detach"):
        embedding = embedding.detach()  # a tensor that is still trained
    rows = check_matrix(embedding, (None, None), "the embedding")
    if rows.shape[1] < 1:
        raise ValueError(f"the embedding must have shape (nodes, dimension); got {rows.shape}")
    if len(rows) != len(nodes):
        raise ValueError(
            f"the embedding has {len(rows)} rows but the graph has {len(nodes)} nodes: give one row a node, in the "
            "order of its nodes, or a dictionary node -> vector"
        )
    return rows
