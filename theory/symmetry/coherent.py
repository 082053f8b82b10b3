"""Coherent configuration of a graph: the coarsest colouring of node pairs that is closed under matrix products.

The stable colouring of the 2-dimensional Weisfeiler-Leman refinement: pairs (i, j) keep one colour as long as the
multiset over k of the colours of (i, k) and (k, j) agrees. Its 0/1 colour matrices span the graph's coherent algebra:
closed under product, transpose and entrywise product, with I, 11' and A inside. Row-softmax uses entrywise
exponentials and row sums only, so the Gram flow from K(0) = s^2 I and every optimum are constant on colours.

Exactness: a refinement step compares (R S)_ij, where R and S hold one random integer a colour, small enough for every
sum to be an exact integer in float64. Equal multisets give equal sums, so no class is ever split wrongly. Unequal ones
could collide; by the Schwartz-Zippel lemma that leaves the result too coarse with probability below 1e-16 (PROBES
independent draws, whose seed is fixed). Edge weights are compared as exact float64 values.
Source: Weisfeiler and Leman 1968; Higman 1975 (coherent configurations).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graphs.graph import Graph, check_graph

Integers = NDArray[np.int64]

COLOURING_LIMIT = 3000  # nodes: the refinement holds a few n x n arrays and multiplies them once a probe and round
PROBES = 3  # a collision has probability 2 / RANGE each
RANGE = 2**20  # n RANGE^2 < 2^53 for n <= COLOURING_LIMIT: all sums are exact


@dataclass(frozen=True, eq=False)
class Colouring:
    """Colour classes of the pairs of n nodes in r types.

    ``colour`` (n, n): class of each pair, 0 .. q-1 in order of first appearance, row by row. ``node_type`` (n,): type
    of each node (the class of (i, i)), 0 .. r-1 in order of first appearance. Per colour (q,): ``row_type`` and
    ``column_type``, ``valency`` (entries in each row of its row type), ``transpose`` (the class of the swapped pairs).
    """

    colour: Integers
    node_type: Integers
    row_type: Integers
    column_type: Integers
    valency: Integers
    transpose: Integers

    @property
    def n(self) -> int:
        return len(self.node_type)

    @property
    def count(self) -> int:
        """Number q of colours: the dimension of the coherent algebra."""
        return len(self.valency)

    @property
    def type_sizes(self) -> Integers:
        """Number of nodes of each type (r,)."""
        return np.bincount(self.node_type)


def coherent_colouring(graph: Graph) -> Colouring:
    """The stable colouring of the pairs of nodes of ``graph``, edge weights and self-loops told apart.

    Cost O(n^3) a round, few rounds; O(n^2) memory. Raises ValueError above COLOURING_LIMIT nodes.
    """
    n = check_graph(graph).n
    if n > COLOURING_LIMIT:
        raise ValueError(
            f"the colouring of node pairs handles up to {COLOURING_LIMIT} nodes, got {n}; a family with a closed form "
            "(cycle, torus, hypercube, hamming, path-star) needs none"
        )
    values = np.unique(graph.adjacency.toarray(), return_inverse=True)[1].reshape(n, n)
    colour = _number(values * 2 + np.eye(n, dtype=np.int64))
    rng = np.random.default_rng(0)
    while True:
        refined = _refine(colour, rng)
        if refined.max() == colour.max():
            break
        colour = refined
    return _describe(colour)


def node_refinement(graph: Graph) -> Integers:
    """Colour refinement of the nodes (1-dimensional Weisfeiler-Leman), (n,): types 0, 1, ... in order of first
    appearance. Coarser than the node types of ``coherent_colouring``, and cheap: O(edges) a round.

    Exact in the same sense: sums of random integers over neighbours of each weight, never splitting a type wrongly.
    """
    weights, which = np.unique(graph.adjacency.data, return_inverse=True)
    rng = np.random.default_rng(0)
    own = graph.adjacency.diagonal()
    colour = _number(np.unique(own, return_inverse=True)[1].astype(np.int64))
    adjacency = graph.adjacency.copy()
    while True:
        refined = colour
        for _ in range(PROBES):
            adjacency.data = rng.integers(1, RANGE, len(weights)).astype(np.float64)[which]
            values = rng.integers(1, RANGE, int(refined.max()) + 1).astype(np.float64)
            sums = np.unique(adjacency @ values[refined], return_inverse=True)[1]
            refined = _number(refined * (int(sums.max()) + 1) + sums)
        if refined.max() == colour.max():
            return colour
        colour = refined


def _refine(colour: Integers, rng: np.random.Generator) -> Integers:
    for _ in range(PROBES):
        left, right = rng.integers(1, RANGE, (2, int(colour.max()) + 1)).astype(np.float64)
        sums = (left[colour] @ right[colour]).astype(np.int64)
        sums = np.unique(sums, return_inverse=True)[1].reshape(sums.shape)
        colour = _number(colour * (int(sums.max()) + 1) + sums)  # both factors below n^2 <= 1e7: no overflow
    return colour


def _number(labels: Integers) -> Integers:
    """Labels renamed 0, 1, ... in order of first appearance."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse].reshape(labels.shape)


def _describe(colour: Integers) -> Colouring:
    n, count = len(colour), int(colour.max()) + 1
    node_type = _number(np.diagonal(colour).copy())
    flat = colour.ravel()
    first = np.unique(flat, return_index=True)[1]
    rows, columns = np.divmod(first, n)
    row_type, column_type = node_type[rows], node_type[columns]
    valency = np.bincount(flat, minlength=count) // np.bincount(node_type)[row_type]
    return Colouring(colour, node_type, row_type, column_type, valency, colour[columns, rows])
