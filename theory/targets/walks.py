"""Targets beyond one hop: what a node predicts when the training pairs come from random walks.

With P = D^-1 A and a window of w steps:

    first order (DeepWalk):   T = (P + P^2 + ... + P^w) / w
    second order (node2vec):  from t -> v the walk goes on to x with probability proportional to a(t, x) A_vx,
                              a = 1/p if x = t,  1 if t and x are adjacent,  1/q otherwise

The second-order walk is a first-order chain on directed edges; pi is its stationary law, and with C_r(i, j) =
Pr(X_0 = i, X_r = j) under pi a target is a row-normalised sum of the C_r. ``side="forward"`` counts the contexts
1 .. w steps ahead, sum_r C_r; ``side="both"``, the default, also those behind, sum_r (C_r + C_r'), as skip-gram does.
For a reversible first-order chain, d_i (P^r)_ij = d_j (P^r)_ji, C_r is symmetric and both give the same target, so the
window target needs no side. A second-order walk has C_r != C_r' in general.

Stationary means the limit of long walks: walks of finite length that start uniformly over nodes differ by their first
steps, and word2vec's random shrinking of the window would weight step r by (w - r + 1) instead of equally.
Sources: Perozzi, Al-Rfou and Skiena 2014 (DeepWalk), section 4; Grover and Leskovec 2016 (node2vec), section 3.2;
Qiu et al. 2018 (NetMF), section 2, for the limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, onenormest, splu

from ..checks import (
    Array,
    check_choice,
    check_flag,
    check_real,
    check_reals,
    check_room,
    check_smoothing,
    check_type,
    check_whole_number,
    shown,
)
from ..graphs.graph import Graph, bad_weight, check_graph, weight_problem
from .one_hop import one_hop_sparse

Side = Literal["both", "forward"]
Dangling = Literal["error", "self-edge", "uniform"]

# Pairs of consecutive directed edges, sum_v d_v^2 without weights: about one gigabyte with its temporaries.
CHAIN_LIMIT = 20_000_000

# Steps of a walk: a product of n^2 numbers each. No window of practice comes near it.
WINDOW_LIMIT = 100_000

# Of p and q, and their inverses: a limit as good as infinity, whose products with weights stay in float64.
LARGEST_WALK = 1e100

# The relative error (condition number times rounding) above which a stationary law is refused.
LAW_ACCURACY = 1e-6


@dataclass(frozen=True, eq=False)
class SecondOrderChain:
    """The (p, q) walk on n nodes as a first-order Markov chain on its e directed edges.

    ``tails``, ``heads``: (e,) int64, edge k goes from tails[k] to heads[k], sorted by tail, then head; a self-loop is
    one edge. ``weights``: (e,) float64, the A of each edge. ``transition``: (e, e) float64 CSR, row-stochastic, from
    (t, v) to (v, x).
    """

    n: int
    p: float
    q: float
    tails: NDArray[np.int64] = field(repr=False)
    heads: NDArray[np.int64] = field(repr=False)
    weights: Array = field(repr=False)
    transition: sp.csr_array = field(repr=False)

    @cached_property
    def stationary(self) -> Array:
        """The law pi = pi P over directed edges, (e,) float64, positive, summing to one.

        On a connected graph the chain is irreducible and pi unique. It is solved for, not iterated, so a periodic chain
        (bipartite graphs) has it too, as its long-run average. On a disconnected graph each component carries its share
        of the total edge weight, as at p = q = 1, where pi = weights / sum(weights); targets do not depend on this
        choice. Raises ValueError when p and q are so extreme that the law has relative errors above ``LAW_ACCURACY``.
        """
        links = sp.coo_array((np.ones(len(self.tails)), (self.tails, self.heads)), shape=(self.n, self.n))
        labels = connected_components(links, directed=False)[1][self.tails]
        order = np.argsort(labels, kind="stable")
        law = np.zeros(len(self.tails))
        for edges in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
            try:
                law[edges] = _irreducible_law(self.transition[edges][:, edges]) * self.weights[edges].sum()
            except ArithmeticError:
                raise ValueError(
                    f"p = {self.p:g} and q = {self.q:g} keep the walk in place so long that its stationary law is lost "
                    "to rounding; bring p and q closer to one"
                ) from None
        return law / law.sum()

    @property
    def node_law(self) -> Array:
        """The share of time the stationary walk spends at each node, (n,) float64: the natural ``row_weight``."""
        return np.bincount(self.tails, self.stationary, minlength=self.n).astype(np.float64)


def window_target(graph: Graph, window: int, *, self_edges: bool = False, label_smoothing: float = 0.0) -> Array:
    """T = (P + ... + P^w) / w as a dense (n, n) float64 array, rows summing to one; P = D^-1 A.

    ``window`` w >= 1 (1 is the one-hop target); ``self_edges`` walks on A + I; ``label_smoothing`` a in [0, 1) gives
    (1 - a) T + a 11'/n. Weights and self-loops count as in ``one_hop_sparse``. P^r itself need not converge (bipartite
    graphs); the mean does. Raises TypeError or ValueError for a window that is no whole number >= 1, ValueError for a
    smoothing outside [0, 1) or a node without neighbours. Source: DeepWalk, in the limit of NetMF, section 2.
    """
    steps, smoothing = _check_window(window), check_smoothing(label_smoothing)
    check_room(float(check_graph(graph).n) ** 2, "the dense target")
    return _smooth(_mean_power(one_hop_sparse(graph, self_edges=self_edges), steps), smoothing)


def second_order_chain(graph: Graph, p: float, q: float, *, self_edges: bool = False) -> SecondOrderChain:
    """The node2vec walk with return parameter ``p`` and in-out parameter ``q``; see the module for the equation.

    "Adjacent" ignores weights, and x = t comes first, so a step back costs 1/p even where t has a self-loop.
    ``self_edges`` walks on A + I. Large p: no turning back where there is a choice. Large q: stay near t.
    Raises TypeError or ValueError unless p and q are positive finite numbers, ValueError for a node without neighbours,
    or a graph with more than ``CHAIN_LIMIT`` pairs of consecutive edges. Source: node2vec, section 3.2.2.
    """
    p, q = _check_walk(p, "p"), _check_walk(q, "q")
    one_hop_sparse(graph, self_edges=self_edges)  # refuses nodes without neighbours
    adjacency = graph.adjacency
    if self_edges:
        adjacency = sp.csr_array(adjacency + sp.eye_array(graph.n, format="csr"))
    counts = np.diff(adjacency.indptr).astype(np.int64)
    tails = np.repeat(np.arange(graph.n), counts)
    heads = adjacency.indices.astype(np.int64)
    successors = counts[heads]
    size = int(successors.sum())
    if size > CHAIN_LIMIT:
        raise ValueError(
            f"the second-order walk on {shown(graph.name)} has {size} pairs of consecutive edges (limit {CHAIN_LIMIT})"
            "; use a graph with smaller degrees, or window_target for p = q = 1"
        )
    # Edge k is followed by the edges out of its head, a contiguous range of the CSR order.
    start = np.concatenate([[0], np.cumsum(successors)])
    following = np.arange(size) - np.repeat(start[:-1] - adjacency.indptr[heads], successors)
    origin, onward = np.repeat(tails, successors), heads[following]
    support = sp.csr_array((np.ones(len(heads)), heads, adjacency.indptr), shape=adjacency.shape)
    near = np.asarray(support[origin, onward]).ravel() > 0
    unit = min(p, q, 1.0)  # factors relative to the largest: no overflow
    factor = np.where(onward == origin, unit / p, np.where(near, unit, unit / q))
    rates = factor * adjacency.data[following]
    totals = np.add.reduceat(rates, start[:-1]) if len(heads) else np.zeros(0)
    transition = sp.csr_array((rates / np.repeat(totals, successors), following, start), shape=(len(heads),) * 2)
    return SecondOrderChain(graph.n, p, q, tails, heads, adjacency.data.copy(), transition)


def co_occurrence(chain: SecondOrderChain, window: int, *, side: Side = "both") -> Array:
    """The joint law of (centre, context) over a window of the stationary walk: (n, n) float64, summing to one.

    sum_{r<=w} C_r / w for ``side="forward"``, the symmetric sum_{r<=w} (C_r + C_r') / (2 w) for "both". Its row sums
    are ``chain.node_law`` either way. Errors as ``node2vec_target``.
    """
    check_type(chain, SecondOrderChain, "chain", "make one with second_order_chain")
    steps = _check_window(window)
    check_choice(side, "side", get_args(Side))
    check_room(float(len(chain.tails)) * chain.n, "the law of contexts")
    edges = np.arange(len(chain.tails))
    shape = (len(edges), chain.n)
    starts = sp.csr_array((np.ones(len(edges)), (edges, chain.tails)), shape=shape)
    first = sp.csr_array((np.ones(len(edges)), (edges, chain.heads)), shape=shape).toarray()
    reached = first
    for _ in range(steps - 1):
        reached = first + chain.transition @ reached
    joint: Array = starts.T @ (chain.stationary[:, None] * reached) / steps
    return (joint + joint.T) / 2 if side == "both" else joint


def node2vec_target(
    graph: Graph,
    p: float,
    q: float,
    window: int = 1,
    *,
    side: Side = "both",
    self_edges: bool = False,
    label_smoothing: float = 0.0,
) -> Array:
    """The node2vec target: the co-occurrence of centre and context on the stationary (p, q) walk, row-normalised.

    Dense (n, n) float64, rows summing to one; p = q = 1 is ``window_target``, either side. With ``side="both"``,
    diag(node_law) T is symmetric. Needs an undirected graph (a(t, x) is symmetric there) and O(e n) memory, e directed
    edges. Raises as ``second_order_chain`` and ``window_target``, and ValueError for an unknown side or a stationary
    law lost to rounding. Source: node2vec, section 3.2; exact instead of sampled.
    """
    steps, smoothing = _check_window(window), check_smoothing(label_smoothing)
    joint = co_occurrence(second_order_chain(graph, p, q, self_edges=self_edges), steps, side=side)
    return _smooth(joint / joint.sum(axis=1, keepdims=True), smoothing)


def directed_target(
    adjacency: ArrayLike | sp.sparray,
    *,
    window: int = 1,
    self_edges: bool = False,
    dangling: Dangling = "error",
    label_smoothing: float = 0.0,
) -> Array:
    """The target of a directed graph, T = mean_{r<=w} (D_out^-1 A)^r, A_ij the weight of the edge i -> j.

    ``adjacency``: (n, n) dense or SciPy sparse, real, finite, non-negative. Dense (n, n) float64, rows summing to one.
    Contexts are those ahead of the centre. ``dangling``, for nodes without an edge out: "error"; "self-edge", they
    predict themselves; "uniform", they predict all nodes alike (PageRank's convention). ``self_edges`` adds one to
    every A_ii, so that no node dangles.
    Its support is not symmetric in general: ``tied_optimum`` then needs a weight decay above zero.
    Raises TypeError for an adjacency that is not real, ValueError for one of another kind not allowed above.
    """
    steps, smoothing = _check_window(window), check_smoothing(label_smoothing)
    check_choice(dangling, "dangling", get_args(Dangling))
    check_flag(self_edges, "self_edges")
    weights: Any = adjacency if sp.issparse(adjacency) else check_reals(adjacency, "adjacency", kinds="biuf")
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or weights.shape[0] == 0:
        raise ValueError(f"a directed adjacency must be a non-empty square matrix; got shape {weights.shape}")
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"edge weights must be real numbers; got dtype {weights.dtype}")
    check_room(float(weights.shape[0]) ** 2, "the dense target")
    entries = sp.coo_array(weights, dtype=np.float64)
    bad = bad_weight(entries.data)
    if bad is not None:
        i, j, weight = entries.row[bad], entries.col[bad], entries.data[bad]
        raise ValueError(
            f"the weight {weight} of edge {i} -> {j} {weight_problem(weight)}; use finite weights of zero or more"
        )
    a = sp.csr_array(entries)
    n = a.shape[0]
    if self_edges:
        a = sp.csr_array(a + sp.eye_array(n, format="csr"))
    out = np.asarray(a.sum(axis=1)).ravel()
    stuck = np.flatnonzero(out == 0)
    if stuck.size:
        if dangling == "error":
            shown = ", ".join(map(str, stuck[:3])) + (", ..." if stuck.size > 3 else "")
            raise ValueError(
                f"{stuck.size} node(s) ({shown}) have no edge out to predict; remove them, use self_edges=True, "
                "or dangling='self-edge' or 'uniform'"
            )
        columns = stuck if dangling == "self-edge" else np.tile(np.arange(n), stuck.size)
        rows = np.repeat(stuck, len(columns) // stuck.size)
        a = sp.csr_array(a + sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=a.shape))
        out = np.asarray(a.sum(axis=1)).ravel()
    return _smooth(_mean_power(sp.csr_array(sp.diags_array(1.0 / out) @ a), steps), smoothing)


def _mean_power(step: sp.csr_array, window: int) -> Array:
    dense_step: Array = step.toarray()
    total = dense_step
    for _ in range(window - 1):
        total = dense_step + step @ total
    return total / window


def _irreducible_law(transition: sp.csr_array) -> Array:
    """The left eigenvector of an irreducible stochastic matrix at 1; ArithmeticError when it is ill-determined."""
    m = transition.shape[0]
    if m == 1:
        return np.ones(1)
    balance = sp.csc_array((sp.eye_array(m) - transition).T)
    # The balance equations have rank m - 1: fix the last entry at one and drop the last equation.
    inner = sp.csc_array(balance[:-1, :-1])
    try:
        factors = splu(inner)
    except RuntimeError as error:  # exactly singular
        raise ArithmeticError from error
    inverse = LinearOperator((m - 1, m - 1), matvec=factors.solve, rmatvec=lambda x: factors.solve(x, "T"))
    condition = onenormest(inverse, t=1) * abs(inner).sum(axis=0).max()
    if not condition * np.finfo(float).eps <= LAW_ACCURACY:
        raise ArithmeticError
    law = np.append(factors.solve(-balance[:-1, [m - 1]].toarray().ravel()), 1.0)
    return np.asarray(law / law.sum())


def _smooth(target: Array, smoothing: float) -> Array:
    return (1.0 - smoothing) * target + smoothing / len(target)


def _check_window(window: int) -> int:
    return check_whole_number(window, "window", 1, WINDOW_LIMIT)


def _check_walk(value: float, name: str) -> float:
    number = check_real(value, name)
    if not 1 / LARGEST_WALK <= number <= LARGEST_WALK:
        limits = f"use {1 / LARGEST_WALK:.0e} to {LARGEST_WALK:.0e}"
        raise ValueError(f"{name} must be positive and finite; got {shown(value)}; {limits}")
    return number
