"""Graphs from pairs of names, as lists of edges and of neighbours write them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..checks import Array
from .graph import Graph
from .reading import Reading, integer_names

# Two sums of the same weights in a different order differ by rounding only.
WEIGHT_RTOL = 1e-12
# Nodes that a size in a file's header may promise: so many, or this many times what the file has entries.
MANY_NODES, NODES_PER_ENTRY = 10_000_000, 16

Names = Sequence[str] | NDArray[np.int64]
Places = Sequence[int] | NDArray[np.int64]


def graph_of_pairs(names: Names, tails: Places, heads: Places, weights: Array, name: str, reading: Reading) -> Graph:
    """The undirected graph of the pairs ``tails[k]``, ``heads[k]``, places in ``names``; it is called ``name``.
    Names in an array are integers, ascending.

    Names are integers, ascending, if all of them are; else text in their order. Repeated pairs add their weights. If
    every pair is there in both orientations with equal weights, each is taken once; otherwise u v and v u are parallel
    edges and add. A repeated self-loop always adds. Pairs of weight 0 are no edges; their nodes stay.
    """
    nodes: list[Hashable] = names.tolist() if isinstance(names, np.ndarray) else list(names)
    rows, columns = np.asarray(tails, dtype=np.int64), np.asarray(heads, dtype=np.int64)
    if not isinstance(names, np.ndarray) and integer_names(nodes):
        numbers = [int(str(node)) for node in nodes]
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        rows, columns = place[rows], place[columns]
        nodes = [numbers[k] for k in order]
    kept = weights > 0
    entries = (np.asarray(weights, dtype=np.float64)[kept], (rows[kept], columns[kept]))
    arcs = sp.csr_array(sp.coo_array(entries, shape=(len(nodes), len(nodes))))
    arcs.sum_duplicates()
    parallel = int(kept.sum()) - int(arcs.nnz)
    notes = [*reading.notes]
    if parallel:
        notes.append(f"{parallel:,} repeated edges add their weights")
    back, loops = sp.csr_array(arcs.T), arcs.diagonal()
    adjacency = sp.csr_array(arcs + back)
    if _symmetric(arcs, back):
        if arcs.nnz > np.count_nonzero(loops):
            notes.append("every edge is there in both directions: each is read once")
        adjacency = adjacency / 2
    elif loops.any():
        adjacency = sp.csr_array(adjacency - sp.diags_array(loops, format="csr"))
    return Graph(adjacency, tuple(nodes), name, reading=replace(reading, notes=tuple(notes)))


def check_node_count(n: int, entries: int) -> None:
    """Raises ValueError for more nodes than a file of so many ``entries`` can mean, before anything is allocated."""
    if n > max(MANY_NODES, NODES_PER_ENTRY * entries):
        raise ValueError(
            f"a size of {n:,} nodes for {entries:,} entries is a mistake, or nearly all of them are isolated; "
            "write the graph as an edge list"
        )


def _symmetric(arcs: sp.csr_array, back: sp.csr_array) -> bool:
    """Whether each pair is there in both orientations, with equal weights up to their rounding. ``back``: the
    transpose, its indices sorted."""
    same: NDArray[np.bool_] | bool = np.array_equal(arcs.indptr, back.indptr) and np.array_equal(
        arcs.indices, back.indices
    )
    return bool(same) and bool(np.isclose(arcs.data, back.data, rtol=WEIGHT_RTOL, atol=0).all())
