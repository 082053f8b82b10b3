"""The symmetry of a graph in the form the flow and the optimum use: its coherent algebra with the adjacency in it.

Families with a known algebra need no n x n array, whatever their size:
- Hamming graphs and hypercubes: colours are distances 0 .. d, blocks are scalars (Krawtchouk polynomials);
- path-stars with at least two arms: colours are pairs of depths, on the same arm or on two; one block over the depths
  with the root (trivial) and one without it, repeated arms - 1 times, so that the cost does not depend on the arms.
Every other graph goes through the stable colouring of its node pairs (theory.coherent), up to its limit in size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import comb

from ..checks import Array, check_flag, check_smoothing, check_vector, check_whole_number
from ..graphs.graph import Graph, check_graph
from .blocks import BlockAlgebra, block_algebra
from .coherent import COLOURING_LIMIT, Colouring, coherent_colouring, node_refinement

# Above this many numbers a symmetric matrix of the algebra is not small: the general route costs less.
WORTHWHILE_COLOURS = 3000
HAMMING_LIMIT, MOST_BITS = 64, 1000  # d and log2 of the nodes: the polynomials take d^3 terms, counts are float64
PATH_LIMIT = 64  # length: two blocks of 2 length^2 colours times length^2 numbers, half a gigabyte


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A graph's coherent algebra, its adjacency as one value a colour (q,), and how the algebra was found.

    ``colouring`` is None for a family whose pairs were never listed.
    """

    algebra: BlockAlgebra
    adjacency: Array
    colouring: Colouring | None
    method: str

    def target(self, *, self_edges: bool = False, label_smoothing: float = 0.0) -> Array:
        """The one-hop target as one value a colour (q,); see ``targets.one_hop.one_hop_target``, whose errors it
        shares."""
        smoothing, a = check_smoothing(label_smoothing), self.algebra
        adjacency = self.adjacency.copy()
        if check_flag(self_edges, "self_edges"):
            adjacency[a.identity] += 1.0
        degree = np.bincount(a.row_type, weights=a.valency * adjacency, minlength=len(a.type_sizes))
        if (degree == 0).any():
            raise ValueError("an isolated node has no neighbour to predict; remove it or use self-edges")
        target = adjacency / degree[a.row_type]
        return np.asarray((1.0 - smoothing) * target + smoothing / a.n)

    def expand(self, x: ArrayLike) -> Array:
        """The (n, n) matrix with value x_c on colour c. Raises ValueError when the pairs were never listed."""
        if self.colouring is None:
            raise ValueError(f"the node pairs of this {self.algebra.n}-node graph were not listed; use its blocks")
        return np.asarray(check_vector(x, "x", self.algebra.colours)[self.colouring.colour])


def graph_symmetry(graph: Graph, *, family: bool = True) -> Symmetry | None:
    """The symmetry of ``graph``, or None where there is too little to be of use (more than WORTHWHILE_COLOURS colours,
    a graph above the colouring's limit that is no known family, or a path-star longer than PATH_LIMIT).

    ``family=False`` takes the colouring even for a known family.
    """
    if check_flag(family, "family") and check_graph(graph).family in ("hypercube", "hamming"):
        d, q = (graph.parameters[0], 2) if graph.family == "hypercube" else graph.parameters
        return hamming_symmetry(d, q)
    if family and graph.family == "path-star" and graph.parameters[0] >= 2 and graph.parameters[1] <= PATH_LIMIT:
        return path_star_symmetry(*graph.parameters)
    if graph.n > COLOURING_LIMIT or (int(node_refinement(graph).max()) + 1) ** 2 > WORTHWHILE_COLOURS:
        return None  # every pair of node types has a colour of its own at least
    colouring = coherent_colouring(graph)
    if colouring.count > WORTHWHILE_COLOURS:
        return None
    values = np.empty(colouring.count)
    values[colouring.colour.ravel()] = graph.adjacency.toarray().ravel()
    algebra = block_algebra(colouring)
    return Symmetry(algebra, values, colouring, f"stable colouring of node pairs, {colouring.count} classes")


def hamming_symmetry(d: int, q: int) -> Symmetry:
    """H(d, q): colour k holds the pairs at distance k; block j, of multiplicity C(d, j) (q-1)^j, is the Krawtchouk
    polynomial K_k(j), the eigenvalue of the distance-k matrix on the j-th eigenspace (Delsarte 1973)."""
    d, q = check_whole_number(d, "d", 1, HAMMING_LIMIT), check_whole_number(q, "q", 2)
    if d * np.log2(q) > MOST_BITS:
        raise ValueError(f"H({d}, {q}) has more than 2^{MOST_BITS} nodes, too many to count in float64")
    k = np.arange(d + 1)
    valency = comb(d, k) * (q - 1.0) ** k
    polynomials = np.zeros((d + 1, d + 1))  # (k, j)
    for j in k:
        for i in range(d + 1):
            terms = [(-1.0) ** s * (q - 1.0) ** (i - s) * comb(j, s) * comb(d - j, i - s) for s in range(i + 1)]
            polynomials[i, j] = np.sum(terms)
    zero = np.zeros(d + 1, dtype=np.int64)
    algebra = BlockAlgebra(
        np.array([float(q) ** d]),
        zero,
        zero,
        valency,
        k,
        np.array([0]),
        tuple(round(m) for m in valency),
        tuple(polynomials[:, j].reshape(-1, 1, 1) for j in k),
    )
    return Symmetry(algebra, (k == 1).astype(np.float64), None, f"distance classes of H({d}, {q})")


def path_star_symmetry(arms: int, length: int) -> Symmetry:
    """``arms`` >= 2 paths of ``length`` nodes that share the root: types are depths 0 .. length - 1."""
    arms, length = check_whole_number(arms, "arms", 0), check_whole_number(length, "length", 2, PATH_LIMIT)
    if arms < 2:
        raise ValueError(f"the arms of a path-star are only alike from two on; got {arms}")
    row, column, kind = [0], [0], ["root"]
    for j in range(1, length):
        row, column, kind = [*row, 0, j], [*column, j, 0], [*kind, "out", "in"]
    for i in range(1, length):
        for j in range(1, length):
            row, column, kind = [*row, i, i], [*column, j, j], [*kind, "same", "other"]
    q = len(kind)
    index = {(r, c, k): number for number, (r, c, k) in enumerate(zip(row, column, kind, strict=True))}
    swap = {"out": "in", "in": "out"}
    transpose = np.array([index[c, r, swap.get(k, k)] for r, c, k in zip(row, column, kind, strict=True)])
    valency = np.array([{"root": 1, "out": arms, "in": 1, "same": 1, "other": arms - 1}[k] for k in kind], dtype=float)
    trivial, standard = np.zeros((q, length, length)), np.zeros((q, length - 1, length - 1))
    scale = {"root": 1.0, "out": np.sqrt(arms), "in": np.sqrt(arms), "same": 1.0, "other": arms - 1.0}
    adjacency = np.zeros(q)
    for number, (r, c, k) in enumerate(zip(row, column, kind, strict=True)):
        trivial[number, r, c] = scale[k]
        if k in ("same", "other"):
            standard[number, r - 1, c - 1] = 1.0 if k == "same" else -1.0
        adjacency[number] = abs(r - c) == 1 and k != "other"
    algebra = BlockAlgebra(
        np.array([1.0] + [float(arms)] * (length - 1)),
        np.array(row),
        np.array(column),
        valency,
        transpose,
        np.array([index[j, j, "same" if j else "root"] for j in range(length)]),
        (1, arms - 1),
        (trivial, standard),
    )
    return Symmetry(algebra, adjacency, None, f"depths and arms of the path-star, {q} classes")
