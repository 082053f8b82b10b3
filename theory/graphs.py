"""Weighted undirected graphs: one symmetric non-negative adjacency matrix, with a label for each row.

Conventions, the same for every way of making a graph:

- a self-loop is kept, A_ii = its weight, and counts once in the degree (a degree is a row sum);
- parallel edges add their weights; zero-weight edges are dropped, their nodes stay;
- negative, NaN and infinite weights are errors that name the edge;
- isolated nodes and disconnected graphs are allowed; what needs a neighbour refuses isolated nodes later;
- a directed graph, or an asymmetric matrix, is an error unless its matrix happens to be symmetric.
  ``symmetrize=True`` (command line: --symmetrize) replaces an asymmetric A by A + A' off the diagonal and
  leaves the diagonal, and a matrix that is already symmetric, as they are;
- a graph without nodes is an error; one without edges is not.
"""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

# Asymmetry below this fraction of the largest weight is rounding; such a matrix is averaged.
SYMMETRY_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph with non-negative edge weights.

    ``adjacency``: (n, n) float64 ``csr_array``, symmetric, sorted indices, no duplicates, no explicit zeros.
    ``nodes``: the n distinct hashable labels of its rows. ``name``: for messages and reports.
    ``family``, ``parameters``: the family word and its integers when the builders of ``families`` made the
    graph, else None and (); closed-form spectra rely on them, so set them only for a graph in that family's
    node order.

    Raises TypeError for an adjacency of another type, ValueError where it breaks one of the conditions above.
    Treat the adjacency as read-only. To make a graph from other data use ``as_graph``.
    """

    adjacency: sp.csr_array = field(repr=False)
    nodes: tuple[Hashable, ...] = field(repr=False)
    name: str
    family: str | None = None
    parameters: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        a = self.adjacency
        if not isinstance(a, sp.csr_array) or a.dtype != np.float64:
            raise TypeError(
                f"adjacency must be a float64 csr_array, not {type(a).__name__}; use from_sparse to convert"
            )
        if a.ndim != 2 or a.shape[0] != a.shape[1]:
            raise ValueError(f"adjacency must be square; got shape {a.shape}")
        if a.shape[0] == 0:
            raise ValueError(f"graph {self.name!r} is empty; give it at least one node")
        if not isinstance(self.nodes, tuple) or len(self.nodes) != a.shape[0]:
            raise ValueError(f"nodes must be a tuple of {a.shape[0]} labels, one per row; got {len(self.nodes)}")
        _check_unique(self.nodes)
        if not a.has_canonical_format or (a.data == 0).any():
            raise ValueError("adjacency has unsorted, repeated or explicit zero entries; use from_sparse to convert")
        transpose = a.T.tocsr()
        for edge, problem in (
            (np.flatnonzero(~np.isfinite(a.data)), "is not finite"),
            (np.flatnonzero(a.data < 0), "is negative"),
        ):
            if edge.size:
                i, j = a.tocoo().row[edge[0]], a.tocoo().col[edge[0]]
                raise ValueError(_bad_weight(self.nodes[i], self.nodes[j], a.data[edge[0]], problem))
        same = all(np.array_equal(getattr(a, part), getattr(transpose, part)) for part in ("indptr", "indices", "data"))
        if not same:
            raise ValueError("adjacency must be symmetric; use from_sparse(matrix, symmetrize=True)")

    @property
    def n(self) -> int:
        """The number of nodes."""
        return int(self.adjacency.shape[0])

    @property
    def edge_count(self) -> int:
        """The number of unordered pairs {i, j} with A_ij > 0; a self-loop counts once."""
        loops = int(np.count_nonzero(self.adjacency.diagonal()))
        return (int(self.adjacency.nnz) - loops) // 2 + loops

    @cached_property
    def degrees(self) -> NDArray[np.float64]:
        """The row sums d_i = sum_j A_ij, shape (n,)."""
        return np.asarray(self.adjacency.sum(axis=1), dtype=np.float64).ravel()

    @cached_property
    def component_labels(self) -> NDArray[np.int64]:
        """The index of each node's connected component, shape (n,), 0 .. component_count - 1."""
        return np.asarray(connected_components(self.adjacency, directed=False)[1], dtype=np.int64)

    @property
    def component_count(self) -> int:
        """The number of connected components."""
        return int(self.component_labels.max()) + 1

    @property
    def isolated(self) -> NDArray[np.int64]:
        """The indices of the nodes with a zero row (neither neighbour nor self-loop), ascending."""
        return np.flatnonzero(np.diff(self.adjacency.indptr) == 0)

    def to_networkx(self) -> nx.Graph:
        """The same graph in NetworkX, with A_ij in the edge attribute ``weight``, nodes in row order."""
        graph: nx.Graph = nx.Graph(name=self.name)
        graph.add_nodes_from(self.nodes)
        upper = sp.triu(self.adjacency, format="coo")
        graph.add_weighted_edges_from(
            (self.nodes[i], self.nodes[j], float(w)) for i, j, w in zip(upper.row, upper.col, upper.data, strict=True)
        )
        return graph


def from_sparse(
    matrix: Any, name: str = "matrix", nodes: Sequence[Hashable] | None = None, symmetrize: bool = False
) -> Graph:
    """The graph whose adjacency is a real (n, n) SciPy sparse matrix or array; nodes default to 0 .. n-1.

    Repeated entries are parallel edges and add. Asymmetry below ``SYMMETRY_TOLERANCE`` is rounding and is
    averaged. Raises TypeError for a matrix that is not sparse or not real, ValueError for one that breaks the
    conventions above.
    """
    if not sp.issparse(matrix):
        raise TypeError(f"from_sparse needs a SciPy sparse matrix, not {type(matrix).__name__}; see as_graph")
    sparse: Any = matrix  # the stubs know no common attributes of sparse matrices and arrays
    if sparse.ndim != 2 or sparse.shape[0] != sparse.shape[1]:
        raise ValueError(f"an adjacency matrix must be square; {name!r} has shape {sparse.shape}")
    if sparse.dtype.kind not in "biuf":
        raise TypeError(f"edge weights must be real numbers; {name!r} has dtype {sparse.dtype}")
    entries = sparse.tocoo()
    rows, columns, weights = entries.row, entries.col, entries.data.astype(np.float64)
    labels: tuple[Hashable, ...] = tuple(range(sparse.shape[0])) if nodes is None else tuple(nodes)
    if len(labels) != sparse.shape[0]:
        raise ValueError(f"{name!r} has {sparse.shape[0]} rows but {len(labels)} node labels; give one label per row")
    # Checked before repeated entries are added, so that no negative weight hides in a positive sum.
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        i, j, weight = rows[bad[0]], columns[bad[0]], weights[bad[0]]
        problem = "is negative" if weight < 0 and np.isfinite(weight) else "is not finite"
        raise ValueError(_bad_weight(labels[i], labels[j], weight, problem))
    adjacency = sp.csr_array(sp.coo_array((weights, (rows, columns)), shape=sparse.shape))
    gap = abs(adjacency - adjacency.T)
    if gap.nnz and gap.max() > 0:
        if gap.max() <= SYMMETRY_TOLERANCE * adjacency.max():
            adjacency = sp.csr_array((adjacency + adjacency.T) / 2)
        elif symmetrize:
            adjacency = sp.csr_array(adjacency + adjacency.T - sp.diags_array(adjacency.diagonal()))
        else:
            i, j = (int(part[0]) for part in gap.nonzero())
            raise ValueError(
                f"{name!r} is directed: the weight {labels[i]} -> {labels[j]} is {adjacency[i, j]:g} but back "
                f"it is {adjacency[j, i]:g}; pass symmetrize=True (--symmetrize) to add A and its transpose"
            )
    adjacency.eliminate_zeros()
    adjacency.sum_duplicates()
    return Graph(adjacency, labels, name)


def from_networkx(
    graph: nx.Graph, name: str | None = None, weight: str | None = "weight", symmetrize: bool = False
) -> Graph:
    """The graph of a NetworkX (multi)(di)graph, its rows in the order of ``graph.nodes``.

    The weight of an edge is its attribute ``weight`` where present and 1 otherwise; ``weight=None`` ignores
    weights. Raises ValueError naming the edge for a weight that is no finite non-negative number, or for a
    directed graph (see the conventions above).
    """
    title = name if name is not None else (str(graph.name) or "NetworkX graph")
    index = {node: i for i, node in enumerate(graph.nodes)}
    rows: list[int] = []
    columns: list[int] = []
    weights: list[float] = []
    for u, v, data in graph.edges(data=True):
        value = 1.0 if weight is None else data.get(weight, 1.0)
        # NumPy's floats and integers are registered as Real.
        if not isinstance(value, Real):
            raise ValueError(_bad_weight(u, v, value, "is not a number"))
        both_ways = not graph.is_directed() and index[u] != index[v]
        rows += [index[u], index[v]] if both_ways else [index[u]]
        columns += [index[v], index[u]] if both_ways else [index[v]]
        weights += [_to_float(value)] * (2 if both_ways else 1)
    matrix = sp.coo_array((np.array(weights, dtype=np.float64), (rows, columns)), shape=(len(index), len(index)))
    return from_sparse(matrix, title, tuple(graph.nodes), symmetrize)


def as_graph(obj: Any, *, symmetrize: bool = False) -> Graph:
    """Return ``obj`` as a Graph.

    Accepted: a Graph (returned unchanged), a graph word or the path of a file (``words.parse``), a path
    object (``readers.read_graph``), a NetworkX graph, a SciPy sparse matrix or array, a dense square NumPy
    array. Raises TypeError for anything else, ValueError for data that is no graph (see the conventions
    above).
    """
    if isinstance(obj, Graph):
        return obj
    if isinstance(obj, str):
        from .words import parse  # words imports this module

        return parse(obj, symmetrize=symmetrize)
    if isinstance(obj, os.PathLike):
        from .readers import read_graph

        return read_graph(obj, symmetrize=symmetrize)
    if isinstance(obj, nx.Graph):
        return from_networkx(obj, symmetrize=symmetrize)
    if sp.issparse(obj):
        return from_sparse(obj, symmetrize=symmetrize)
    if isinstance(obj, np.ndarray):
        if obj.ndim != 2 or obj.dtype.kind not in "biuf":
            raise ValueError(f"an adjacency must be a real square matrix; got shape {obj.shape}, dtype {obj.dtype}")
        return from_sparse(sp.coo_array(obj), symmetrize=symmetrize)
    raise TypeError(
        f"cannot make a graph from {type(obj).__name__}; "
        "give a graph word, a path, a NetworkX graph, or a SciPy sparse or dense square matrix"
    )


def _to_float(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _bad_weight(u: Hashable, v: Hashable, weight: object, problem: str) -> str:
    return f"the weight {weight!s} of edge {u} - {v} {problem}; use finite weights of zero or more"


def _check_unique(nodes: tuple[Hashable, ...]) -> None:
    seen: set[Hashable] = set()
    if len(set(nodes)) == len(nodes):
        return
    for node in nodes:
        if node in seen:
            raise ValueError(f"node label {node!r} appears twice; give every row its own label")
        seen.add(node)
