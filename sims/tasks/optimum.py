"""The certified tied optimum of a task by the cheaper of two routes, the blocks of the graph's symmetry or the matrix
itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fiedler.theory import (
    GraphOptimum,
    RowPass,
    RowSums,
    TiedOptimum,
    graph_symmetry,
    reduced_tied_optimum,
    tied_optimum,
)
from fiedler.theory.optimum.row_pass import softmax_pass
from fiedler.theory.optimum.tied import arcs_on_cycles, centre_gram
from fiedler.theory.routes.optimum import useful_symmetry
from fiedler.theory.symmetry.coherent import COLOURING_LIMIT

from .search import SEARCH, Search
from .task import Floats, Task

ROUNDING = 1e-13  # of the largest eigenvalue of a Gram matrix: below it there is none
DEVICE_NODES = 2000  # from which passes run on a CUDA device: below, NumPy finishes sooner than transfers pay

OnState = Callable[[Any], bool]  # told theory.SolverState; True ends the search


def task_optimum(task: Task, search: Search = SEARCH, on_state: OnState | None = None) -> TiedOptimum:
    """``reference_optimum`` of ``task``; for a connected graph with symmetry, such as a path-star of many arms, the
    same found on the symmetry's blocks in a fraction of the time. Raises as ``theory.tied_optimum``."""
    graph = task.graph
    plain = task.graph_target and graph.component_count == 1
    if not plain or graph.n > COLOURING_LIMIT or useful_symmetry(graph) is None:
        return reference_optimum(task, search=search, on_state=on_state)
    symmetry = graph_symmetry(graph, family=False)  # which lists the pairs of nodes
    assert symmetry is not None
    assert symmetry.colouring is not None
    given = symmetry.target(self_edges=task.self_edges, label_smoothing=task.label_smoothing)
    found = reduced_tied_optimum(symmetry.algebra, given)
    return TiedOptimum(
        gram_factor(centre_gram(symmetry.expand(found.gram))),
        bias=np.asarray(found.bias[symmetry.colouring.node_type]),
        loss=found.loss,
        weight_decay=0.0,
        total_weight=found.total_weight,
        attained=found.attained,
        components=np.zeros(graph.n, dtype=np.int64),
        certificate=found.certificate,
        method=f"{found.method}: {symmetry.method}",
    )


# Where there is no optimum without weight decay: its loss per node is then within 0.15 of the floor on the paper's tiny
# graphs; at a fifth of it within 0.03, after ten times as long.
REFERENCE_DECAY = 0.005


def reference_decay(task: Task) -> float:
    """Zero, or REFERENCE_DECAY for a task without an optimum there: edges of one direction that lie on no cycle (a
    path-star's or a grid's, forward), whose embeddings grow for ever (``theory.optimum``)."""
    weight = np.ones(task.graph.n) if task.row_weight is None else task.row_weight
    return 0.0 if not task.directed or arcs_on_cycles(task.target, weight) else REFERENCE_DECAY


def reference_optimum(
    task: Task, weight_decay: float = 0.0, search: Search = SEARCH, on_state: OnState | None = None
) -> TiedOptimum:
    """The certified tied optimum of ``task`` with ``weight_decay``, or, where that is zero, with ``reference_decay``:
    the result's ``weight_decay`` says which. ``search``: how far it is sought; ``on_state``: told how it goes. Raises
    as ``theory.tied_optimum``."""
    decay = weight_decay if weight_decay > 0 else reference_decay(task)
    return tied_optimum(
        task.solver_target,
        weight_decay=decay,
        row_weight=task.row_weight,
        **solver_options(search, on_state),
    )


def solver_options(search: Search, on_state: OnState | None = None) -> dict[str, Any]:
    """``search`` as keywords of the solvers of ``theory``."""
    return {
        "tolerance": search.tolerance,
        "time_limit": search.time_limit,
        "watch": on_state,
        "row_pass": _pass_on_device,
    }


def _pass_on_device(
    v: Floats, u: Floats, c: Floats | None, w: Floats, *, dtype: DTypeLike, check: Callable[[], None] | None
) -> RowSums:
    """``theory.RowPass``: on a CUDA device for graphs of DEVICE_NODES nodes or more, where there is one."""
    run = softmax_pass if len(v) < DEVICE_NODES else _device_pass()
    return run(v, u, c, w, dtype=dtype, check=check)


@cache
def _device_pass() -> RowPass:
    try:
        import torch  # not for small graphs
    except ModuleNotFoundError:  # of the base install, which has no device
        return softmax_pass
    if not torch.cuda.is_available():
        return softmax_pass
    from .fused_pass import fused_row_pass

    return fused_row_pass("cuda")


def stopped_by(optimum: TiedOptimum | GraphOptimum) -> str:
    """What ended the search before its tolerance; empty where it was reached."""
    return "" if optimum.converged else optimum.stopped_by


def gram_factor(gram: Floats) -> Floats:
    """V (n, r) with V V' = ``gram`` but for rounding."""
    values, vectors = np.linalg.eigh(gram)
    keep = values > ROUNDING * max(1.0, float(values.max(initial=0.0)))
    return np.asarray(vectors[:, keep] * np.sqrt(values[keep]))
