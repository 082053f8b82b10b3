"""The theory's answers for one graph as the plain dictionary that `fiedler theory --json` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import (
    GraphOptimum,
    RankRange,
    TiedOptimum,
    closed_form_spectrum,
    graph_flow,
    graph_optimum,
    growth_rates,
    spectrum,
    target_flow,
    target_growth_rates,
    target_optimum,
    untied_max_margin,
    width_bands,
)
from fiedler.theory.flow.progress import listening
from fiedler.theory.optimum.max_margin import NODE_LIMIT
from fiedler.theory.spectra.closed_form import DENSE_LIMIT

from ..runs.control import UNWATCHED, Watch
from ..runs.seeking import told
from ..runs.stopping import heeding
from ..tasks.optimum import reference_optimum, solver_options, stopped_by
from ..tasks.search import SEARCH, Search
from ..tasks.task import LEADING_MODES, Task
from .describe_graph import describe_modes, describe_spectrum, describe_storage
from .drift import describe_drift, one_hop_options, task_drift
from .rivals import describe_rivals

Floats = NDArray[np.float64]

LAPLACIAN = "symmetrized-random-walk"
FLOW_DECADES, FLOW_POINTS = 3, 4  # of time before the last one, and points a decade
LEADING = 5  # eigenvalues of V V' shown at each time
BAND = (0.05, 0.5, 0.95)  # quantiles over the starts of a finite width
SAMPLES = 32  # starts of a finite width
# Relative: a point within the first has the bias of the optimum, or nearly; beyond the second it has nothing to say.
ATTAINED_GAP, UNATTAINED_GAP = 1e-6, 0.1
STOPPING_SECONDS = 2.0  # that a search which was asked to stop has to return what it found
ROUNDING = 1e-10  # growth rates, which are of order one, above which a mode is taken to grow


def describe_optimum(optimum: GraphOptimum | TiedOptimum) -> dict[str, Any]:
    """Optimum and certificate: see ``theory.graph_optimum`` and ``theory.optimum`` for what each number means.

    ``eigenvalues``: of the centred Gram matrix (tied); singular values of the logits (untied); each as often as it
    occurs, descending. ``attained``: None where the gap leaves it open. The rank of the optimum is proved to
    lie in ``rank_low`` .. ``rank_high``, and is a fact where ``rank_proved``; ``rank`` is that of the point found, some
    of whose eigenvalues, ``unresolved_eigenvalues``, may then be zero at the optimum (``theory.optimum.rank``).
    """
    tied = isinstance(optimum, TiedOptimum) or optimum.tied
    values = optimum.eigenvalues
    if isinstance(optimum, GraphOptimum):
        values = np.repeat(values, optimum.multiplicities)
    return {
        "attained": _attained(optimum),
        "loss_per_node": optimum.loss_per_node,
        "eigenvalues": values.tolist(),
        "eigenvalues_of": "centred Gram matrix" if tied else "logits (singular values)",
        "rank": optimum.rank,
        **_describe_rank(optimum.rank_range),
        "diverging_directions": optimum.diverging if tied else None,
        "certificate": {
            "max_violation": optimum.certificate.max_violation,
            "duality_gap": optimum.certificate.duality_gap,
        },
        "method": optimum.method,
        "relative_gap": optimum.relative_gap,
        "tolerance": optimum.tolerance,
        "converged": optimum.converged,
        **({"stopped_by": why} if (why := stopped_by(optimum)) else {}),
    }


def _attained(optimum: GraphOptimum | TiedOptimum) -> bool | None:
    """Whether the optimum is attained; None where the point is too far from it to say."""
    known = ATTAINED_GAP if optimum.attained else UNATTAINED_GAP
    if optimum.weight_decay == 0 and optimum.diverging == 0 and optimum.relative_gap > known:
        return None
    return optimum.attained


def _describe_rank(ranks: RankRange) -> dict[str, Any]:
    unresolved = np.repeat(ranks.unresolved, ranks.multiplicities) if ranks.unresolved else np.zeros(0)
    return {
        "rank_low": ranks.low,
        "rank_high": ranks.high,
        "rank_proved": ranks.proved,
        "unresolved_eigenvalues": unresolved.tolist(),
    }


def describe_flow(task: Task, until: float, *, init_scale: float, tied: bool, weight_decay: float) -> dict[str, Any]:
    """The flow from K(0) = s^2 I at FLOW_POINTS a decade up to ``until``: per time the loss and the LEADING largest
    eigenvalues of V V', each with its multiplicity."""
    times = _flow_times(until)
    options: dict[str, Any] = {"init_scale": init_scale, "tied": tied, "weight_decay": weight_decay}
    if task.graph_target:
        flow = graph_flow(task.graph, times, **options, **one_hop_options(task))
    else:
        flow = target_flow(task.target, times, row_weight=task.row_weight, **options)
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


def describe_width(task: Task, width: int, until: float, *, init_scale: float, weight_decay: float) -> dict[str, Any]:
    """How tied runs of ``width`` columns scatter around the limit: BAND quantiles of the loss per node over SAMPLES
    Gaussian starts with E V(0) V(0)' = s^2 I, at the times of ``describe_flow``."""
    times = _flow_times(until)
    options: dict[str, Any] = {"weight_decay": weight_decay, "row_weight": task.row_weight}
    bands = width_bands(task.target, task.spaces, width, init_scale, times, SAMPLES, **options)
    losses = bands.loss_band(BAND) / task.total_weight
    return {
        "width": width,
        "samples": SAMPLES,
        "quantiles": list(BAND),
        "points": [{"time": float(t), "loss_per_node": row.tolist()} for t, row in zip(times, losses.T, strict=True)],
    }


def describe_theory(
    task: Task,
    *,
    tied: bool = True,
    weight_decay: float = 0.0,
    init_scale: float = 0.01,
    laplacian: str = LAPLACIAN,
    until: float | None = None,
    modes: int | None = None,
    top: bool = False,
    optimum: bool = True,
    width: int | None = None,
    rivals: bool = False,
    storage: bool = False,
    search: Search = SEARCH,
    watch: Watch = UNWATCHED,
    answer: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Spectrum, optimum with certificate and early-phase mode times of Node2Vec on ``task``, whose size only matters
    where the graph has neither closed forms nor symmetry. ``entropy_floor``: of the targets, see ``Task``.

    ``mode_times``: for each distinct positive growth rate s_k (``growth_rates``, descending, with multiplicity),
    t_k = ln(1/s^2) / (2 s_k) with s = ``init_scale``, in units of step_size * steps. Where untied logits diverge, on up
    to NODE_LIMIT nodes, ``optimum.max_margin`` is the direction (``untied_max_margin``). ``drift``: see
    ``describe_drift``. ``until``: also the flow up to that time, see ``describe_flow``, and with ``width`` the scatter
    of tied runs that wide. ``modes``: only so many eigenvalues from the bottom (or ``top``), counted, see
    ``describe_modes``; None for all, or for LEADING_MODES above DENSE_LIMIT nodes without a closed form.
    ``optimum=False`` leaves out the optimum, drift and the early phase, which take longest.
    ``rivals``, ``storage``: see ``describe_rivals``, ``describe_storage``. ``search``: how far the optimum is sought.
    ``watch``: told of each part; a fraction inside a part is known of flows and optima alone. ``answer``: a dictionary
    that is filled, so that what was found is there after an interrupt.
    Raises ValueError for options that do not go together; Interrupted where ``watch`` asks to stop.
    """
    if not 0.0 < init_scale < 1.0:
        raise ValueError(f"init_scale must lie in (0, 1) for an early phase to exist; got {init_scale}")
    if width is not None and (until is None or not tied):
        raise ValueError("the scatter of a finite width is that of the tied flow: give --until and leave out --untied")
    if top and modes is None:
        raise ValueError("--top is an end of the spectrum: say how many eigenvalues with --modes")
    if rivals and not (optimum and tied):
        raise ValueError("rivals are compared with the tied optimum: leave out --untied and --no-optimum")
    if rivals and task.directed:
        raise ValueError("the rivals are theories of undirected graphs: leave out --rivals, or --edges")
    answer = {} if answer is None else answer
    answer |= {
        **task.describe(),
        "components": task.graph.component_count,
        "model": "tied" if tied else "untied",
        "weight_decay": weight_decay,
        "laplacian": laplacian,
        "entropy_floor": task.entropy_floor,
    }
    start: dict[str, Any] = {"init_scale": init_scale, "weight_decay": weight_decay}

    def part(stage: str, compute: Callable[[], dict[str, Any]], grace: float = 0.0) -> None:
        answer.update(_part(stage, compute, watch, grace))

    if modes is None and task.graph.n > DENSE_LIMIT and closed_form_spectrum(task.graph, laplacian) is None:
        modes = LEADING_MODES
    if modes is None:
        part("spectrum", lambda: {"spectrum": describe_spectrum(*spectrum(task.graph, laplacian))})
    else:
        count = modes
        part("spectrum", lambda: describe_modes(task.graph, count, laplacian, top=top))
    if optimum:
        part("early phase", lambda: _early_phase(task, tied, weight_decay, init_scale))
        solver = solver_options(search, told(watch, keep=True))
        found: list[Any] = []
        part("optimum", lambda: _optimum(task, tied, weight_decay, solver, found), STOPPING_SECONDS)
        part("drift", lambda: _direction_and_drift(task, tied, found[0], until, answer["optimum"]))
    if until is not None:
        part("flow", lambda: {"flow": describe_flow(task, until, tied=tied, **start)})
    if until is not None and width is not None:
        part("finite width", lambda: {"width": describe_width(task, width, until, **start)})
    if rivals:
        part("rivals", lambda: {"rivals": describe_rivals(task, reference_optimum(task, weight_decay, search))})
    if storage:
        part("storage", lambda: {"storage": describe_storage(task.graph, tied=tied)})
    return answer


def _part(stage: str, compute: Callable[[], dict[str, Any]], watch: Watch, grace: float) -> dict[str, Any]:
    """One part of the answer: its beginning, how far an integration in it has come, and its end."""
    watch.report(stage, 0.0)
    with listening(lambda fraction: watch.report(stage, fraction)):
        found = heeding(watch.stop, compute, grace=grace)
    watch.report(stage, 1.0)
    return found


def _early_phase(task: Task, tied: bool, weight_decay: float, init_scale: float) -> dict[str, Any]:
    options: dict[str, Any] = {"tied": tied, "weight_decay": weight_decay}
    if task.graph_target:
        rates, counts = growth_rates(task.graph, **options, **one_hop_options(task))
    else:
        rates, counts = target_growth_rates(task.target, row_weight=task.row_weight, **options)
    growing = rates > ROUNDING
    rates, counts = rates[growing], counts[growing]
    return {
        "init_scale": init_scale,
        "growth_rates": [
            {"rate": float(rate), "multiplicity": int(count)} for rate, count in zip(rates, counts, strict=True)
        ],
        "mode_times": (np.log(1 / init_scale**2) / (2 * rates)).tolist(),
    }


def _optimum(task: Task, tied: bool, weight_decay: float, solver: dict[str, Any], found: list[Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"tied": tied, "weight_decay": weight_decay, **solver}
    if task.graph_target:
        optimum = graph_optimum(task.graph, **options, **one_hop_options(task))
    else:
        optimum = target_optimum(task.solver_target, row_weight=task.row_weight, **options)
    found.append(optimum)
    return {"optimum": describe_optimum(optimum)}


def _direction_and_drift(
    task: Task, tied: bool, optimum: Any, until: float | None, described: dict[str, Any]
) -> dict[str, Any]:
    """Where training goes that has no optimum to reach: the direction of untied logits, the drift of tied ones."""
    drift = describe_drift(task_drift(task, optimum), until)
    if tied or optimum.attained or task.graph.n > NODE_LIMIT:
        return {"drift": drift}
    direction = untied_max_margin(task.target)
    margin = {"nuclear_norm": direction.nuclear_norm, "rank": direction.rank, "gap": direction.gap}
    return {"optimum": {**described, "max_margin": margin}, "drift": drift}


def _flow_times(until: float) -> Floats:
    if not (np.isfinite(until) and until > 0):
        raise ValueError(f"until must be a positive time (learning rate x steps); got {until}")
    return np.geomspace(until * 10.0**-FLOW_DECADES, until, FLOW_DECADES * FLOW_POINTS + 1)
