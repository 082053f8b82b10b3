"""The optimum of Node2Vec on a graph of any size, by the cheapest route that is exact.

In this order: a closed form (theory.closed_forms), the blocks of the graph's symmetry (theory.reduced_optimum and
theory.reduced_untied), the dense solver (theory.optimum, theory.untied). Each answers with a certificate; ``method``
says which it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ..checks import Array, check_flag
from ..closed_forms.form import ClosedForm
from ..closed_forms.tied import closed_form_optimum
from ..graphs.graph import Graph
from ..optimum.certificate import Certificate
from ..optimum.rank import RankRange
from ..optimum.row_pass import RowPass
from ..optimum.search import Watch, relative_gap
from ..optimum.target_parts import SmoothedTarget
from ..optimum.tied import TiedOptimum, tied_optimum
from ..optimum.untied import UntiedOptimum, untied_optimum
from ..symmetry.of_graph import Symmetry, graph_symmetry
from ..symmetry.optimum import UNKNOWNS_LIMIT, ReducedOptimum, reduced_tied_optimum
from ..symmetry.untied import ReducedUntiedOptimum, reduced_untied_optimum, untied_unknowns
from ..targets.one_hop import one_hop_sparse

SYMMETRY_PAYS = 0.25  # colours per pair of nodes above which the blocks are hardly smaller than the whole matrix


@dataclass(frozen=True, eq=False)
class GraphOptimum:
    """What every route answers.

    ``eigenvalues`` (k,) with ``multiplicities`` (k,), descending: non-zero eigenvalues of the centred Gram matrix
    (tied) or singular values of the logits (untied; empty where they diverge). ``rank_range``: what is proved of their
    number, see ``optimum.rank``. ``loss_per_node`` without weight decay;
    an infimum where it is not ``attained``. ``diverging``: directions along which K grows without bound. ``detail``:
    the route's own result. ``relative_gap``, ``tolerance``, ``converged``, ``stopped_by``: as in ``TiedOptimum``; the
    closed forms and the blocks are solved to rounding, whatever was asked for.
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
    relative_gap: float
    tolerance: float = 0.0
    converged: bool = True
    stopped_by: str = "tolerance"

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
    tolerance: float | None = None,
    time_limit: float | None = None,
    watch: Watch | None = None,
    row_pass: RowPass | None = None,
) -> GraphOptimum:
    """The certified optimum for the one-hop target of ``graph``, row weights one.

    ``tolerance``, ``time_limit``, ``watch``, ``row_pass``: as in ``tied_optimum``, where the general solver is used.
    Raises ValueError for a bad option or an isolated node without self-edges; RuntimeError when no certified optimum is
    found on the blocks of a symmetry.

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
    sparse = SmoothedTarget(one_hop_sparse(graph, self_edges=self_edges), label_smoothing)
    return target_optimum(
        sparse,
        tied=tied,
        weight_decay=weight_decay,
        tolerance=tolerance,
        time_limit=time_limit,
        watch=watch,
        row_pass=row_pass,
    )


def target_optimum(
    target: ArrayLike | sp.sparray | SmoothedTarget,
    *,
    tied: bool = True,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    tolerance: float | None = None,
    time_limit: float | None = None,
    watch: Watch | None = None,
    row_pass: RowPass | None = None,
) -> GraphOptimum:
    """The certified optimum for any row-stochastic ``target`` (n, n), dense or sparse, and row weights (n,), ones when
    None, by the general solver, in the same form; ``loss_per_node`` is L / sum_i w_i.

    Raises as ``tied_optimum`` and ``untied_optimum``, which say what the other keywords are.
    """
    options: dict[str, Any] = {
        "weight_decay": weight_decay,
        "row_weight": row_weight,
        "tolerance": tolerance,
        "time_limit": time_limit,
        "watch": watch,
        "row_pass": row_pass,
    }
    if check_flag(tied, "tied"):
        return _from_general(tied_optimum(target, **options))
    return _from_general(untied_optimum(target, **options))


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
    value = closed.loss_per_node * closed.n + closed.weight_decay * trace
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
        relative_gap(value, value - gap),
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
        _block_gap(reduced),
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
        _block_gap(reduced),
    )


def _from_general(optimum: TiedOptimum | UntiedOptimum) -> GraphOptimum:
    tied, diverging = isinstance(optimum, TiedOptimum), 0
    if isinstance(optimum, TiedOptimum):
        values, diverging = optimum.eigenvalues, optimum.diverging
    else:
        values = optimum.singular_values
    return GraphOptimum(
        tied,
        optimum.loss_per_node,
        optimum.weight_decay,
        optimum.attained,
        values,
        np.ones(len(values), dtype=np.int64),
        optimum.rank_range,
        diverging,
        optimum.certificate,
        optimum.method,
        optimum,
        optimum.relative_gap,
        optimum.tolerance,
        optimum.converged,
        optimum.stopped_by,
    )


def _block_gap(reduced: ReducedOptimum | ReducedUntiedOptimum) -> float:
    values = reduced.eigenvalues if isinstance(reduced, ReducedOptimum) else reduced.singular_values
    # Without decay the penalty is nothing; with it nothing is centred away but the mean, which only adds to it.
    value = reduced.loss + reduced.weight_decay * float(values @ reduced.multiplicities)
    return relative_gap(value, value - reduced.certificate.duality_gap)
