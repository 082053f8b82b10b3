"""A run held against the prediction at its own time, beside the limit: what scores.json says of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import TiedOptimum, effective_rank, fiedler_score, gram_distance, gram_error

from ..models.node2vec import Node2VecSettings
from ..predict.at_time import FlowAtTime, flow_at_time, time_to_limit
from ..predict.drift import task_drift
from ..predict.trajectory import FLOW_NODES, PredictedTrajectory, centred_spectrum
from ..runs.control import UNWATCHED, Watch
from ..runs.engine import Run
from ..runs.scored import Also, own_decay
from ..runs.stability import describe_stability
from ..tasks.optimum import gram_factor
from ..tasks.search import SEARCH, Search
from ..tasks.task import DENSE_NODES, Task

Floats = NDArray[np.float64]

FLOW_SECONDS = 30.0  # the flows of all seeds of a model together, from their own V(0), on a graph of SMALL_NODES
SMALL_NODES = 500  # above, as the square of the nodes, as a step takes
LIMIT_SECONDS = 20.0  # the way from there to the limit, of the first seed
OWN, WIDE = "the run's own V(0)", "the wide limit"
SPECTRUM = 60  # leading eigenvalues kept, as many as a page draws


@dataclass
class AtTime:
    """Describes the runs of one model in turn. ``decay``: of their objective; ``predicted``: the wide flow, where it is
    known, for runs whose own flow is not followed; ``time_limit``: seconds for each of the two stages at most."""

    task: Task
    optimum: TiedOptimum | None
    decay: float
    time_limit: float
    predicted: PredictedTrajectory | None = None
    watch: Watch = UNWATCHED
    _limit: dict[str, Any] | None = field(default=None, init=False)
    _spent: float = field(default=0.0, init=False)

    def describe(self, run: Run) -> dict[str, Any]:
        """``limit_loss_per_node``, of the optimum, and ``entropy_floor``, of the target; and of a Node2Vec run, whose
        time and objective are the flow's:

        ``flow_time`` t = learning rate x steps; ``predicted_from``: OWN or WIDE; of the flow at t
        ``predicted_loss_per_node``, ``predicted_spectrum``, and against the optimum ``predicted_gram_error``,
        ``predicted_fiedler_score``, ``predicted_effective_rank``; ``gram_error_at_time``: of the run against it.
        ``time_to_limit``: see ``LimitTimes``. ``drift_gap_per_node``: how far above an infimum that is not attained a
        run of time t still is, to leading order at late times. ``no_flow_at_time`` says why the flow's numbers are left
        out. And what ``describe_stability`` says."""
        settings, found = run.settings, self._bounds()
        if not isinstance(settings, Node2VecSettings):
            return found
        found["flow_time"] = settings.learning_rate * settings.steps
        at, why, start = self._flow(run, found["flow_time"])
        if at is None:
            found["no_flow_at_time"] = why
        else:
            found |= self._against(run, at, start)
        if settings.tied:
            found |= self._limit_of(at, run, found["flow_time"])
        flow = at.embedding if at is not None and settings.tied else None
        return found | describe_stability(self.task, run, flow)

    def _stage(self, run: Run, tail: str = "") -> Watch:
        """Told of stages by the name of the model, and of the seed."""

        def report(stage: str, fraction: float) -> None:
            self.watch.report(f"{run.model.title} {stage}{tail}", fraction)

        return replace(self.watch, on_progress=report)

    def _bounds(self) -> dict[str, Any]:
        found = {} if self.optimum is None else {"limit_loss_per_node": self.optimum.loss_per_node}
        return found | {"entropy_floor": self.task.entropy_floor}

    def _flow(self, run: Run, end: float) -> tuple[FlowAtTime | None, str, str]:
        """From the run's own V(0) where that was recorded whole and there is time, or the wide limit."""
        start, why, of = own_start(run), "", OWN
        if start is None and run.settings.tied and self.predicted is None:  # one run, whose wide flow nobody followed
            scale, of = float(np.sqrt(run.model.initial_energy(run.settings))), WIDE
            start = scale * np.eye(self.task.graph.n) if self.task.graph.n <= FLOW_NODES else None
        if start is not None:
            allowed = FLOW_SECONDS * max(1.0, (self.task.graph.n / SMALL_NODES) ** 2)
            seconds = min(allowed, self.time_limit) - self._spent
            began = time.monotonic()
            at, why = flow_at_time(self.task, start, end, self.decay, seconds, self._stage(run, f", seed {run.seed}"))
            self._spent += time.monotonic() - began
            if at is not None:
                return at, "", of
        wide = self.predicted
        if wide is not None and np.isclose(wide.times[-1], end) and np.isfinite(wide.gram).all():
            return FlowAtTime(end, gram_factor(wide.gram), float(wide.loss[-1])), "", WIDE
        return None, why or "no flow at the run's time", WIDE

    def _against(self, run: Run, at: FlowAtTime, start: str) -> dict[str, Any]:
        v = np.asarray(run.final.embedding, dtype=np.float64)
        best = self.optimum
        components = self.task.graph.component_labels if best is None else best.components
        return {
            "predicted_from": start,
            "predicted_loss_per_node": at.loss_per_node,
            "gram_error_at_time": gram_distance(v, at.embedding),
            "predicted_gram_error": None if best is None else gram_error(at.embedding, best),
            "predicted_fiedler_score": None if best is None else fiedler_score(at.embedding, best),
            "predicted_effective_rank": effective_rank(at.embedding, components=components),
            "predicted_spectrum": centred_spectrum(at.embedding, components)[:SPECTRUM].tolist(),
        }

    def _limit_of(self, at: FlowAtTime | None, run: Run, end: float) -> dict[str, Any]:
        """Once a model: of the first run that has a flow, for all. A task whose limit is that of another decay than the
        run's has none."""
        best = self.optimum
        if best is None or best.weight_decay != self.decay:
            return {}
        dense = self.task.graph.n <= DENSE_NODES  # the law's matrices are of all pairs of nodes
        law = task_drift(self.task, best) if dense else None
        found = {} if law is None else {"drift_gap_per_node": float(law.gap_per_node(end))}
        if self._limit is None and at is not None:
            scale = float(np.sqrt(run.model.initial_energy(run.settings)))
            seconds = min(LIMIT_SECONDS, self.time_limit)
            reached = time_to_limit(self.task, at, best, seconds, law=law, init_scale=scale, watch=self._stage(run))
            self._limit = reached.to_json()
        return found if self._limit is None else {**found, "time_to_limit": self._limit}


def one_at_time(task: Task, search: Search = SEARCH, watch: Watch = UNWATCHED) -> Also:
    """What ``runs.scored.score_run`` scores beside, of one run."""

    def describe(run: Run, optimum: TiedOptimum | None) -> Mapping[str, Any]:
        decay = own_decay(run.model, run.settings)
        return AtTime(task, optimum, decay, search.time_limit, watch=watch).describe(run)

    return describe


def of_one_start(scores: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Those of one model's runs whose flow starts from their own V(0), where there are any, or all: a mean over both
    would be of two predictions."""
    return [one for one in scores if one.get("predicted_from") == OWN] or scores


def own_start(run: Run) -> Floats | None:
    """V(0) of a tied Node2Vec run, (n, m), in float32 digits; None where it was not recorded whole."""
    modes = run.modes
    if not run.settings.tied or modes.snapshots is None or modes.snapshot_steps is None or not modes.snapshot_whole:
        return None
    return np.asarray(modes.snapshots[0], dtype=np.float64) if modes.snapshot_steps[0] == 0 else None


def spectrum_at_time(scores: Sequence[Mapping[str, Any]]) -> Floats | None:
    """The leading eigenvalues of the flow's centred Gram matrix at the time of the runs (n or SPECTRUM,), mean over
    seeds; None where no run has them."""
    found = [one["predicted_spectrum"] for one in scores if one.get("predicted_spectrum")]
    return np.mean(np.array(found, dtype=np.float64), axis=0) if found else None


def number(scores: Mapping[str, Any], name: str) -> float:
    """A number of scores.json that earlier versions lack; NaN where it is not there."""
    value = scores.get(name)
    return float("nan") if value is None else float(value)
