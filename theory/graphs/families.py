"""Builders of the named graphs: parametrised families and small fixed graphs, all unweighted.

Nodes of the parametrised families are the integers 0 .. n-1 in the order each docstring states; the fixed
graphs of NetworkX keep its labels and order. Each builder raises ValueError naming the parameter that is out
of range, and for a graph with more than ``MAX_ENTRIES`` adjacency entries; non-integers raise TypeError.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import log, prod

import networkx as nx
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..checks import check_whole_number
from .graph import Graph, from_networkx

# About 1.2 GB of CSR matrix; refused before anything is allocated.
MAX_ENTRIES = 100_000_000

# arXiv 2510.26745, the fixed tiny graph of the experiments: 0-11 form one component, 12-15 are complete.
_IRREGULAR_EDGES = (
    *((12, 15), (5, 8), (5, 6), (8, 9), (7, 8), (1, 3), (13, 14), (13, 15), (12, 14), (12, 13)),
    *((1, 2), (4, 5), (3, 4), (10, 11), (0, 1), (2, 3), (6, 7), (11, 0), (9, 10), (14, 15)),
)

Integers = NDArray[np.int64]


def cycle(n: int) -> Graph:
    """The cycle C_n, n >= 3: node i is adjacent to i + 1 mod n."""
    n = _at_least(n, 3, "cycle", "n")
    return _lattice((n,), wrap=True, family="cycle")


def path_star(arms: int, length: int) -> Graph:
    """``arms`` paths of ``length`` nodes that share their first node, the root: n = arms (length - 1) + 1.

    Node 0 is the root; arm i (from 0) is 1 + i (length - 1), ... in order from root to leaf. arms >= 1,
    length >= 2. Source: arXiv 2510.26745 (after arXiv 2403.06963).
    """
    arms, length = _at_least(arms, 1, "path-star", "arms"), _at_least(length, 2, "path-star", "length")
    step = length - 1
    _check_size(2 * arms * step, "path-star")
    child = np.arange(1, arms * step + 1)
    parent = np.where((child - 1) % step == 0, 0, child - 1)
    return _from_edges(parent, child, arms * step + 1, "path-star", (arms, length))


def tree_star(arms: int, length: int) -> Graph:
    """A root with ``arms`` children, each the root of a perfect binary tree.

    Root-to-leaf paths have ``length`` nodes: n = 1 + arms (2^(length-1) - 1). Node 0 is the root; arm i (from 0)
    is the block of m = 2^(length-1) - 1 nodes from 1 + i m on, in breadth-first order. arms >= 1, length >= 2.
    Source: arXiv 2510.26745.
    """
    arms, length = _at_least(arms, 1, "tree-star", "arms"), _at_least(length, 2, "tree-star", "length")
    _check_size(2.0 * arms * 2.0 ** min(length - 1, 100), "tree-star")
    size = 2 ** (length - 1) - 1
    block, position = np.divmod(np.arange(arms * size), size)
    parent = np.where(position == 0, 0, 1 + block * size + (position - 1) // 2)
    return _from_edges(parent, np.arange(1, arms * size + 1), arms * size + 1, "tree-star", (arms, length))


def grid(*sides: int) -> Graph:
    """The Cartesian product of paths with ``sides`` nodes (each >= 1), in C order (last side fastest)."""
    return _lattice(_sides(sides, 1, "grid"), wrap=False, family="grid")


def torus(*sides: int) -> Graph:
    """The Cartesian product of cycles with ``sides`` nodes (each >= 3), in C order; 2 len(sides)-regular."""
    return _lattice(_sides(sides, 3, "torus"), wrap=True, family="torus")


def hypercube(d: int) -> Graph:
    """The d-cube, d >= 1: nodes 0 .. 2^d - 1, adjacent when they differ in exactly one bit."""
    d = _at_least(d, 1, "hypercube", "d")
    return _hamming(d, 2, "hypercube", (d,))


def hamming(d: int, q: int) -> Graph:
    """H(d, q), d >= 1, q >= 2: words of d symbols out of q, adjacent when one coordinate differs.

    A node is its word read as a number in base q, first symbol most significant. H(1, q) is the complete
    graph K_q.
    """
    d, q = _at_least(d, 1, "hamming", "d"), _at_least(q, 2, "hamming", "q")
    return _hamming(d, q, "hamming", (d, q))


def tree(branching: int, height: int) -> Graph:
    """The perfect ``branching``-ary tree with height + 1 levels, in breadth-first order from the root 0.

    branching >= 1, height >= 0; the order is that of ``networkx.balanced_tree``.
    """
    branching, height = _at_least(branching, 1, "tree", "branching"), _at_least(height, 0, "tree", "height")
    # The size in logarithms first: the exact power of a mistyped exponent may not be computable.
    _check_size(float("inf") if height * log(branching) > 100 else 2.0 * branching**height + height, "tree")
    n = sum(branching**level for level in range(height + 1))
    child = np.arange(1, n)
    return _from_edges((child - 1) // branching, child, n, "tree", (branching, height))


def random(nodes: int, edges: int, seed: int) -> Graph:
    """A connected graph: a uniformly random labelled tree on ``nodes`` >= 2, and pairs of nodes drawn uniformly on top
    until it has ``edges``, nodes - 1 to nodes (nodes - 1) / 2. The same ``seed`` >= 0 gives the same graph."""
    n = _at_least(nodes, 2, "random", "nodes")
    m, seed = _at_least(edges, n - 1, "random", "edges"), _at_least(seed, 0, "random", "seed")
    if 2 * m > n * (n - 1):
        raise ValueError(f"random edges must be at most {n * (n - 1) // 2} for {n} nodes; got {m}")
    _check_size(2 * m, "random")
    rng = np.random.default_rng(seed)
    tree = np.array(nx.random_labeled_tree(n, seed=seed).edges, dtype=np.int64)
    codes = tree.min(axis=1) * n + tree.max(axis=1)
    while len(codes) < m:
        pairs = np.sort(rng.integers(n, size=(m - len(codes), 2)), axis=1)
        drawn = np.unique(pairs[pairs[:, 0] < pairs[:, 1]] @ np.array([n, 1]))
        codes = np.concatenate([codes, np.setdiff1d(drawn, codes)])
    return _from_edges(codes // n, codes % n, n, "random", (n, m, seed))


def irregular() -> Graph:
    """The fixed tiny graph of arXiv 2510.26745: 16 nodes, 20 edges, components 0-11 and K_4 on 12-15."""
    edges = np.array(_IRREGULAR_EDGES)
    return _from_edges(edges[:, 0], edges[:, 1], 16, "irregular", ())


def petersen() -> Graph:
    """The Petersen graph: 10 nodes, 15 edges, 3-regular (``networkx.petersen_graph``)."""
    return _fixed(nx.petersen_graph(), "petersen")


def karate() -> Graph:
    """Zachary's karate club: 34 nodes, 78 edges. UNWEIGHTED: the interaction counts NetworkX carries are
    ignored; ``from_networkx(networkx.karate_club_graph())`` keeps them."""
    return _fixed(nx.karate_club_graph(), "karate")


def les_miserables() -> Graph:
    """Characters of Les Miserables: 77 nodes, 254 edges. UNWEIGHTED: NetworkX's counts are ignored."""
    return _fixed(nx.les_miserables_graph(), "les-miserables")


def florentine() -> Graph:
    """Marriages of Florentine families: 15 nodes, 20 edges (``networkx.florentine_families_graph``)."""
    return _fixed(nx.florentine_families_graph(), "florentine")


def davis() -> Graph:
    """Davis's Southern women and the events they went to: 32 nodes, 89 edges, bipartite, unweighted."""
    return _fixed(nx.davis_southern_women_graph(), "davis")


def _fixed(graph: nx.Graph, family: str) -> Graph:
    plain = from_networkx(graph, weight=None)
    return Graph(plain.adjacency, plain.nodes, family, family, ())


def _lattice(sides: tuple[int, ...], *, wrap: bool, family: str) -> Graph:
    _check_size(2.0 * len(sides) * prod(float(side) for side in sides), family)
    index_of = np.arange(prod(sides)).reshape(sides)
    pairs: list[tuple[Integers, Integers]] = []
    for axis, side in enumerate(sides):
        following = np.roll(index_of, -1, axis) if wrap else index_of.take(range(1, side), axis)
        start = index_of if wrap else index_of.take(range(side - 1), axis)
        pairs.append((start.ravel(), following.ravel()))
    u, v = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return _from_edges(u, v, index_of.size, family, sides)


def _hamming(d: int, q: int, family: str, parameters: tuple[int, ...]) -> Graph:
    degree = d * (q - 1)
    _check_size(float("inf") if d * log(q) > 100 else float(q) ** d * degree, family)
    n = q**d
    node = np.arange(n, dtype=np.int32)
    # Every row has ``degree`` entries, so the CSR arrays are written directly.
    neighbours = np.empty((n, degree), dtype=np.int32)
    for k in range(d):
        stride = q**k
        digit = node // stride % q
        for shift in range(1, q):
            neighbours[:, k * (q - 1) + shift - 1] = node + ((digit + shift) % q - digit) * stride
    neighbours.sort(axis=1)
    indptr = np.arange(0, n * degree + 1, degree, dtype=np.int32)
    matrix = sp.csr_array((np.ones(n * degree), neighbours.ravel(), indptr), shape=(n, n))
    return Graph(matrix, _labels(n), _word(family, parameters), family, parameters)


def _from_edges(u: Integers, v: Integers, n: int, family: str, parameters: tuple[int, ...]) -> Graph:
    rows, columns = np.concatenate([u, v]), np.concatenate([v, u])
    matrix = sp.csr_array(sp.coo_array((np.ones(rows.size), (rows, columns)), shape=(n, n)))
    return Graph(matrix, _labels(n), _word(family, parameters), family, parameters)


def _word(family: str, parameters: tuple[int, ...]) -> str:
    separator = "," if family in ("hamming", "tree", "random") else "x"
    return family + (":" + separator.join(map(str, parameters)) if parameters else "")


def _labels(n: int) -> tuple[Hashable, ...]:
    return tuple(range(n))


def _sides(sides: tuple[int, ...], minimum: int, family: str) -> tuple[int, ...]:
    if not sides:
        raise ValueError(f"{family} needs at least one side, such as {family}:4x4")
    return tuple(_at_least(side, minimum, family, "side") for side in sides)


def _at_least(value: int, minimum: int, family: str, parameter: str) -> int:
    return check_whole_number(value, f"{family} {parameter}", minimum)


def _check_size(entries: float, family: str) -> None:
    if entries > MAX_ENTRIES:
        raise ValueError(
            f"this {family} would have {entries:.1e} adjacency entries, above the limit of {MAX_ENTRIES:.0e}; "
            "use smaller parameters"
        )
