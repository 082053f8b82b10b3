"""The optimum of Node2Vec on a graph of any size, by the cheapest route that is exact.

In this order: a closed form (theory.closed_forms), the blocks of the graph's symmetry (theory.reduced_optimum and
theory.reduced_untied), the dense solver (theory.optimum, theory.untied). Each answers with a certificate; ``method``
says which it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Array, brief, check_flag
from ..closed_forms.form import ClosedForm
from ..closed_forms.tied import closed_form_optimum
from ..graphs.graph import Graph
from ..optimum.certificate import Certificate
from ..optimum.rank import RankRange, tied_rank_range, twin_classes, untied_rank_range
from ..optimum.tied import OPTIMUM_LIMIT, TiedOptimum, tied_optimum
from ..optimum.untied import UntiedOptimum, untied_optimum
from ..softmax import check_row_weight, check_target, row_softmax
from ..symmetry.of_graph import Symmetry, graph_symmetry
from ..symmetry.optimum import UNKNOWNS_LIMIT, ReducedOptimum, reduced_tied_optimum
from ..symmetry.untied import ReducedUntiedOptimum, reduced_untied_optimum, untied_unknowns
from ..targets.one_hop import one_hop_sparse, one_hop_target

SYMMETRY_PAYS = 0.25  # colours per pair of nodes above which the blocks are hardly smaller than the whole matrix


@dataclass(frozen=True, eq=False)
class GraphOptimum:
    """What every route answers.

    ``eigenvalues`` (k,) with ``multiplicities`` (k,), descending: non-zero eigenvalues of the centred Gram matrix
    (tied) or singular values of the logits (untied; empty where they diverge). ``rank_range``: what is proved of their
    number, see ``optimum.rank``. ``loss_per_node`` without weight decay;
    an infimum where it is not ``attained``. ``diverging``: directions along which K grows without bound. ``detail``:
    the route's own result.
    """

    tied: bool
    loss_per_node: float
    weight_decay: float
    attained: bool
    eigenvalues: Array
    multiplicities: NDArray[np.int64]
    rank_range: RankRange
    diverging: int
    certificate: Certificate
    method: str
    detail: ClosedForm | ReducedOptimum | ReducedUntiedOptimum | TiedOptimum | UntiedOptimum

    @property
    def rank(self) -> int:
        """Rank of the centred Gram matrix (untied: of the logits)."""
        return int(self.multiplicities.sum())


def graph_optimum(
    graph: Graph,
    *,
    tied: bool = True,
    weight_decay: float = 0.0,
    self_edges: bool = False,
    label_smoothing: float = 0.0,
) -> GraphOptimum:
    """The certified optimum for the one-hop target of ``graph``, row weights one.

    Raises ValueError for a bad option, an isolated node without self-edges, or a graph of more than OPTIMUM_LIMIT nodes
    with neither closed form nor enough symmetry; RuntimeError when no certified optimum is found.

    >>> from fiedler.theory import graph_optimum, parse
    >>> optimum = graph_optimum(parse("path-star:4x5"))
    >>> round(optimum.loss_per_node, 6), optimum.rank
    (1.285787, 3)
    >>> optimum.multiplicities.tolist(), optimum.eigenvalues.round(2).tolist()  # the arms, told apart
    ([3], [47.28])
    >>> graph_optimum(parse("cycle:100000")).method
    'closed form (cycle)'
    """
    check_flag(tied, "tied")
    one_hop_sparse(graph, self_edges=self_edges)  # the error for isolated nodes, which names them
    known = closed_form_optimum(
        graph, tied=tied, weight_decay=weight_decay, self_edges=self_edges, label_smoothing=label_smoothing
    )
    if known is not None:
        return _from_closed_form(known)
    symmetry = useful_symmetry(graph)
    if symmetry is not None:
        target = symmetry.target(self_edges=self_edges, label_smoothing=label_smoothing)
        if not tied and (weight_decay == 0 or untied_unknowns(symmetry.algebra) <= UNKNOWNS_LIMIT):
            reduced = reduced_untied_optimum(symmetry.algebra, target, weight_decay=weight_decay)
            return _from_untied_blocks(reduced, symmetry)
        if tied and (weight_decay > 0 or label_smoothing > 0 or graph.component_count == 1):
            return _from_blocks(reduced_tied_optimum(symmetry.algebra, target, weight_decay=weight_decay), symmetry)
    if graph.n > OPTIMUM_LIMIT:
        raise ValueError(
            f"{brief(graph.name)} has {graph.n} nodes, no closed form and too little symmetry, and the dense optimum "
            f"handles up to {OPTIMUM_LIMIT}; use a smaller graph"
        )
    target = one_hop_target(graph, self_edges=self_edges, label_smoothing=label_smoothing)
    return target_optimum(target, tied=tied, weight_decay=weight_decay)


def target_optimum(
    target: ArrayLike, *, tied: bool = True, weight_decay: float = 0.0, row_weight: ArrayLike | None = None
) -> GraphOptimum:
    """The certified optimum for any row-stochastic ``target`` (n, n) and row weights (n,), ones when None, by the dense
    route, in the same form; ``loss_per_node`` is L / sum_i w_i.

    Raises as ``tied_optimum`` and ``untied_optimum``.
    """
    if check_flag(tied, "tied"):
        optimum = tied_optimum(target, weight_decay=weight_decay, row_weight=row_weight)
        return _from_dense(optimum, dense_tied_rank_range(optimum, target, row_weight=row_weight))
    untied = untied_optimum(target, weight_decay=weight_decay, row_weight=row_weight)
    return _from_untied(untied, dense_untied_rank_range(untied, target, row_weight=row_weight))


def dense_tied_rank_range(optimum: TiedOptimum, target: ArrayLike, *, row_weight: ArrayLike | None = None) -> RankRange:
    """What ``tied_rank_range`` proves of the rank of a dense optimum of this target and these weights; the sum over the
    components where K is only finite within each."""
    t, labels = check_target(target), optimum.components
    w, decay = check_row_weight(row_weight, len(t)), optimum.weight_decay
    objective = optimum.loss + decay * float(np.trace(optimum.gram))
    parts = []
    for c in range(int(labels.max()) + 1):
        nodes = np.flatnonzero(labels == c)
        if not w[nodes].any():  # in no row of the loss
            continue
        part, weight, gram = t[np.ix_(nodes, nodes)], w[nodes], optimum.gram[np.ix_(nodes, nodes)]
        p = row_softmax(gram + optimum.bias[nodes])
        r = weight[:, None] * (part - p)
        parts.append(
            tied_rank_range(
                gram, p, decay * np.eye(len(p)) - (r + r.T) / 2, optimum.certificate.duality_gap,
                weight_decay=decay, row_weight=weight, magnitude=objective, twins=twin_classes(part, weight),
            )
        )  # fmt: skip
    left = sorted((value for part in parts for value in part.unresolved), reverse=True)
    ones = (1,) * len(left)
    return RankRange(sum(part.low for part in parts), sum(part.high for part in parts), tuple(left), ones)


def dense_untied_rank_range(
    optimum: UntiedOptimum, target: ArrayLike, *, row_weight: ArrayLike | None = None
) -> RankRange:
    """The same for the logits of a dense untied optimum: zero where they diverge. Without decay the logits are the
    closed form log T, constant on twins, whose singular values that round to zero are not proved to be zero."""
    if optimum.logits is None:
        return RankRange(0, 0)
    t = check_target(target)
    if optimum.weight_decay == 0:
        return RankRange(optimum.rank, max(optimum.rank, int(twin_classes(t, row_weight).max())))
    w, p = check_row_weight(row_weight, len(t)), row_softmax(optimum.logits)
    objective = optimum.loss + optimum.weight_decay * float(optimum.singular_values.sum())
    return untied_rank_range(
        optimum.logits, p, w[:, None] * (t - p), optimum.certificate.duality_gap,
        weight_decay=optimum.weight_decay, row_weight=w, magnitude=objective,
    )  # fmt: skip


def useful_symmetry(graph: Graph) -> Symmetry | None:
    """The graph's symmetry where its blocks are much smaller than the whole matrix, else None."""
    symmetry = graph_symmetry(graph)
    if symmetry is None:
        return None
    unknowns = sum(d * (d + 1) // 2 for d in symmetry.algebra.dimensions)
    small = symmetry.algebra.colours <= SYMMETRY_PAYS * float(graph.n) ** 2
    return symmetry if small and unknowns <= UNKNOWNS_LIMIT else None


def _from_closed_form(closed: ClosedForm) -> GraphOptimum:
    # With S <= (l + e) I and |S - l I| <= s on K, convexity bounds what any K' of the same trace could still gain.
    trace = float(closed.eigenvalues @ closed.multiplicities)
    gap = (max(closed.excess, 0.0) + closed.stationarity) * trace
    return GraphOptimum(
        closed.tied,
        closed.loss_per_node,
        closed.weight_decay,
        closed.attained,
        closed.eigenvalues,
        closed.multiplicities,
        closed.rank_range,
        0,
        Certificate(closed.max_violation, gap),
        f"closed form ({closed.family})",
        closed,
    )


def _from_blocks(reduced: ReducedOptimum, symmetry: Symmetry) -> GraphOptimum:
    return GraphOptimum(
        True,
        reduced.loss_per_node,
        reduced.weight_decay,
        reduced.attained,
        reduced.eigenvalues,
        reduced.multiplicities,
        reduced.rank_range,
        0,
        reduced.certificate,
        f"{reduced.method}: {symmetry.method}",
        reduced,
    )


def _from_untied_blocks(reduced: ReducedUntiedOptimum, symmetry: Symmetry) -> GraphOptimum:
    return GraphOptimum(
        False,
        reduced.loss_per_node,
        reduced.weight_decay,
        reduced.attained,
        reduced.singular_values,
        reduced.multiplicities,
        reduced.rank_range,
        0,
        reduced.certificate,
        f"{reduced.method}: {symmetry.method}",
        reduced,
    )


def _from_dense(optimum: TiedOptimum, ranks: RankRange) -> GraphOptimum:
    values = optimum.eigenvalues
    return GraphOptimum(
        True,
        optimum.loss_per_node,
        optimum.weight_decay,
        optimum.attained,
        values,
        np.ones(len(values), dtype=np.int64),
        ranks,
        optimum.diverging,
        optimum.certificate,
        optimum.method,
        optimum,
    )


def _from_untied(optimum: UntiedOptimum, ranks: RankRange) -> GraphOptimum:
    values = optimum.singular_values
    return GraphOptimum(
        False,
        optimum.loss_per_node,
        optimum.weight_decay,
        optimum.attained,
        values,
        np.ones(len(values), dtype=np.int64),
        ranks,
        0,
        optimum.certificate,
        optimum.method,
        optimum,
    )
