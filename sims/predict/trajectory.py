"""The prediction a comparison is held against. It never sees a run: only the task and the model's settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import TiedOptimum, centre_rows, mode_energy, tied_flow, untied_flow
from fiedler.theory.flow.progress import listening

from ..models.registry import Model
from ..runs.control import UNWATCHED, Watch
from ..runs.stopping import Interrupted, heeding
from ..tasks.task import Task

Floats = NDArray[np.float64]
T = TypeVar("T")

FIRST_TIME = 1e-2  # where the predicted line starts when the run's own clock is not known
LAST_TIME = 3e2  # three times the end of the paper's Node2Vec run (10,000 steps of 0.01)
POSITIONS = 60  # times whose positions are kept
DIRECTIONS = 6  # of the final embedding, in which they are
FLOW_NODES = 1000  # above, a flow's matrices of all pairs of nodes at every time fill the memory


@dataclass(frozen=True, eq=False)
class PredictedTrajectory:
    """Mode energies of the infinite-width gradient flow from K(0) = s^2 I, or, ``own``, of the very net that the model
    is, from the starts of its seeds.

    ``times`` (k,) ascending, > 0; ``energy`` and ``centred_energy`` (k, number of eigenspaces); ``loss`` (k,) mean
    cross-entropy per node under the task's row weights; ``gram`` (n, n) the Gram matrix of V at the last time.
    ``positions`` (p, n, DIRECTIONS or fewer) float32 at ``position_times`` (p,): V(t) W with the leading right singular
    vectors W of the centred V at the last time, one fixed projection, so that nodes move as they do in the flow.
    """

    times: Floats
    energy: Floats
    centred_energy: Floats
    loss: Floats
    gram: Floats
    position_times: Floats = field(default_factory=lambda: np.zeros(0))
    positions: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.float32))
    own: bool = False


def predict_trajectory(task: Task, model: Model, settings: Any, steps: NDArray[np.int64]) -> PredictedTrajectory:
    """The flow at the times of the recorded ``steps`` > 0, or over FIRST_TIME .. LAST_TIME for a model without a clock.

    Tied models follow dV/dt = (R + R') V - 2 l V from V(0) = s I, untied ones the (V, U) flow from orthogonal V(0)
    and U(0). For a Transformer this is the prediction for Node2Vec with its initial embedding scale, which is a
    hypothesis about it, not a theorem.
    """
    per_step = model.time_per_step(settings)
    clock = np.geomspace(FIRST_TIME, LAST_TIME, 200) if per_step is None else per_step * steps[steps > 0]
    times = np.asarray(clock, dtype=np.float64)
    n, scale = task.graph.n, float(np.sqrt(model.initial_energy(settings)))
    decay = float(settings.weight_decay) if per_step is not None else 0.0
    options: dict[str, Any] = {"weight_decay": decay, "row_weight": task.row_weight}
    if model.tied:
        tied = tied_flow(task.target, scale * np.eye(n), times, **options)
        embedding, loss = tied.embedding, tied.loss
    else:
        start, zero = scale * np.eye(n), np.zeros((n, n))
        untied = untied_flow(task.target, np.hstack([start, zero]), np.hstack([zero, start]), times, **options)
        embedding, loss = untied.embedding, untied.loss
    return trajectory_of(task, times, embedding, loss)


def trajectory_of(
    task: Task, times: Floats, embedding: Floats, loss: Floats, *, own: bool = False
) -> PredictedTrajectory:
    """What is kept of a flow: embeddings (k, n, m) and losses (k,), not yet per node, at ``times`` (k,)."""
    kept = np.unique(np.round(np.linspace(0, len(times) - 1, min(POSITIONS, len(times)))).astype(int))
    return PredictedTrajectory(
        times,
        np.array([mode_energy(v, task.spaces) for v in embedding]),
        np.array([mode_energy(v, task.spaces, centred=True) for v in embedding]),
        loss / task.total_weight,
        embedding[-1] @ embedding[-1].T,
        times[kept],
        _positions([embedding[i] for i in kept], task),
        own,
    )


def mean_trajectory(found: Sequence[PredictedTrajectory]) -> PredictedTrajectory:
    """Of flows at the same times, one a seed: the geometric mean of the energies and the mean loss, as those of runs;
    Gram matrix and positions of the first."""
    energies = [np.array([getattr(one, name) for one in found]) for name in ("energy", "centred_energy")]
    energy, centred = (np.exp(np.log(np.maximum(one, np.finfo(np.float64).tiny)).mean(axis=0)) for one in energies)
    return replace(found[0], energy=energy, centred_energy=centred, loss=np.mean([one.loss for one in found], axis=0))


class Late(Exception):
    """A flow was not done within its time limit."""


def within(seconds: float, stage: str, watch: Watch, compute: Callable[[], T]) -> T:
    """``compute()``, which integrates flows, in about ``seconds``: Late after them, Interrupted where ``watch`` asks to
    stop. It is told of the progress in ``stage``."""
    end = time.monotonic() + seconds

    def hear(fraction: float) -> None:
        watch.report(stage, fraction)
        if watch.stop_asked:
            raise Interrupted("interrupted")
        if time.monotonic() > end:
            raise Late

    watch.report(stage, 0.0)
    with listening(hear):
        found = heeding(watch.stop, compute)
    watch.report(stage, 1.0)
    return found


def follow_flow(
    task: Task, model: Model, settings: Any, steps: NDArray[np.int64], time_limit: float, watch: Watch = UNWATCHED
) -> tuple[PredictedTrajectory | None, str]:
    """``predict_trajectory`` within ``time_limit`` seconds, or None and why there is none: that, or more than
    FLOW_NODES nodes. Raises Interrupted where ``watch`` asks to stop."""
    if task.graph.n > FLOW_NODES:
        return None, f"no predicted flow: it is followed up to {FLOW_NODES} nodes"
    stage = f"{model.title} prediction"
    try:
        found = within(time_limit, stage, watch, lambda: predict_trajectory(task, model, settings, steps))
    except Late:
        return None, f"no predicted flow: it was not done after {time_limit:g} s (--time-limit)"
    return found, ""


def _positions(embeddings: Sequence[Floats], task: Task) -> NDArray[np.float32]:
    components = task.graph.component_labels
    directions = np.linalg.svd(centre_rows(embeddings[-1], components), full_matrices=False)[2][:DIRECTIONS].T
    return np.array([centre_rows(v @ directions, components) for v in embeddings], dtype=np.float32)


def predicted_spectrum(
    model: Model, optimum: TiedOptimum | None, trajectory: PredictedTrajectory | None
) -> Floats | None:
    """Eigenvalues (n,), descending, of the centred Gram matrix the final embedding is compared with: that of the
    certified optimum for tied models, of the flow at its last time for untied ones (whose logits diverge without weight
    decay) and for nets that are followed themselves (whose limit is another). None where that was not found."""
    if model.tied and (trajectory is None or not trajectory.own):
        if optimum is None:
            return None
        values = optimum.eigenvalues
        return np.pad(values, (0, len(optimum.components) - len(values)))
    if trajectory is None:
        return None
    return np.asarray(np.linalg.eigvalsh(centre_rows(centre_rows(trajectory.gram).T).T)[::-1])


def centred_spectrum(embedding: Floats, components: NDArray[np.int64] | None = None) -> Floats:
    """Eigenvalues (n,), descending, of the Gram matrix of ``embedding`` (n, m) less the mean row of each component."""
    v = centre_rows(embedding, components)
    values = np.linalg.svd(v, compute_uv=False) ** 2
    return np.pad(values, (0, max(0, len(v) - len(values))))
