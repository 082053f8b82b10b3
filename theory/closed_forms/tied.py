"""Optima of Node2Vec in closed form: spectrum, rank, loss and KKT violation without any n x n array.

Tied: products of cycles and complete graphs (``closed_forms.product``) and complete multipartite graphs
(``closed_forms.multipartite``). Untied: ``closed_forms.untied``. Equations and proofs are in those modules. Targets
T = D^-1 A with self-edges and label smoothing as in ``targets.one_hop``, row weights one. ``optimum.tied`` and
``optimum.untied`` solve and certify any small graph by dense linear algebra.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_flag, check_vector, check_whole_number
from ..graphs.graph import Graph, check_graph
from .form import MATRIX_LIMIT, ClosedForm, check_options, is_strict
from .multipartite import multipartite_optimum, multipartite_parts
from .product import (
    ACCEPTED_EXCESS,
    MODE_LIMIT,
    Axis,
    Factor,
    ProductKernel,
    eigenvalues,
    largest_excess,
    loss_per_node,
    solve_axes,
    stationarity,
)
from .untied import untied_closed_form

SIDE_LIMIT = 2 * MODE_LIMIT  # nodes of one cycle: half as many modes are checked
LARGEST_BITS = 1000  # log2 of the nodes: multiplicities are float64


def closed_form_optimum(
    graph: Graph,
    *,
    tied: bool = True,
    weight_decay: float = 0.0,
    self_edges: bool = False,
    label_smoothing: float = 0.0,
) -> ClosedForm | None:
    """The optimum of Node2Vec on ``graph``, or None where no closed form is known or the known one is not optimal.

    Tied: cycle, torus, hypercube, hamming and grids of sides 1 and 2 by ``family``; complete multipartite graphs
    (complete, complete bipartite, stars) by an exact test of the adjacency. Untied: ``untied_closed_form``.
    Raises ValueError for a weight decay or label smoothing out of range, untied also for isolated nodes.

    >>> from fiedler.theory import closed_form_optimum, parse
    >>> optimum = closed_form_optimum(parse("cycle:15"))
    >>> optimum.multiplicities.tolist(), optimum.eigenvalues.round(3).tolist()  # one circle
    ([2], [45.58])
    >>> round(optimum.loss_per_node, 6)
    1.434918
    >>> closed_form_optimum(parse("karate")) is None
    True
    """
    options: dict[str, Any] = {
        "weight_decay": weight_decay,
        "self_edges": self_edges,
        "label_smoothing": label_smoothing,
    }
    check_graph(graph)
    check_options(weight_decay, self_edges, label_smoothing)
    if not check_flag(tied, "tied"):
        return untied_closed_form(graph, **options)
    p, family = graph.parameters, graph.family
    if family == "cycle":
        return cycle_optimum(p[0], **options)
    if family == "torus":
        return torus_optimum(*p, **options)
    if family in ("hypercube", "hamming"):
        return hamming_optimum(p[0], 2 if family == "hypercube" else p[1], **options)
    if family == "grid" and max(p) == 2:
        return hamming_optimum(p.count(2), 2, **options)
    parts = multipartite_parts(graph)
    return None if parts is None else multipartite_optimum(*parts, **options)


def cycle_optimum(
    n: int, *, weight_decay: float = 0.0, self_edges: bool = False, label_smoothing: float = 0.0
) -> ClosedForm | None:
    """The tied optimum on the cycle C_n: K_ij = c cos(2 pi (i - j) / n); zero for n <= 4."""
    factors: list[Factor] = [("cycle", check_whole_number(n, "a cycle's n", 3, SIDE_LIMIT))]
    return _product("cycle", factors, weight_decay, self_edges, label_smoothing)


def torus_optimum(
    *sides: int, weight_decay: float = 0.0, self_edges: bool = False, label_smoothing: float = 0.0
) -> ClosedForm | None:
    """The tied optimum on a product of cycles: K_ij = sum_a c_a cos(2 pi (i_a - j_a) / n_a), one equation per side."""
    if not sides:
        raise ValueError("a torus needs at least one side")
    factors: list[Factor] = [("cycle", check_whole_number(side, "a torus side", 3, SIDE_LIMIT)) for side in sides]
    return _product("torus", factors, weight_decay, self_edges, label_smoothing)


def hamming_optimum(
    d: int, q: int, *, weight_decay: float = 0.0, self_edges: bool = False, label_smoothing: float = 0.0
) -> ClosedForm | None:
    """The tied optimum on H(d, q): K_ij = c (number of equal symbols - d / q); hypercubes are q = 2, K_q is d = 1.

    c = ln((1 + (q - 1) r) / (1 - r)), r = (1 - alpha) (1 - q / degree) - lambda; zero for r <= 0, at lambda = alpha = 0
    complete graphs and C_4 = H(2, 2).
    """
    q, d = check_whole_number(q, "a Hamming graph's q", 2), check_whole_number(d, "a Hamming graph's d", 1)
    if d * log2(q) > LARGEST_BITS:
        raise ValueError(f"H({d}, {q}) has more than 2^{LARGEST_BITS} nodes, too many to count in float64")
    factors: list[Factor] = [("complete", q)] * d
    return _product("hamming", factors, weight_decay, self_edges, label_smoothing)


def path_star_gram(arms: int, length: int, profile: ArrayLike) -> Array:
    """(I - 11'/arms) (x) h h' on the arms of a path-star, zero at the root, in the node order of ``path_star``.

    ``profile`` (length - 1,): h at each depth from the root's child to the leaf. The non-zero eigenvalue is |h|^2,
    arms - 1 times. By convexity the optimum is invariant under the permutations of the arms, so its part outside the
    vectors equal on all arms is (I - 11'/arms) (x) H. That H has rank one and the rest is zero is proved graph by
    graph, where ``rank_range`` of the optimum is arms - 1 (``symmetry.face``; up to some 1,400 arms of 5).
    """
    arms, length = check_whole_number(arms, "arms", 1), check_whole_number(length, "length", 2)
    h = check_vector(profile, "profile", length - 1)  # one a depth below the root
    n = arms * (length - 1) + 1
    if n > MATRIX_LIMIT:
        raise ValueError(f"an (n, n) matrix is built for up to {MATRIX_LIMIT} nodes only, got {n}")
    return np.pad(np.kron(np.eye(arms) - 1 / arms, np.outer(h, h)), ((1, 0), (1, 0)))


def _product(family: str, factors: Sequence[Factor], decay: float, loops: bool, smoothing: float) -> ClosedForm | None:
    decay, loops, smoothing = check_options(decay, loops, smoothing)
    axes: tuple[Axis, ...] = tuple(solve_axes(factors, loops, smoothing, decay))
    excess = largest_excess(axes, smoothing, decay)
    if (decay > 0 or smoothing > 0) and excess > ACCEPTED_EXCESS * min(axis.first for axis in axes):
        return None
    n = prod(axis.size for axis in axes)
    missed = stationarity(axes)
    descending = sorted(eigenvalues(axes).items(), reverse=True)
    return ClosedForm(
        family,
        n,
        True,
        np.array([value for value, _ in descending]),
        np.array([count for _, count in descending], dtype=np.int64),
        loss_per_node(axes, smoothing),
        float(decay),
        True,
        tuple(axis.scalar for axis in axes),
        excess,
        missed,
        max(0.0, (1 - smoothing) * (1 - min(axis.first for axis in axes))),
        ProductKernel(n, axes),
        (decay == 0 and smoothing == 0) or is_strict(excess, missed),
    )
