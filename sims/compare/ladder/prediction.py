"""What the theory says of a rung: its mode energies over time, by the flow of a linear net, or the descent of one
with norms and units, from the run's own start. It never sees a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import LinearNet, PreNormNet, ladder_flow, mode_energy, pre_norm_descent

from ...models.node2vec import Node2VecSettings
from ...models.registry import Model
from ...predict.trajectory import centred_spectrum
from ...tasks.task import Task
from .agreement import Predicted
from .bridge import Bridge
from .ranks import Ranks
from .start import StartingNet, starting_net

Floats = NDArray[np.float64]

TOLERANCE = 1e-6  # of the flow's steps: energies are compared to three digits
POINTS = 160  # times of a prediction, evenly in their logarithm
# Of the run's own times, as multiples of its first and last: room for a clock, of which an exact one needs little.
EARLIEST, LATEST, LATEST_EXACT = 1e-2, 10.0, 1.1
NO_CLOCK = (1e-2, 1e3)  # times of a prediction for a model that has none of its own
# Nets with norms are followed by descent at this part of the run's step: their flow is stiff once the plateau is left.
PART_OF_STEP = 0.5
NO_CLOCK_NORMED, STEP_NORMED = (1e-2, 10.0), 2e-3  # for one without flow time


Path = tuple[Floats, Floats, Floats | None]  # E, Z and, of an untied net, U at the times


@dataclass(frozen=True, eq=False)
class RungPrediction:
    """``predicted`` mode energies; ``spectrum`` (n,) of the centred Gram matrix, ``ranks`` and, of an untied net,
    ``bridge`` at the run's last time, of the last predicted one for a model without flow time; ``start``: the net that
    is followed, and what the model has that it leaves out."""

    predicted: Predicted
    spectrum: Floats
    ranks: Ranks
    bridge: Bridge | None
    start: StartingNet


def predict_rung(task: Task, model: Model, settings: Any, seed: int) -> RungPrediction:
    """The flow of the net that the run of ``seed`` starts as."""
    start = starting_net(task, model, settings, seed)
    per_step = model.time_per_step(settings)
    if isinstance(start.net, PreNormNet):
        times, last, (embeddings, logits, contexts) = _descent(task, start.net, per_step, settings.steps)
    else:
        end = NO_CLOCK[1] if per_step is None else per_step * settings.steps
        room = LATEST_EXACT if start.exact else LATEST
        reach = NO_CLOCK if per_step is None else (EARLIEST * per_step, room * end)
        times = np.union1d(np.geomspace(*reach, POINTS), [end])
        last = int(np.searchsorted(times, end))
        embeddings, logits, contexts = _flow(task, start.net, times, 0.0 if per_step is None else _decay(settings))
    energy = np.array([mode_energy(e, task.spaces, centred=True) for e in embeddings])
    spectrum = centred_spectrum(embeddings[last], task.graph.component_labels)
    ranks = Ranks.of(task, embeddings[last], logits[last])
    bridge = None if contexts is None else Bridge.of(task, embeddings[last], contexts[last])
    return RungPrediction(Predicted(times, energy), spectrum, ranks, bridge, start)


def _decay(settings: Any) -> float:
    """l of L + (l/2) (sum of squares): of tied Node2Vec, whose objective has l ||V||^2, twice its own."""
    doubled = isinstance(settings, Node2VecSettings) and settings.tied
    return float(settings.weight_decay) * (2.0 if doubled else 1.0)


def _flow(task: Task, net: LinearNet, times: Floats, decay: float) -> Path:
    flow = ladder_flow(task.target, net, times, weight_decay=decay, row_weight=task.row_weight, rtol=TOLERANCE)
    return flow.net.embedding, flow.logits, flow.net.context


def _descent(task: Task, net: PreNormNet, per_step: float | None, steps: int) -> tuple[Floats, int, Path]:
    """The times, the place of the run's last among them, and the descent."""
    step = STEP_NORMED if per_step is None else PART_OF_STEP * per_step
    end = round(NO_CLOCK_NORMED[1] / step) if per_step is None else round(steps / PART_OF_STEP)
    counts = np.unique(np.round(np.geomspace(1, LATEST_EXACT * end, POINTS)).astype(np.int64))
    counts = np.union1d(counts, [end])
    found = pre_norm_descent(task.target, net, step, counts, row_weight=task.row_weight)
    return step * counts.astype(np.float64), int(np.searchsorted(counts, end)), (found.embedding, found.logits, None)
