"""What the theory says of a rung: its mode energies over time, by the flow of a linear net or of one with norms and
units from the run's own start. It never sees a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import LinearNet, PreNormNet, ladder_flow, mode_energy, pre_norm_flow

from ...models.node2vec import Node2VecSettings
from ...models.registry import Model
from ...predict.trajectory import centred_spectrum
from ...tasks.task import Task
from .agreement import Predicted
from .bridge import Bridge
from .ranks import Ranks
from .start import starting_net

Floats = NDArray[np.float64]

TOLERANCE = 1e-6  # of the flow's steps: energies are compared to three digits
POINTS = 160  # times of a prediction, evenly in their logarithm
# Of the run's own times, as multiples of its first and last: room for a clock, of which an exact prediction needs
# little, and nets with norms get little, for their flow is stiff once it has left the plateau.
EARLIEST, LATEST, LATEST_EXACT = 1e-2, 10.0, 1.1
NO_CLOCK, NO_CLOCK_NORMED = (1e-2, 1e3), (1e-3, 30.0)  # times of a prediction for a model that has none of its own


@dataclass(frozen=True, eq=False)
class RungPrediction:
    """``predicted`` mode energies; ``spectrum`` (n,) of the centred Gram matrix, ``ranks`` and, of an untied net,
    ``bridge`` at the run's last time, of the last predicted one for a model without flow time; ``exact``: whether it
    is the flow of the very model; ``parts``: what the model has that the prediction leaves out; ``start``: the net
    that is followed."""

    predicted: Predicted
    spectrum: Floats
    ranks: Ranks
    bridge: Bridge | None
    exact: bool
    parts: tuple[str, ...]
    start: LinearNet | PreNormNet


def predict_rung(task: Task, model: Model, settings: Any, seed: int) -> RungPrediction:
    """The flow of the net that the run of ``seed`` starts as."""
    start = starting_net(task, model, settings, seed)
    per_step = model.time_per_step(settings)
    normed = isinstance(start.net, PreNormNet)
    if per_step is None:
        first, last = NO_CLOCK_NORMED if normed else NO_CLOCK
        end = last
    else:
        end = per_step * settings.steps
        first, last = EARLIEST * per_step, (LATEST_EXACT if start.exact or normed else LATEST) * end
    times = np.union1d(np.geomspace(first, last, POINTS), [end])
    embeddings, logits, contexts = _flow(task, start.net, times, _decay(settings) if per_step is not None else 0.0)
    last = int(np.searchsorted(times, end))
    energy = np.array([mode_energy(e, task.spaces, centred=True) for e in embeddings])
    spectrum = centred_spectrum(embeddings[last], task.graph.component_labels)
    ranks = Ranks.of(task, embeddings[last], logits[last])
    bridge = None if contexts is None else Bridge.of(task, embeddings[last], contexts[last])
    return RungPrediction(Predicted(times, energy), spectrum, ranks, bridge, start.exact, start.parts, start.net)


def _decay(settings: Any) -> float:
    """l of L + (l/2) (sum of squares): of tied Node2Vec, whose objective has l ||V||^2, twice its own."""
    doubled = isinstance(settings, Node2VecSettings) and settings.tied
    return float(settings.weight_decay) * (2.0 if doubled else 1.0)


def _flow(task: Task, net: LinearNet | PreNormNet, times: Floats, decay: float) -> tuple[Floats, Floats, Floats | None]:
    """E, Z and, of an untied net, U at ``times``."""
    options: dict[str, Any] = {"row_weight": task.row_weight, "rtol": TOLERANCE}
    if isinstance(net, LinearNet):
        linear = ladder_flow(task.target, net, times, weight_decay=decay, **options)
        return linear.net.embedding, linear.logits, linear.net.context
    normed = pre_norm_flow(task.target, net, times, **options)
    return normed.embedding, normed.logits, None
