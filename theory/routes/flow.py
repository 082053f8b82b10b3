"""The flow of Node2Vec from the infinite-width start on a graph of any size, by the cheapest exact route.

In this order: Fourier modes (cycles and tori, theory.cayley_flow), the blocks of the graph's symmetry
(theory.reduced_flow), all nodes (theory.flow). ``method`` says which it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Array, check_dense, check_flag
from ..flow.at_times import tied_flow, untied_flow
from ..flow.cayley import TOLERANCE, cayley_flow
from ..flow.starts import check_scale
from ..graphs.graph import Graph
from ..softmax import check_row_weight, check_target
from ..symmetry.flow import reduced_flow
from ..targets.one_hop import one_hop_sparse, one_hop_target
from .optimum import useful_symmetry

# On a million nodes a step takes a tenth of a second: there eigenvalues are right to about 1e-6, not 1e-7, in three
# quarters of the time.
LARGE, LARGE_TOLERANCE = 100_000, 1e-8


@dataclass(frozen=True, eq=False)
class GraphFlow:
    """``times`` (k,); ``loss_per_node`` (k,), without weight decay; ``eigenvalues``: of V V' at each time, descending,
    each with its ``multiplicities``."""

    times: Array
    loss_per_node: Array
    eigenvalues: tuple[Array, ...]
    multiplicities: tuple[NDArray[np.int64], ...]
    method: str


def graph_flow(
    graph: Graph,
    times: ArrayLike,
    *,
    init_scale: float,
    tied: bool = True,
    weight_decay: float = 0.0,
    self_edges: bool = False,
    label_smoothing: float = 0.0,
) -> GraphFlow:
    """The flow at ``times`` from K(0) = s^2 I, s = ``init_scale`` > 0 (untied: V and U orthogonal to each other).

    Time is step size times steps. Eigenvalues are right to about 1e-7 of their size, 1e-6 on cycles and tori of more
    than LARGE nodes. Raises ValueError for a bad option, an isolated node without self-edges, or a graph too large for
    the dense route that has no symmetry.

    >>> from fiedler.theory import graph_flow, parse
    >>> flow = graph_flow(parse("cycle:15"), [1, 10, 100], init_scale=0.01)
    >>> flow.loss_per_node.round(4).tolist()
    [2.7074, 1.4509, 1.4349]
    >>> [values[0].round(3).item() for values in flow.eigenvalues]  # the slowest wave wins
    [0.004, 32.921, 45.579]
    """
    check_flag(tied, "tied")
    one_hop_sparse(graph, self_edges=self_edges)  # the error for isolated nodes, which names them
    target: dict[str, Any] = {"self_edges": self_edges, "label_smoothing": label_smoothing}
    if graph.family in ("cycle", "torus"):
        tolerance = TOLERANCE if graph.n <= LARGE else LARGE_TOLERANCE
        trajectory = cayley_flow(
            graph, times, init_scale=init_scale, tied=tied, weight_decay=weight_decay, tolerance=tolerance, **target
        )
        pairs = [_descending(values, trajectory.multiplicity) for values in trajectory.gram]
        return _describe(trajectory.times, trajectory.loss / graph.n, pairs, "Fourier modes")
    symmetry = useful_symmetry(graph)
    if symmetry is not None:
        reduced = reduced_flow(
            symmetry.algebra,
            symmetry.target(**target),
            times,
            init_scale=init_scale,
            tied=tied,
            weight_decay=weight_decay,
        )
        pairs = [reduced.eigenvalues(k) for k in range(len(reduced.times))]
        return _describe(reduced.times, reduced.loss / graph.n, pairs, f"blocks of the symmetry: {symmetry.method}")
    check_dense(graph.n, "a flow without symmetry")
    dense = one_hop_target(graph, **target)
    return target_flow(dense, times, init_scale=init_scale, tied=tied, weight_decay=weight_decay)


def target_flow(
    target: ArrayLike,
    times: ArrayLike,
    *,
    init_scale: float,
    tied: bool = True,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
) -> GraphFlow:
    """The same for any row-stochastic ``target`` (n, n) and row weights (n,), ones when None, over all nodes;
    ``loss_per_node`` is L / sum_i w_i."""
    check_flag(tied, "tied")
    t = check_target(target)
    n = len(t)
    w = check_row_weight(row_weight, n)
    some, none = check_scale(init_scale, "init_scale") * np.eye(n), np.zeros((n, n))
    whole = (
        tied_flow(t, some, times, weight_decay=weight_decay, row_weight=w)
        if tied
        else untied_flow(
            t, np.hstack([some, none]), np.hstack([none, some]), times, weight_decay=weight_decay, row_weight=w
        )
    )
    ones = np.ones(n, dtype=np.int64)
    pairs = [(np.linalg.svd(v, compute_uv=False) ** 2, ones) for v in whole.embedding]
    return _describe(whole.times, whole.loss / w.sum(), pairs, "all nodes")


def _descending(values: Array, counts: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    order = np.argsort(-values, kind="stable")
    return values[order], counts[order]


def _describe(times: Array, loss: Array, pairs: list[tuple[Array, NDArray[np.int64]]], method: str) -> GraphFlow:
    return GraphFlow(times, loss, tuple(v for v, _ in pairs), tuple(c for _, c in pairs), method)
