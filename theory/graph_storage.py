"""What it costs to store a graph: associative memory (a table of pairs) against geometric memory (positions).

Associative: score(u, v) = phi(u)' W phi(v), fixed orthonormal phi, W = sum over stored pairs of phi(u) phi(v)'.
Geometric:   score(u, v) = phi(u) . phi(v), learned phi.

    bits   associative  E log2 n            geometric  n m log2 L     (m coordinates of L levels each)
    norm   associative  <= sqrt(E)          geometric  >= sqrt(n)     (scores 1 or more on edges, 0 or less off them)

E pairs are stored: the |E| edges in one direction, or twice as many; an untied geometric memory has two positions a
node, which doubles n. Norms are Frobenius norms of what is learned: W, or the matrix of positions. They depend on the
margin meant: if only differences of scores count, as in a softmax, smaller ones do.
Source: arXiv 2510.26745, propositions 1-4 (section 3, appendix E); the codes at the end show what is attained.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log2, sqrt

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import maximum_bipartite_matching

from .checks import Array, check_flag, check_real, check_room, check_whole_number, shown
from .graphs.graph import Graph, check_graph
from .spectra.laplacians import eigenspaces

LARGEST_DIMENSION = 1e200  # with any count of nodes and levels, the bits stay in float64


@dataclass(frozen=True)
class StorageCost:
    """Bits and norms of both memories for a graph; see the functions for what each assumes.

    ``nodes``: n. ``pairs``: E, the stored ordered pairs. ``associative_norm`` is attained (by ``associative_matrix``),
    hence an upper bound of the least one; ``geometric_norm`` is the paper's lower bound.
    """

    nodes: int
    pairs: int
    associative_bits: float
    geometric_bits: float
    associative_norm: float
    geometric_norm: float

    @property
    def bits_ratio(self) -> float:
        """Associative over geometric bits; infinity when the geometric memory needs none."""
        return self.associative_bits / self.geometric_bits if self.geometric_bits > 0 else inf

    @property
    def norm_ratio(self) -> float:
        """Associative upper bound over geometric lower bound of the norms."""
        return self.associative_norm / self.geometric_norm


def associative_bits(nodes: int, edges: int, *, both_directions: bool = False) -> float:
    """E log2 n: each stored pair (u, v) names v among n nodes, in a list kept for u (the lists' lengths are free).

    ``both_directions`` stores u -> v and v -> u. A code for any table, not the least for the graph at hand.
    Raises TypeError or ValueError for counts that are no whole numbers (n >= 1, edges >= 0).
    Source: arXiv 2510.26745, proposition 2.
    """
    n, e = check_whole_number(nodes, "nodes", 1), check_whole_number(edges, "edges", 0)
    return (2 if check_flag(both_directions, "both_directions") else 1) * e * log2(n)


def geometric_bits(nodes: int, dimension: float, levels: float, *, tied: bool = True) -> float:
    """n m log2 L: m coordinates a node with L levels each, twice that untied.

    Assumes that a code with such m and L exists for the graph; that is not checked (``path_star_code`` is one).
    ``dimension`` and ``levels`` may be real, for orders of growth. Raises ValueError unless m >= 0 and L >= 1 are
    finite, or for bad counts. Source: arXiv 2510.26745, proposition 2.
    """
    n = check_whole_number(nodes, "nodes", 1)
    m, l = check_real(dimension, "dimension"), check_real(levels, "levels")
    if not 0 <= m <= LARGEST_DIMENSION:
        raise ValueError(f"dimension must be a finite number of zero or more; got {shown(dimension)}")
    if not 1 <= l < inf:
        raise ValueError(f"levels must be a finite number of one or more; got {shown(levels)}")
    return (1 if check_flag(tied, "tied") else 2) * n * m * log2(l)


def storage_cost(
    nodes: int, edges: int, dimension: float, levels: float, *, both_directions: bool = False, tied: bool = True
) -> StorageCost:
    """The counts for any graph with n nodes and |E| edges that a code of ``dimension`` and ``levels`` stores.

    Bits: ``associative_bits``, ``geometric_bits``. Norms: sqrt(E) and sqrt(n), times sqrt(2) for both directions and
    untied positions respectively. Assumes a simple graph (no loops, no weights) without isolated nodes. The tied
    sqrt(n) then always holds; the untied sqrt(2 n) where cycles and single edges of the graph can cover each node once,
    which fails for stars: ``geometric_norm_bound`` is right for every graph. Errors as the two functions.
    Source: arXiv 2510.26745, propositions 2 and 3.
    """
    pairs = (2 if check_flag(both_directions, "both_directions") else 1) * check_whole_number(edges, "edges", 0)
    return StorageCost(
        nodes=check_whole_number(nodes, "nodes", 1),
        pairs=pairs,
        associative_bits=associative_bits(nodes, edges, both_directions=both_directions),
        geometric_bits=geometric_bits(nodes, dimension, levels, tied=tied),
        associative_norm=sqrt(pairs),
        geometric_norm=sqrt((1 if tied else 2) * nodes),
    )


def path_star_storage(
    arms: int, length: int, *, compressed: bool = False, both_directions: bool = False, tied: bool = True
) -> StorageCost:
    """``arms`` d paths of ``length`` l nodes sharing a root: n = d (l - 1) + 1, |E| = d (l - 1), l levels.

    Geometric: one coordinate an arm (m = d, the exact ``path_star_code``), or ``compressed`` to m = log2 d, the order
    of a Johnson-Lindenstrauss projection without its constants: an order of growth, not a code, and nothing for d = 1.
    Norms as ``storage_cost``. Raises ValueError unless d >= 1 (compressed: d >= 2) and l >= 2.
    Source: arXiv 2510.26745, propositions 1-3.
    """
    fewest = 2 if check_flag(compressed, "compressed") else 1
    d, l = check_whole_number(arms, "arms", fewest), check_whole_number(length, "length", 2)
    edges = d * (l - 1)
    dimension = log2(d) if compressed else float(d)
    return storage_cost(edges + 1, edges, dimension, l, both_directions=both_directions, tied=tied)


def cycle_storage(nodes: int, *, both_directions: bool = False, tied: bool = True) -> StorageCost:
    """The cycle C_n: |E| = n, and two coordinates of n / 2 levels: 2 n log2(n / 2) bits.

    Raises ValueError unless n >= 3. Norms as ``storage_cost``, whose sqrt(2 n) untied holds here.
    Source: arXiv 2510.26745, propositions 1-3.
    """
    n = check_whole_number(nodes, "nodes", 3)
    return storage_cost(n, n, 2, n / 2, both_directions=both_directions, tied=tied)


def geometric_norm_bound(graph: Graph, *, tied: bool = True) -> float:
    """The least Frobenius norm that positions can have, from matchings; exact counting, no solver tolerance.

    Assumes score >= 1 on every edge between two nodes, <= 0 on all other pairs of distinct nodes; weights, self-loops
    and the scores of nodes with themselves do not count. With f the most edges of a fractional matching (2 f is a
    maximum matching of the bipartite double cover) and n' the nodes with a neighbour:

        tied    ||phi||^2 >= 2 (n' - f) >= n'        twice the fractional edge cover number (Gallai)
        untied  ||V||^2 + ||U||^2 >= 4 f             = 2 n' exactly when cycles and edges can cover the graph

    Proof: an edge gives |phi(u)|^2 + |phi(v)|^2 >= 2, and an odd cycle of length k so sums to k. The nodes that a
    maximum fractional matching misses are independent and hang on one end of matched edges (else it could be
    enlarged), as leaves of induced stars. In a star of s leaves a_i with centre c, a_i . a_j <= 0 gives |sum a_i|^2 <=
    sum |a_i|^2, and s <= c . sum a_i then gives |c|^2 + sum |a_i|^2 >= 2 s. Untied positions see no a_i . a_j, and keep
    the matched edges only. Attained for stars and complete graphs (tied), for disjoint edges (both).
    Source: ours, in place of the sqrt(n) and sqrt(2 n) of arXiv 2510.26745, proposition 3.
    """
    check_flag(tied, "tied")
    support = sp.csr_array(check_graph(graph).adjacency - sp.diags_array(graph.adjacency.diagonal()))
    support.eliminate_zeros()
    covered = int(np.count_nonzero(np.diff(support.indptr)))
    doubled = int((maximum_bipartite_matching(support, perm_type="column") >= 0).sum())  # 2 f
    return sqrt(2 * covered - doubled if tied else 2 * doubled)


def associative_matrix(graph: Graph, *, both_directions: bool = True) -> sp.csr_array:
    """The associative memory with one-hot phi: W = sum over stored pairs e_u e_v', (n, n) float64 CSR, zeros and ones.

    Scores are exactly 1 on stored pairs and 0 elsewhere, and ||W||_F = sqrt(E). ``both_directions`` gives the support
    of A; otherwise each edge is stored once, from the node with the lower index. Weights are ignored; a self-loop is
    one pair. Any orthonormal phi gives the same norm. Source: arXiv 2510.26745, proposition 3.
    """
    check_graph(graph), check_flag(both_directions, "both_directions")
    support = graph.adjacency if both_directions else sp.csr_array(sp.triu(graph.adjacency, format="csr"))
    return sp.csr_array((np.ones(support.nnz), support.indices, support.indptr), shape=support.shape)


def incidence_code(graph: Graph) -> sp.csr_array:
    """phi(u)_e = 1 if u is an end of edge e, (n, |E|) float64 CSR: positions that store a table of edges.

    phi(u) . phi(v) is 1 on edges between two nodes and 0 on other pairs; phi(u) . phi(u) counts the edges at u, so a
    softmax over all nodes would still favour u itself (exclude it). ||phi||_F^2 is twice |E|, less the self-loops.
    Weights are ignored. Columns: edges (i, j), i <= j, in row-major order. Source: arXiv 2510.26745, proposition 4.
    """
    upper = sp.triu(check_graph(graph).adjacency, format="csr").tocoo()
    i, j = upper.coords
    columns = np.arange(upper.nnz)
    apart = i != j
    rows = np.concatenate([i, j[apart]])
    columns = np.concatenate([columns, columns[apart]])
    return sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(graph.n, upper.nnz))


def shifted_adjacency_code(graph: Graph) -> Array:
    """phi with phi phi' = A - min(A) I, min(A) the least eigenvalue of A: (n, n - mult(min(A))) float64.

    phi(u) . phi(v) = A_uv exactly between two nodes: fewer than n dimensions store any graph, |E| are not necessary.
    phi(u) . phi(u) = A_uu - min(A), the largest score of an unweighted row, as in ``incidence_code``. ||phi||_F^2 =
    tr A - n min(A). Weights count. The multiplicity is counted within the tolerance of ``eigenspaces``, which also
    bounds n. Raises ValueError above its size limit. Source: ours (arXiv 2510.26745, proposition 4, uses |E|).
    """
    spaces = eigenspaces(check_graph(graph).adjacency)
    above = spaces.labels > 0
    return spaces.basis[:, above] * np.sqrt(spaces.eigenvalues[spaces.labels[above]] - spaces.eigenvalues[0])


def path_star_code(arms: int, length: int) -> NDArray[np.int64]:
    """One coordinate an arm: the node k steps from the root on arm i is k e_i; (n, d) int64, levels 0 .. l - 1.

    Rows in the order of the path-star family (root, then arm by arm outwards). Edges are exactly the pairs at Euclidean
    distance one, every other pair being at least sqrt(2) apart: n d log2 l bits store the graph. Raises TypeError or
    ValueError unless arms >= 1 and length >= 2. Source: arXiv 2510.26745, proposition 2 (one dimension a path).
    """
    d, l = check_whole_number(arms, "arms", 1), check_whole_number(length, "length", 2)
    check_room((d * (l - 1.0) + 1) * d, "the code")
    steps = np.arange(d * (l - 1))
    code = np.zeros((d * (l - 1) + 1, d), dtype=np.int64)
    code[steps + 1, steps // (l - 1)] = steps % (l - 1) + 1
    return code
