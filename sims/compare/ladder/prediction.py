"""What the theory says of a rung: its mode energies over time, by the flow of a linear net, or the descent of one
with norms and units, from the run's own start. It never sees a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import (
    LinearNet,
    PreNormNet,
    ladder_flow,
    ladder_logits,
    mode_energy,
    pre_norm_descents,
    pre_norm_logits,
)
from fiedler.theory.flow.progress import part

from ...models.node2vec import Node2VecSettings
from ...models.registry import Model
from ...predict.trajectory import Late, centred_spectrum, within
from ...runs.control import Watch
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

# Up to so many nodes the nets of all seeds are descended at once: their cost is the number of operations.
TOGETHER_NODES = 200


@dataclass(frozen=True, eq=False)
class _Path:
    """What a net went through: E (k, n, m) at ``times`` (k,), and at the run's ``last`` of them Z and U (None where
    tied)."""

    times: Floats
    last: int
    embedding: Floats
    logits: Floats
    context: Floats | None


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
    return predict_rungs(task, model, settings, [seed])[0]


def predict_rungs(task: Task, model: Model, settings: Any, seeds: Sequence[int]) -> tuple[RungPrediction, ...]:
    """``predict_rung`` of every seed, to the bit."""
    starts = [starting_net(task, model, settings, seed) for seed in seeds]
    size = len(starts) if task.graph.n <= TOGETHER_NODES and isinstance(starts[0].net, PreNormNet) else 1
    groups = [starts[i : i + size] for i in range(0, len(starts), size)]
    paths: list[_Path] = []
    for index, group in enumerate(groups):
        with part(index, len(groups)):
            paths += _follow(task, model, settings, group)
    return tuple(_prediction(task, start, path) for start, path in zip(starts, paths, strict=True))


def predict_in_time(
    task: Task, model: Model, settings: Any, seeds: Sequence[int], seconds: float, *, watch: Watch
) -> tuple[RungPrediction, ...] | str:
    """``predict_rungs``, or why there is none: they were not done in ``seconds``, diverged, or could not be integrated.
    Raises Interrupted where ``watch`` asks to stop."""
    try:
        return within(seconds, f"{model.title} flow", watch, partial(predict_rungs, task, model, settings, seeds))
    except Late:
        return f"the flows of its {len(seeds)} seeds were not done after {seconds:g} s"
    except (FloatingPointError, RuntimeError) as error:
        return " ".join(str(error).split())


def _follow(task: Task, model: Model, settings: Any, starts: Sequence[StartingNet]) -> list[_Path]:
    """Of nets of one form, which with layer norm are descended at once."""
    per_step = model.time_per_step(settings)
    normed = [start.net for start in starts if isinstance(start.net, PreNormNet)]
    if normed:
        return _descents(task, normed, per_step, settings.steps)
    decay = 0.0 if per_step is None else _decay(settings)
    return [_flow(task, start, per_step, settings.steps, decay) for start in starts]


def _prediction(task: Task, start: StartingNet, path: _Path) -> RungPrediction:
    energy = np.array([mode_energy(e, task.spaces, centred=True) for e in path.embedding])
    final = path.embedding[path.last]
    return RungPrediction(
        Predicted(path.times, energy),
        centred_spectrum(final, task.graph.component_labels),
        Ranks.of(task, final, path.logits),
        None if path.context is None else Bridge.of(task, final, path.context),
        start,
    )


def _decay(settings: Any) -> float:
    """l of L + (l/2) (sum of squares): of tied Node2Vec, whose objective has l ||V||^2, twice its own."""
    doubled = isinstance(settings, Node2VecSettings) and settings.tied
    return float(settings.weight_decay) * (2.0 if doubled else 1.0)


def _flow(task: Task, start: StartingNet, per_step: float | None, steps: int, decay: float) -> _Path:
    assert isinstance(start.net, LinearNet)
    end = NO_CLOCK[1] if per_step is None else per_step * steps
    room = LATEST_EXACT if start.exact else LATEST
    reach = NO_CLOCK if per_step is None else (EARLIEST * per_step, room * end)
    times = np.union1d(np.geomspace(*reach, POINTS), [end])
    last = int(np.searchsorted(times, end))
    flow = ladder_flow(task.target, start.net, times, weight_decay=decay, row_weight=task.row_weight, rtol=TOLERANCE)
    net = flow.net
    layers = tuple(tuple(factor[last] for factor in layer) for layer in net.layers)
    context = None if net.context is None else net.context[last]
    logits = ladder_logits(LinearNet(net.embedding[last], layers, context, net.residual))
    return _Path(times, last, net.embedding, logits, context)


def _descents(task: Task, nets: Sequence[PreNormNet], per_step: float | None, steps: int) -> list[_Path]:
    step = STEP_NORMED if per_step is None else PART_OF_STEP * per_step
    end = round(NO_CLOCK_NORMED[1] / step) if per_step is None else round(steps / PART_OF_STEP)
    counts = np.unique(np.round(np.geomspace(1, LATEST_EXACT * end, POINTS)).astype(np.int64))
    counts = np.union1d(counts, [end])
    last = int(np.searchsorted(counts, end))
    found = pre_norm_descents(task.target, nets, step, counts, row_weight=task.row_weight)
    times = step * counts.astype(np.float64)
    return [_Path(times, last, one.embedding, pre_norm_logits(one.nets[last]), None) for one in found]
