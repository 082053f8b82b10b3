"""Predicted scores of linear nets of any depth: the mean over starts of their own width, each followed by its own flow.

A net Z = E B_1 ... B_L E' trained by plain descent is its gradient flow at t = learning rate x steps
(``theory.ladder``), from the weights it starts with. As for Node2Vec of its own width (``phase.scores``) the starts are
drawn as those of runs are, and none is a run's: their seeds begin at FIRST_SEED. There is no prediction of infinite
width. Where it stops holding: steps that are no flow, above ``stable_steps_of_nets``; Adam; a sampled mean carries the
scatter of its samples.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import (
    LinearNet,
    TiedOptimum,
    geometric_margin,
    ladder_flow,
    ladder_logits,
    ladder_sharpness,
    parse,
)

from ..compare.ladder.start import StartingNet, starting_net
from ..models.registry import Model
from ..runs.scored import own_decay
from ..tasks.optimum import reference_optimum
from ..tasks.task import Task
from .scores import AGAINST_OPTIMUM, METRICS

Floats = NDArray[np.float64]
Points = Sequence[tuple[Task, Any]]

FIRST_SEED = 1_000_000  # of the sampled starts
TOLERANCE = 1e-6  # of the flow's steps: a score is drawn to a pixel
SMALL = "cycle:3"  # a graph on which a net is built to see which it is
FREE = {"learning_rate": 1.0, "steps": 1}  # settings that only say when a flow is looked at
OF_LOGITS = ("edge_margin", "loss_per_node")  # scores of Z, not of E


def is_net(settings: Any) -> bool:
    """Whether the settings are those of a neural model, whose flow is not Node2Vec's."""
    return hasattr(settings, "arch")


def why_not_followed(model: Model, settings: Any) -> str:
    """Why a neural model has no flow here; empty where it is a linear net as it stands."""
    start = starting_net(Task(parse(SMALL)), model, settings, 0)
    if start.exact and isinstance(start.net, LinearNet):
        return ""
    return f"no prediction for this model: its flow leaves out {' and '.join(start.parts) or 'norms and units'}"


def predict_nets(points: Points, model: Model, metric: str, *, samples: int, seed: int = 0) -> Floats:
    """The mean score over ``samples`` starts of each (task, settings), (len(points),). Points that differ in learning
    rate and steps only are one flow. NaN where the integrator gives up or the score is undefined."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for number, (task, settings) in enumerate(points):
        groups[id(task), dataclasses.replace(settings, **FREE)].append(number)
    found = np.full(len(points), np.nan)
    optima: dict[tuple[int, float], TiedOptimum] = {}
    for (key, _), members in groups.items():
        task, settings = points[members[0]]
        times, place = np.unique([_end(points[number][1]) for number in members], return_inverse=True)
        own = (key, own_decay(model, settings))
        if metric in AGAINST_OPTIMUM and own not in optima:
            optima[own] = reference_optimum(task, own[1])
        scores = [
            _scores(task, model, settings, FIRST_SEED + seed * samples + k, times, metric, optima.get(own))
            for k in range(samples)
        ]
        found[members] = np.mean(scores, axis=0)[place]
    return found


def stable_steps_of_nets(points: Points, model: Model, seed: int = 0) -> Floats:
    """2 / sharpness of one start's flow at the end of each point's run, (len(points),): gradient descent with a larger
    learning rate does not stay there. NaN where the integrator gives up."""
    found = np.full(len(points), np.nan)
    for number, (task, settings) in enumerate(points):
        start = starting_net(task, model, settings, FIRST_SEED + seed)
        decay = float(settings.weight_decay)
        try:
            (net,) = _follow(task, start, np.array([_end(settings)]), decay)
            found[number] = 2 / ladder_sharpness(task.target, net, weight_decay=decay, row_weight=task.row_weight)
        except (RuntimeError, ValueError):
            continue
    return found


def _scores(
    task: Task, model: Model, settings: Any, seed: int, times: Floats, metric: str, optimum: TiedOptimum | None
) -> Floats:
    start = starting_net(task, model, settings, seed)
    try:
        nets = _follow(task, start, times, float(settings.weight_decay))
    except RuntimeError:
        return np.full(len(times), np.nan)
    return np.array([_score(metric, net, settings, task, optimum) for net in nets])


def _follow(task: Task, start: StartingNet, times: Floats, decay: float) -> list[LinearNet]:
    """The net at each of the times."""
    assert isinstance(start.net, LinearNet)
    flow = ladder_flow(task.target, start.net, times, weight_decay=decay, row_weight=task.row_weight, rtol=TOLERANCE)
    net = flow.net
    return [
        LinearNet(
            net.embedding[k],
            tuple(tuple(factor[k] for factor in layer) for layer in net.layers),
            None if net.context is None else net.context[k],
            net.residual,
        )
        for k in range(len(times))
    ]


def _score(metric: str, net: LinearNet, settings: Any, task: Task, optimum: TiedOptimum | None) -> float:
    """As runs are scored: of logits, of the embedding, or, of the margin of a one-layer net, of E W' E'."""
    e, n = net.embedding, task.graph.n
    if metric in OF_LOGITS:
        return METRICS[metric](ladder_logits(net), np.eye(n), task, optimum)
    if metric == "geometric_margin" and settings.arch == "one-layer":
        return geometric_margin(e, task.graph, inner=net.products[0], direction=task.edges)[0]
    return METRICS[metric](e, e if net.context is None else net.context, task, optimum)


def _end(settings: Any) -> float:
    return float(settings.learning_rate) * int(settings.steps)
