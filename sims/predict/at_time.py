"""The prediction at the time a run ends, and how much longer it would take to come near the limit.

The tied flow dV/dt = (R + R') V - 2 l V is followed from a given V(0) to t = learning rate x steps; a run's own V(0)
gives the flow of that very run, s I the limit of infinite width. From there it is followed on until its Gram matrix and
its objective are near the optimum's. Never sees more of a run than V(0).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import DriftLaw, Event, TiedOptimum, early_modes, gram_error, integrate, tied_equation, tied_flow

from ..runs.control import UNWATCHED, Watch
from ..tasks.task import DENSE_NODES, Task
from .trajectory import Late, within

Floats = NDArray[np.float64]

TOLERANCE = 1e-7  # of the flow's steps: errors of a Gram matrix are shown to four digits
LEG, LEGS = 10**0.5, 8  # the flow is followed on from a time to this many times it, so often: four decades
NEAR_GRAM = 0.1  # gram_error
NEAR_LOSS = 0.01  # of the optimum's objective
FROM_START, TO_LIMIT = "flow from V(0)", "time to the limit"  # stages
FLOW, DRIFT, GROWTH = "the integrated flow", "the drift law", "the early growth rates"


@dataclass(frozen=True, eq=False)
class FlowAtTime:
    """The tied flow at one ``time``: ``embedding`` (n, r), up to a rotation, and ``loss_per_node``, without decay."""

    time: float
    embedding: Floats
    loss_per_node: float


@dataclass(frozen=True)
class LimitTimes:
    """When the flow comes near the limit: ``gram``, gram_error down to NEAR_GRAM; ``loss``, the objective within
    NEAR_LOSS of the optimum's; None where nothing says so. ``gram_from`` and ``loss_from``: what does. ``followed``:
    the last time the flow was integrated to, before which it did not come near where it does not say."""

    gram: float | None
    loss: float | None
    gram_from: str
    loss_from: str
    followed: float

    def to_json(self) -> dict[str, Any]:
        return {
            "gram_error": self.gram,
            "gram_error_from": self.gram_from,
            "loss": self.loss,
            "loss_from": self.loss_from,
            "followed_to": self.followed,
        }


def flow_at_time(
    task: Task, start: Floats, time: float, weight_decay: float, seconds: float, watch: Watch = UNWATCHED
) -> tuple[FlowAtTime | None, str]:
    """The flow from ``start`` (n, m) at ``time``, or None and why there is none: it took more than ``seconds``, or the
    graph has more than DENSE_NODES nodes. Raises Interrupted where ``watch`` asks to stop."""
    if task.graph.n > DENSE_NODES:
        return None, f"no flow at the run's time: it is followed up to {DENSE_NODES} nodes"

    def follow() -> FlowAtTime:
        equation = tied_equation(task.target, start, weight_decay=weight_decay, row_weight=task.row_weight)
        v = integrate(equation.velocity, equation.start, time, rtol=TOLERANCE).end_state
        return FlowAtTime(time, v, float(equation.loss(v)) / task.total_weight)

    try:
        return within(max(seconds, 0.0), FROM_START, watch, follow), ""
    except Late:
        return None, f"no flow at the run's time: it was not done after {seconds:.0f} s"


def flow_positions(
    task: Task, start: Floats, times: Floats, weight_decay: float, seconds: float, watch: Watch = UNWATCHED
) -> Floats | None:
    """The flow from ``start`` (n, m) at ascending ``times`` (f,), as (f, n, m); None where it took more than
    ``seconds``. Raises Interrupted where ``watch`` asks to stop."""

    def follow() -> Floats:
        flow = tied_flow(
            task.target, start, times, weight_decay=weight_decay, row_weight=task.row_weight, rtol=TOLERANCE
        )
        return flow.embedding

    with suppress(Late):
        return within(max(seconds, 0.0), FROM_START, watch, follow)
    return None


def time_to_limit(
    task: Task,
    at: FlowAtTime,
    optimum: TiedOptimum,
    seconds: float,
    *,
    law: DriftLaw | None = None,
    init_scale: float = 1.0,
    watch: Watch = UNWATCHED,
) -> LimitTimes:
    """When the flow that is ``at`` this time comes near ``optimum``, the limit of its objective.

    Integrated on, over four decades of time at most, in up to ``seconds``. Where that ends before: the loss by the
    drift ``law``, the Gram matrix, for a small start of ``init_scale`` < 1, by the time at which as many modes as the
    optimum's rank have grown to order one, an estimate from below. Raises Interrupted where ``watch`` asks to stop.
    """
    equation = tied_equation(task.target, at.embedding, weight_decay=optimum.weight_decay, row_weight=task.row_weight)
    level = (1 + NEAR_LOSS) * optimum.objective

    def near_gram(v: Floats) -> float:
        return NEAR_GRAM - gram_error(v, optimum) if optimum.rank else -1.0

    def near_loss(v: Floats) -> float:
        return level - float(equation.loss(v)) - optimum.weight_decay * float((v**2).sum())

    wanted = {"gram": near_gram, "loss": near_loss}
    events = [Event(name, measure) for name, measure in wanted.items()]
    events.append(Event("both", lambda v: min(near_gram(v), near_loss(v)), terminal=True))
    found: dict[str, float] = {}
    followed, state, done = at.time, equation.start, 0

    def hear(name: str, fraction: float) -> None:
        watch.report(name, (done + min(fraction, 0.999)) / LEGS)  # every leg tells of its own

    def follow() -> None:
        nonlocal followed, state, done
        while done < LEGS:
            leg = integrate(equation.velocity, state, (LEG - 1) * followed, events=events, rtol=TOLERANCE)
            for name in wanted:
                if name not in found and np.isfinite(leg.event_times[name]):
                    found[name] = followed + leg.event_times[name]
            followed, state, done = followed + leg.end, leg.end_state, done + 1
            if len(found) == len(wanted):
                return

    if task.graph.n <= DENSE_NODES:
        with suppress(Late):
            within(seconds, TO_LIMIT, replace(watch, on_progress=hear), follow)
        watch.report(TO_LIMIT, 1.0)
    loss, loss_from = found.get("loss"), FLOW
    if loss is None and law is not None:
        loss, loss_from = max(followed, law.time_to_gap(NEAR_LOSS * optimum.loss)), DRIFT
    gram, gram_from = found.get("gram"), FLOW
    if gram is None and optimum.rank and 0 < init_scale < 1 and task.graph.n <= DENSE_NODES:
        modes = early_modes(task.target, weight_decay=optimum.weight_decay, row_weight=task.row_weight)
        growth = float(np.sort(modes.mode_times(init_scale))[optimum.rank - 1])
        if followed < growth < np.inf:
            gram, gram_from = growth, GROWTH
    return LimitTimes(gram, loss, gram_from, loss_from, followed)
