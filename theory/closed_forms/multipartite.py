"""The tied optimum on complete multipartite graphs (complete, complete bipartite, stars): zero, and its proof.

With sigma_p the sum of x over part p, d_p = n - |p| and sum_p sigma_p = 0,

    x' T x = sum_p (sigma_p / d_p) (sum_q sigma_q - sigma_p) = - sum_p sigma_p^2 / d_p <= 0.

lambda = 0: take P = 1 pi', pi the column means of T (logits: the bias log pi). Column sums match, and
J S J = (1 - alpha) J sym(T) J <= 0, so K = 0 satisfies the KKT conditions of a convex problem; L / n = H(pi). It is
attained when pi is uniform, that is for equal parts; otherwise the bias is outside the column space of K = 0.
lambda > 0 has no bias: S at K = 0 is (1 - alpha) sym(T - 11'/n). For equal parts S <= 0. For unequal ones S 1 is not
zero while 1' S 1 is, so S has a positive eigenvalue, that of the quotient over part sizes: K = 0 from there on.
Self-edges: the complete graph has T = 11'/n, S = 0. In other graphs differences within a part have S > 0 at K = 0.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

from ..checks import check_whole_number
from ..graphs.graph import Graph
from .form import ClosedForm, check_options
from .product import ProductKernel


def multipartite_optimum(
    *parts: int, weight_decay: float = 0.0, self_edges: bool = False, label_smoothing: float = 0.0
) -> ClosedForm | None:
    """The tied optimum on a complete multipartite graph with these part sizes; see the module.

    None with self-edges, but for the complete graph, and for unequal parts under a decay below ``zero_from``.
    """
    weight_decay, self_edges, label_smoothing = check_options(weight_decay, self_edges, label_smoothing)
    sizes = np.array([check_whole_number(part, "a part size", 1) for part in parts], dtype=np.int64)
    if sizes.size < 2:
        raise ValueError("a complete multipartite graph needs at least two parts")
    n, complete = int(sizes.sum()), bool((sizes == 1).all())
    if self_edges and not complete:
        return None
    equal = bool((sizes == sizes[0]).all())
    inside = 0.0 if self_edges or not complete else -1 / (n - 1)
    top = inside if equal else _quotient_top(sizes)
    zero_from = max(0.0, (1 - label_smoothing) * top)
    if weight_decay > 0 and weight_decay < zero_from:
        return None
    column = (sizes / (n - sizes)).sum() - sizes / (n - sizes) if not self_edges else np.ones(sizes.size)
    pi = (1 - label_smoothing) * column / n + label_smoothing / n
    loss = log(n) if weight_decay > 0 or equal else float(-(sizes * pi) @ np.log(pi))
    excess = (1 - label_smoothing) * (top if weight_decay > 0 else inside) - weight_decay
    attained = equal or weight_decay > 0
    kernel = ProductKernel(n, ())
    none = np.zeros(0)
    return ClosedForm(
        *("complete multipartite", n, True, none, none.astype(np.int64), loss, float(weight_decay), attained),
        *((), excess, 0.0, zero_from, kernel),
    )


def multipartite_parts(graph: Graph) -> tuple[int, ...] | None:
    """The part sizes of a complete multipartite graph with equal edge weights, or None; exact, linear in the edges.

    The part of i must be the nodes i is not adjacent to, so it is named by its smallest member, the first gap in row i.
    If no edge joins equal names and every degree is n minus the number of nodes of that name, rows are complements.
    """
    a, n = graph.adjacency, graph.n
    degrees = np.diff(a.indptr)
    if degrees.min() == 0 or (a.data != a.data[0]).any():
        return None
    row = np.repeat(np.arange(n), degrees)
    before_gap = a.indices == np.arange(a.nnz) - a.indptr[row]
    name = np.bincount(row[before_gap], minlength=n)
    sizes = np.bincount(name, minlength=n + 1)
    if (name[row] == name[a.indices]).any() or (degrees != n - sizes[name]).any():
        return None
    return tuple(int(size) for size in sizes[sizes > 0])


def _quotient_top(parts: NDArray[np.int64]) -> float:
    """The top eigenvalue of sym(T - 11'/n) on vectors that are equal on all parts of one size."""
    size, count = np.unique(parts, return_counts=True)
    n, nodes = int(parts.sum()), size * count
    rows = (nodes - np.diag(size)) / (n - size)[:, None]  # probability of stepping into each group
    root = np.sqrt(nodes)
    t = root[:, None] * rows / root
    return float(np.linalg.eigvalsh((t + t.T) / 2 - np.outer(root, root) / n)[-1])
