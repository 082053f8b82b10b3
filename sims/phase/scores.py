"""Predicted scores: what the exact gradient flow of Node2Vec ends in, for any settings.

Two predictions, both at t = learning rate x steps, with the weight decay, nothing fitted:

    infinite width  from K(0) = s^2 I, s^2 = width x init_std^2
    finite width    the mean over sampled Gaussian V(0) (n, width) of the settings' own width, none of them a run's

They differ by O(1/sqrt(width)): by the logits of a random start, of size s^2 / sqrt(width), which is what the sign of
a geometric margin is decided against. From K(0) = s^2 I the tied margin is positive from the start on (it grows like
2 t s^2 (T + T')_ij on an edge), so infinite width alone predicts no crossover; at finite width that growth overtakes
the random start at a time of order 1/sqrt(width), whatever the initialisation scale.

Where it stops holding: steps so large that gradient descent is no flow (learning rate x largest logit of order one);
optimisers without a clock (Adam), for which nothing is predicted; a sampled mean carries the scatter of its samples.
Scores as in ``theory.alignment``. Sources: ``theory.flow``, ``theory.starts``; the crossover in the width is ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import (
    TiedOptimum,
    edge_margin,
    effective_rank,
    fiedler_score,
    gaussian_starts,
    geometric_level,
    geometric_margin,
    gram_error,
    gram_scale,
    integrate,
    sharpness,
    tied_flow,
    untied_flow,
    untied_gaussian_starts,
)

from ..models.node2vec import Node2VecSettings
from ..models.registry import Model
from ..runs.scored import own_decay
from ..tasks.optimum import reference_optimum
from ..tasks.task import Task

Floats = NDArray[np.float64]
Score = Callable[[Floats, Floats, Task, TiedOptimum | None], float]
States = list[tuple[Floats, Floats]]

TOLERANCE = 1e-6  # of the largest entry of a state: a score is drawn to a pixel
GONE = 1e-9  # of the start: the integrator's absolute tolerance is a thousandth of it
# A sample is followed while max(SLOW, s^2) t stays below this (tied, untied): half a second of explicit steps at 15
# nodes. What a random start leaves behind, of order 1/sqrt(width), is long decided by then.
SLOW, FOLLOWED = 100.0, (3e4, 5e3)


def why_not_predicted(model: Model, settings: Any, metric: str) -> str:
    """Why theory has nothing to say about a score of a model; empty where it has."""
    if model.time_per_step(settings) is None:
        return "no prediction for this model: its optimiser has no gradient-flow time"
    if not isinstance(settings, Node2VecSettings):
        return "no prediction for this model: its flow is not Node2Vec's"
    if metric not in METRICS:
        return f"no prediction for {metric}"
    return ""


def predict_scores(
    points: Sequence[tuple[Task, Any]], model: Model, metric: str, *, samples: int = 0, seed: int = 0
) -> Floats:
    """The predicted score of each (task, settings), (len(points),): of infinite width, or with ``samples`` > 0 the mean
    over that many Gaussian starts of the point's width (at every point of one width the same ones, scaled).

    Points that differ in learning rate and steps only are one flow. NaN where the integrator gives up, the score is
    undefined, all of V has decayed to GONE of its start (what is left is the integrator's), or a sample would have to
    be followed for too long (FOLLOWED). Raises ValueError for a model or a score without prediction.
    """
    groups: dict[tuple[int, float, float, int], list[int]] = defaultdict(list)
    for number, (task, settings) in enumerate(points):
        if reason := why_not_predicted(model, settings, metric):
            raise ValueError(f"{reason}; predicted are tied and untied Node2Vec, and {', '.join(METRICS)}")
        scale = float(np.sqrt(model.initial_energy(settings)))
        # Orthogonal rows start at K(0) = s^2 I at any width.
        width = int(settings.width) if samples and settings.init == "gaussian" else 0
        groups[id(task), float(settings.weight_decay), scale, width].append(number)
    found = np.full(len(points), np.nan)
    optima: dict[tuple[int, float], TiedOptimum] = {}  # of a task and its points' own weight decay
    for (key, decay, scale, width), members in groups.items():
        task = points[members[0]][0]
        times, place = np.unique([_end(model, points[number][1]) for number in members], return_inverse=True)
        own = (key, own_decay(model, points[members[0]][1]))
        if metric in AGAINST_OPTIMUM and own not in optima:
            optima[own] = reference_optimum(task, own[1])
        if width:
            times = times[times * max(SLOW, scale**2) <= FOLLOWED[0 if model.tied else 1]]
        try:
            if width:
                states = _sampled(task, model, scale, decay, times, width, samples, seed) if len(times) else []
            else:
                states = _limit(task, model, scale, decay, times)
        except RuntimeError:
            continue
        values = np.full(int(place.max()) + 1, np.nan)
        values[: len(states)] = [_mean_score(metric, one, task, optima.get(own), GONE * scale) for one in states]
        found[members] = values[place]
    return found


def stable_steps(points: Sequence[tuple[Task, Any]], model: Model) -> Floats:
    """2 / sharpness of the infinite-width flow at the end of each point's run, (len(points),): gradient descent with a
    larger learning rate does not stay there. NaN where the integrator gives up."""
    found = np.full(len(points), np.nan)
    for number, (task, settings) in enumerate(points):
        decay, scale = float(settings.weight_decay), float(np.sqrt(model.initial_energy(settings)))
        try:
            ((v, u),) = _limit(task, model, scale, decay, np.array([_end(model, settings)]))
        except RuntimeError:
            continue
        options: dict[str, Any] = {"weight_decay": decay, "row_weight": task.row_weight}
        found[number] = 2 / sharpness(task.target, v[0], context=None if model.tied else u[0], **options)
    return found


def _mean_score(
    metric: str, state: tuple[Floats, Floats], task: Task, optimum: TiedOptimum | None, least: float
) -> float:
    """The mean score of V and U (samples, n, .); NaN where the largest norm of a row of V is below ``least``."""
    if np.linalg.norm(state[0], axis=2).max() < least:
        return float("nan")
    return float(np.mean([METRICS[metric](v, u, task, optimum) for v, u in zip(*state, strict=True)]))


def _end(model: Model, settings: Any) -> float:
    per_step = model.time_per_step(settings)
    assert per_step is not None
    return per_step * int(settings.steps)


def _limit(task: Task, model: Model, scale: float, decay: float, times: Floats) -> States:
    """V and U (1, n, .) at each time from K(0) = s^2 I; U is V when tied."""
    n = task.graph.n
    start, zero = scale * np.eye(n), np.zeros((n, n))
    options: dict[str, Any] = {"weight_decay": decay, "row_weight": task.row_weight, "rtol": TOLERANCE}
    if model.tied:
        tied = tied_flow(task.target, start, times, **options)
        return [(v[None], v[None]) for v in tied.embedding]
    starts = np.hstack([start, zero]), np.hstack([zero, start])
    untied = untied_flow(task.target, *starts, times, **options)
    return [(v[None], u[None]) for v, u in zip(untied.embedding, untied.context, strict=True)]


def _sampled(
    task: Task, model: Model, scale: float, decay: float, times: Floats, width: int, samples: int, seed: int
) -> States:
    """The same (samples, n, .) from Gaussian starts, as one batch."""
    n, target = task.graph.n, task.target
    weight = 1.0 if task.row_weight is None else task.row_weight[:, None]
    if model.tied:
        start = gaussian_starts(n, width, scale, samples, seed)

        def velocity(v: Floats) -> Floats:
            r = weight * (target - _softmax(v @ v.swapaxes(-1, -2)))
            return np.asarray((r + r.swapaxes(-1, -2)) @ v - 2 * decay * v)
    else:
        start = np.stack(untied_gaussian_starts(n, width, scale, samples, seed))

        def velocity(v: Floats) -> Floats:
            r = weight * (target - _softmax(v[0] @ v[1].swapaxes(-1, -2)))
            return np.asarray(np.stack([r @ v[1], r.swapaxes(-1, -2) @ v[0]]) - decay * v)

    # Explicit steps only: the dense Jacobian of a whole batch costs more than they do.
    end = float(times[-1])
    states = integrate(velocity, start, end, times=times, rtol=TOLERANCE, implicit_limit=0).states
    return [(state, state) if model.tied else (state[0], state[1]) for state in states]


def _softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _loss(v: Floats, u: Floats, task: Task, optimum: TiedOptimum | None) -> float:
    z = v @ u.T
    top = z.max(axis=1, keepdims=True)
    lse = np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]
    return float(np.average(lse - (task.target * z).sum(axis=1), weights=task.row_weight))


def _against(score: Callable[[Floats, TiedOptimum], float]) -> Score:
    def of(v: Floats, u: Floats, task: Task, optimum: TiedOptimum | None) -> float:
        assert optimum is not None
        return score(v, optimum)

    return of


AGAINST_OPTIMUM = ("fiedler_score", "gram_error", "gram_scale", "effective_rank")
# Continuous functions of V (and U). What counts hits (edge_recall, top-1) jumps, and is left out.
METRICS: dict[str, Score] = {
    "geometric_margin": lambda v, u, task, optimum: geometric_margin(v, task.graph, direction=task.edges)[0],
    "edge_margin": lambda v, u, task, optimum: edge_margin(v @ u.T, task.graph, direction=task.edges)[0],
    "geometric_level": lambda v, u, task, optimum: geometric_level(
        v, task.graph, self_edges=task.self_edges, direction=task.edges
    ),
    "geometric_level_centred": lambda v, u, task, optimum: geometric_level(
        v, task.graph, self_edges=task.self_edges, direction=task.edges, centred=True
    ),
    "fiedler_score": _against(fiedler_score),
    "gram_error": _against(gram_error),
    "gram_scale": _against(gram_scale),
    "effective_rank": _against(lambda v, optimum: effective_rank(v, components=optimum.components)),
    "loss_per_node": _loss,
}
