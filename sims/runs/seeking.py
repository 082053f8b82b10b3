"""The optimum with somebody watching: progress in words, and an end within a moment where one is asked for."""

from __future__ import annotations

from math import isfinite
from typing import Any

from fiedler.theory import TiedOptimum

from ..tasks.optimum import OnState, reference_optimum
from ..tasks.search import SEARCH, Search
from ..tasks.task import Task
from .control import UNWATCHED, Watch
from .stopping import Interrupted, heeding

STAGE = "optimum"


def seek_optimum(
    task: Task, weight_decay: float = 0.0, search: Search = SEARCH, watch: Watch = UNWATCHED
) -> TiedOptimum | None:
    """``tasks.optimum.reference_optimum``, None where ``search`` leaves it out. Raises Interrupted where ``watch`` asks
    to stop, and as ``reference_optimum``."""
    if search.left_out(task.graph.n):
        return None
    watch.report(STAGE, 0.0)
    found = heeding(watch.stop, lambda: reference_optimum(task, weight_decay, search, told(watch)))
    watch.report(STAGE, 1.0)
    return found


def told(watch: Watch, stage: str = STAGE, *, keep: bool = False) -> OnState:
    """What a solver tells its states: ``watch`` hears of them, and may end the search: with Interrupted, or, to
    ``keep`` what was found, with the best answer so far."""

    def hear(state: Any) -> bool:
        watch.note(stage, describe_state(state))
        if state.remaining:
            watch.report(stage, state.seconds / (state.seconds + state.remaining))
        if watch.stop_asked and not keep:
            raise Interrupted(f"interrupted after {state.seconds:.0f} s of the optimum")
        return watch.stop_asked

    return hear


def describe_state(state: Any) -> str:
    """A ``theory.SolverState`` in words."""
    if not isfinite(state.loss_per_node):
        return "looking for a start"
    left = f", about {state.remaining:.0f} s left" if isfinite(state.remaining) else ""
    gap = f"gap {state.relative_gap:.1e}" if isfinite(state.relative_gap) else "no bound yet"
    return f"{gap}, rank {state.rank}, loss per node {state.loss_per_node:.6f}{left}"
