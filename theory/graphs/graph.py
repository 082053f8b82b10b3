"""Weighted undirected graphs: one symmetric non-negative adjacency matrix, with a label for each row.

Conventions, the same for every way of making a graph:

- a self-loop is kept, A_ii = its weight, and counts once in the degree (a degree is a row sum);
- parallel edges add their weights; zero-weight edges are dropped, their nodes stay;
- negative, NaN and infinite weights are errors that name the edge, and so are ones outside 1e-100 .. 1e100, whose sums
  or inverses are;
- isolated nodes and disconnected graphs are allowed; what needs a neighbour refuses isolated nodes later;
- a directed graph, or an asymmetric matrix, is an error unless its matrix happens to be symmetric.
  ``symmetrize=True`` (command line: --symmetrize) replaces an asymmetric A by A + A' off the diagonal and
  leaves the diagonal, and a matrix that is already symmetric, as they are;
- a graph without nodes is an error; one without edges is not.
"""

from __future__ import annotations

import math
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

from ..checks import LARGEST_WEIGHT, SMALLEST_WEIGHT, Array, brief, check_flag, check_text, check_type, shown
from .family_sizes import check_family
from .reading import Reading

# Asymmetry below this fraction of the largest weight is rounding; such a matrix is averaged.
SYMMETRY_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph with non-negative edge weights.

    ``adjacency``: (n, n) float64 ``csr_array``, symmetric, sorted indices, no duplicates, no explicit zeros.
    ``nodes``: the n distinct hashable labels of its rows. ``name``: for messages and reports.
    ``family``, ``parameters``: the family word and its integers when the builders of ``graphs.families`` made the
    graph, else None and (); closed-form spectra rely on them, so set them only for a graph in that family's
    node order (only the number of nodes is checked). ``reading``: what the reader understood of the file it is from.

    Raises TypeError for an adjacency of another type, ValueError where it breaks one of the conditions above.
    Treat the adjacency as read-only. To make a graph from other data use ``as_graph``.
    """

    adjacency: sp.csr_array = field(repr=False)
    nodes: tuple[Hashable, ...] = field(repr=False)
    name: str
    family: str | None = None
    parameters: tuple[int, ...] = ()
    reading: Reading | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        a = self.adjacency
        if not isinstance(a, sp.csr_array) or a.dtype != np.float64:
            what = getattr(a, "dtype", "")
            raise TypeError(
                f"adjacency must be a float64 csr_array, not {type(a).__name__} {what}; use from_sparse to convert"
            )
        check_text(self.name, "name")
        if a.ndim != 2 or a.shape[0] != a.shape[1]:
            raise ValueError(f"adjacency must be square; got shape {a.shape}")
        if a.shape[0] == 0:
            raise ValueError(f"graph {shown(self.name)} is empty; give it at least one node")
        if not isinstance(self.nodes, tuple):
            raise TypeError(f"nodes must be a tuple of {a.shape[0]} labels, one per row; got {shown(self.nodes)}")
        if len(self.nodes) != a.shape[0]:
            raise ValueError(f"nodes must be a tuple of {a.shape[0]} labels, one per row; got {len(self.nodes)}")
        _check_unique(self.nodes)
        check_family(self.family, self.parameters, a.shape[0])
        _check_reading(self.reading)
        if not a.has_canonical_format or (a.data == 0).any():
            raise ValueError("adjacency has unsorted, repeated or explicit zero entries; use from_sparse to convert")
        transpose = a.T.tocsr()
        bad = bad_weight(a.data)
        if bad is not None:
            i, j = a.tocoo().row[bad], a.tocoo().col[bad]
            raise ValueError(_wrong_weight(self.nodes[i], self.nodes[j], a.data[bad]))
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
    def degrees(self) -> Array:
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
    matrix: Any,
    name: str = "matrix",
    nodes: Sequence[Hashable] | None = None,
    symmetrize: bool = False,
    *,
    reading: Reading | None = None,
) -> Graph:
    """The graph whose adjacency is a real (n, n) SciPy sparse matrix or array; nodes default to 0 .. n-1. ``reading``
    is what the graph's reader says of its file.

    Repeated entries are parallel edges and add. Asymmetry below ``SYMMETRY_TOLERANCE`` is rounding and is
    averaged. Raises TypeError for a matrix that is not sparse or not real, ValueError for one that breaks the
    conventions above.
    """
    if not sp.issparse(matrix):
        raise TypeError(f"from_sparse needs a SciPy sparse matrix, not {type(matrix).__name__}; see as_graph")
    title, add_transpose = shown(check_text(name, "name")), check_flag(symmetrize, "symmetrize")
    sparse: Any = matrix  # the stubs know no common attributes of sparse matrices and arrays
    if sparse.ndim != 2 or sparse.shape[0] != sparse.shape[1]:
        raise ValueError(f"an adjacency matrix must be square; {title} has shape {sparse.shape}")
    if sparse.dtype.kind not in "biuf":
        raise TypeError(f"edge weights must be real numbers; {title} has dtype {sparse.dtype}")
    entries = sparse.tocoo()
    rows, columns, weights = entries.row, entries.col, entries.data.astype(np.float64)
    labels: tuple[Hashable, ...] = tuple(range(sparse.shape[0])) if nodes is None else _labels(nodes)
    if len(labels) != sparse.shape[0]:
        raise ValueError(f"{title} has {sparse.shape[0]} rows but {len(labels)} node labels; give one label per row")
    # Checked before repeated entries are added, so that no negative weight hides in a positive sum.
    bad = bad_weight(weights)
    if bad is not None:
        raise ValueError(_wrong_weight(labels[rows[bad]], labels[columns[bad]], weights[bad]))
    adjacency = sp.csr_array(sp.coo_array((weights, (rows, columns)), shape=sparse.shape))
    gap = abs(adjacency - adjacency.T)
    if gap.nnz and gap.max() > 0:
        if gap.max() <= SYMMETRY_TOLERANCE * adjacency.max():
            adjacency = sp.csr_array((adjacency + adjacency.T) / 2)
        elif add_transpose:
            adjacency = sp.csr_array(adjacency + adjacency.T - sp.diags_array(adjacency.diagonal()))
        else:
            i, j = (int(part[0]) for part in gap.nonzero())
            raise ValueError(
                f"{title} is directed: the weight {brief(labels[i])} -> {brief(labels[j])} is {adjacency[i, j]:g} but "
                f"back it is {adjacency[j, i]:g}; pass symmetrize=True (--symmetrize) to add A and its transpose"
            )
    adjacency.eliminate_zeros()
    adjacency.sum_duplicates()
    return Graph(adjacency, labels, name, reading=_check_reading(reading))


def from_dense(
    matrix: NDArray[Any], name: str = "matrix", *, symmetrize: bool = False, reading: Reading | None = None
) -> Graph:
    """The graph whose adjacency is a real (n, n) array; nodes 0 .. n-1. Raises ValueError as ``from_sparse``."""
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise ValueError(f"an adjacency must be a real square matrix; got shape {matrix.shape}, dtype {matrix.dtype}")
    return from_sparse(sp.coo_array(matrix.astype(np.float64)), name, symmetrize=symmetrize, reading=reading)


def from_networkx(
    graph: nx.Graph,
    name: str | None = None,
    weight: str | None = "weight",
    symmetrize: bool = False,
    *,
    reading: Reading | None = None,
) -> Graph:
    """The graph of a NetworkX (multi)(di)graph, its rows in the order of ``graph.nodes``.

    The weight of an edge is its attribute ``weight`` where present and 1 otherwise; ``weight=None`` ignores
    weights. Raises ValueError naming the edge for a weight that is no finite non-negative number, or for a
    directed graph (see the conventions above).
    """
    check_type(graph, nx.Graph, "graph", "as_graph takes other forms")
    title = check_text(name, "name") if name is not None else (str(graph.name) or "NetworkX graph")
    if weight is not None:
        check_text(weight, "weight")
    check_flag(symmetrize, "symmetrize")
    index = {node: i for i, node in enumerate(graph.nodes)}
    rows: list[int] = []
    columns: list[int] = []
    weights: list[float] = []
    for u, v, data in graph.edges(data=True):
        value = 1.0 if weight is None else data.get(weight, 1.0)
        # NumPy's floats and integers are registered as Real.
        if not isinstance(value, Real):
            raise ValueError(_bad_weight(u, v, brief(value), "is not a number"))
        both_ways = not graph.is_directed() and index[u] != index[v]
        rows += [index[u], index[v]] if both_ways else [index[u]]
        columns += [index[v], index[u]] if both_ways else [index[v]]
        weights += [_to_float(value)] * (2 if both_ways else 1)
    matrix = sp.coo_array((np.array(weights, dtype=np.float64), (rows, columns)), shape=(len(index), len(index)))
    return from_sparse(matrix, title, tuple(graph.nodes), symmetrize, reading=reading)


def _check_reading(reading: object) -> Reading | None:
    return None if reading is None else check_type(reading, Reading, "reading", "leave it out")


def check_graph(graph: object) -> Graph:
    """``graph`` if it is one; TypeError otherwise."""
    return check_type(graph, Graph, "graph", "make one with as_graph")


def bad_weight(weights: Array) -> int | None:
    """The place of the first weight that no edge may have, or None: zero is allowed, it means no edge."""
    good = (weights == 0) | ((weights >= SMALLEST_WEIGHT) & (weights <= LARGEST_WEIGHT))
    return None if good.all() else int(np.flatnonzero(~good)[0])


def weight_problem(weight: float) -> str:
    """What is wrong with it."""
    if not math.isfinite(weight):
        return "is not finite"
    return "is negative" if weight < 0 else f"is not between {SMALLEST_WEIGHT:.0e} and {LARGEST_WEIGHT:.0e}"


def _to_float(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _wrong_weight(u: Hashable, v: Hashable, weight: float) -> str:
    return _bad_weight(u, v, str(weight), weight_problem(weight))


def _bad_weight(u: Hashable, v: Hashable, weight: str, problem: str) -> str:
    return f"the weight {weight} of edge {brief(u)} - {brief(v)} {problem}; use finite weights of zero or more"


def _labels(nodes: Sequence[Hashable]) -> tuple[Hashable, ...]:
    if isinstance(nodes, np.ndarray) and nodes.ndim == 1:
        return tuple(nodes.tolist())
    if isinstance(nodes, (str, bytes)) or not isinstance(nodes, Sequence):
        raise TypeError(f"nodes must be a list of labels; got {shown(nodes)}")
    return tuple(nodes)


def _check_unique(nodes: tuple[Hashable, ...]) -> None:
    try:
        distinct = len(set(nodes))
    except TypeError:  # unhashable, perhaps deep inside a tuple
        raise TypeError("node labels must be hashable; use numbers, strings or tuples of them") from None
    if distinct == len(nodes):
        return
    seen: set[Hashable] = set()
    for node in nodes:
        if node in seen:
            raise ValueError(f"node label {shown(node)} appears twice; give every row its own label")
        seen.add(node)
