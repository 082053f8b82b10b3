"""The theory's answers for one graph as the plain dictionary that `fiedler theory --json` prints."""

from __future__ import annotations

from typing import Any

import numpy as np

from fiedler.theory import GraphOptimum, TiedOptimum, graph_flow, graph_optimum, growth_rates, spectrum

from .tasks import Task

LAPLACIAN = "symmetrized-random-walk"
FLOW_DECADES, FLOW_POINTS = 3, 4  # of time before the last one, and points a decade
LEADING = 5  # eigenvalues of V V' shown at each time
ROUNDING = 1e-10  # growth rates, which are of order one, above which a mode is taken to grow


def describe_optimum(optimum: GraphOptimum | TiedOptimum) -> dict[str, Any]:
    """Optimum and certificate: see ``theory.graph_optimum`` and ``theory.optimum`` for what each number means.

    ``eigenvalues``: of the centred Gram matrix (tied); singular values of the logits (untied); each as often as it
    occurs, descending.
    """
    tied = isinstance(optimum, TiedOptimum) or optimum.tied
    values = optimum.eigenvalues
    if isinstance(optimum, GraphOptimum):
        values = np.repeat(values, optimum.multiplicities)
    return {
        "attained": optimum.attained,
        "loss_per_node": optimum.loss_per_node,
        "eigenvalues": values.tolist(),
        "eigenvalues_of": "centred Gram matrix" if tied else "logits (singular values)",
        "rank": optimum.rank,
        "diverging_directions": optimum.diverging if tied else None,
        "certificate": {
            "max_violation": optimum.certificate.max_violation,
            "duality_gap": optimum.certificate.duality_gap,
        },
        "method": optimum.method,
    }


def describe_flow(task: Task, until: float, *, init_scale: float, tied: bool, weight_decay: float) -> dict[str, Any]:
    """The flow from K(0) = s^2 I at FLOW_POINTS a decade up to ``until``: per time the loss and the LEADING largest
    eigenvalues of V V', each with its multiplicity."""
    if not (np.isfinite(until) and until > 0):
        raise ValueError(f"until must be a positive time (learning rate x steps); got {until}")
    times = np.geomspace(until * 10.0**-FLOW_DECADES, until, FLOW_DECADES * FLOW_POINTS + 1)
    flow = graph_flow(
        task.graph,
        times,
        init_scale=init_scale,
        tied=tied,
        weight_decay=weight_decay,
        self_edges=task.self_edges,
        label_smoothing=task.label_smoothing,
    )
    return {
        "method": flow.method,
        "points": [
            {
                "time": float(time),
                "loss_per_node": float(loss),
                "eigenvalues": [
                    {"eigenvalue": float(value), "multiplicity": int(count)}
                    for value, count in zip(values[:LEADING], counts[:LEADING], strict=True)
                ],
            }
            for time, loss, values, counts in zip(
                flow.times, flow.loss_per_node, flow.eigenvalues, flow.multiplicities, strict=True
            )
        ],
    }


def describe_theory(
    task: Task,
    *,
    tied: bool = True,
    weight_decay: float = 0.0,
    init_scale: float = 0.01,
    laplacian: str = LAPLACIAN,
    until: float | None = None,
) -> dict[str, Any]:
    """Spectrum, optimum with certificate and early-phase mode times of Node2Vec on ``task``, whose size only matters
    where the graph has neither closed forms nor symmetry.

    ``mode_times``: for each distinct positive growth rate s_k (``growth_rates``, descending, with multiplicity),
    t_k = ln(1/s^2) / (2 s_k) with s = ``init_scale``, in units of step_size * steps. ``until``: also the flow up to
    that time, see ``describe_flow``.
    """
    if not 0.0 < init_scale < 1.0:
        raise ValueError(f"init_scale must lie in (0, 1) for an early phase to exist; got {init_scale}")
    eigenvalues, multiplicities = spectrum(task.graph, laplacian)
    options: dict[str, Any] = {"self_edges": task.self_edges, "label_smoothing": task.label_smoothing}
    optimum = graph_optimum(task.graph, tied=tied, weight_decay=weight_decay, **options)
    rates, counts = growth_rates(task.graph, tied=tied, weight_decay=weight_decay, **options)
    growing = rates > ROUNDING
    rates, counts = rates[growing], counts[growing]
    flow = {}
    if until is not None:
        flow = {"flow": describe_flow(task, until, init_scale=init_scale, tied=tied, weight_decay=weight_decay)}
    return {
        **task.describe(),
        "components": task.graph.component_count,
        "model": "tied" if tied else "untied",
        "weight_decay": weight_decay,
        "laplacian": laplacian,
        "spectrum": [
            {"eigenvalue": float(value), "multiplicity": int(count)}
            for value, count in zip(eigenvalues, multiplicities, strict=True)
        ],
        "optimum": describe_optimum(optimum),
        "init_scale": init_scale,
        "growth_rates": [
            {"rate": float(rate), "multiplicity": int(count)} for rate, count in zip(rates, counts, strict=True)
        ],
        "mode_times": (np.log(1 / init_scale**2) / (2 * rates)).tolist(),
        **flow,
    }
