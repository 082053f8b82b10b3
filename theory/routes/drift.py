"""The drift law of a whole graph, by the route its optimum came from."""

from __future__ import annotations

import numpy as np

from ..checks import check_flag, check_smoothing, check_type
from ..closed_forms.form import ClosedForm
from ..graphs.graph import Graph, check_graph
from ..optimum.drift import DriftLaw, drift_law, law_of
from ..optimum.tied import TiedOptimum
from ..symmetry.drift import reduced_drift_law
from ..symmetry.of_graph import graph_symmetry
from ..symmetry.optimum import ReducedOptimum
from ..targets.one_hop import one_hop_sparse, one_hop_target
from .optimum import GraphOptimum, graph_optimum


def graph_drift_law(
    graph: Graph, *, self_edges: bool = False, label_smoothing: float = 0.0, optimum: GraphOptimum | None = None
) -> DriftLaw | None:
    """How the tied flow on ``graph`` approaches an infimum that is not attained, None where it is (or the optimum is
    untied or has weight decay); see ``optimum.drift``. ``optimum``: that of ``graph_optimum`` with the same options,
    if it is at hand; ``law.gap(t)`` is then what a run of time t must still be above its loss.

    >>> from fiedler.theory import graph_drift_law, parse
    >>> law = graph_drift_law(parse("path-star:1000x5"))
    >>> f"{law.time_to_gap(1e-3 * law.n):.3g}"  # the time until the loss per node is within a thousandth
    '2.32e+04'
    >>> graph_drift_law(parse("cycle:15")) is None  # regular graphs attain it
    True
    """
    check_graph(graph)
    self_edges, label_smoothing = check_flag(self_edges, "self_edges"), check_smoothing(label_smoothing)
    if optimum is not None:
        check_type(optimum, GraphOptimum, "optimum", "make one with graph_optimum")
    else:
        optimum = graph_optimum(graph, self_edges=self_edges, label_smoothing=label_smoothing)
    if not optimum.tied or optimum.weight_decay > 0 or optimum.attained or optimum.diverging:
        return None
    detail = optimum.detail
    if isinstance(detail, ReducedOptimum):
        symmetry = graph_symmetry(graph)
        if symmetry is None or symmetry.algebra.colours != len(detail.gram):
            raise ValueError("the optimum was found on a symmetry that this graph does not have")
        target = symmetry.target(self_edges=self_edges, label_smoothing=label_smoothing)
        return reduced_drift_law(symmetry.algebra, target, detail)
    if isinstance(detail, ClosedForm):
        return _without_geometry(graph, self_edges, label_smoothing)
    assert isinstance(detail, TiedOptimum)
    return drift_law(detail, one_hop_target(graph, self_edges=self_edges, label_smoothing=label_smoothing))


def _without_geometry(graph: Graph, self_edges: bool, label_smoothing: float) -> DriftLaw | None:
    """Complete multipartite graphs with unequal parts: K = 0 and P* = 1 pi', pi the column means of T."""
    sparse, n = one_hop_sparse(graph, self_edges=self_edges), graph.n
    pi = (1 - label_smoothing) * np.asarray(sparse.sum(axis=0)).ravel() / n + label_smoothing / n
    a = np.log(pi)
    a = a - a.mean()
    through = (1 - label_smoothing) * float(a @ (sparse @ a)) + label_smoothing * float(a.sum()) ** 2 / n
    return law_of(float(a.sum() * (pi @ a)) - through, float(a @ a), n, float(n))
