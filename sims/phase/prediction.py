"""What theory says about a phase diagram: a score over one or two settings, and the decays at which modes die.

It never sees a run: only the task, the model and the settings of each point. The scores are those of
``phase.scores`` (the exact flow to t = learning rate x steps, of infinite width and of the point's own); the decays
are those of the optimum, which runs approach as t -> infinity (``theory.decay_thresholds``). Nothing is predicted for
an optimiser without a gradient-flow time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import EarlyModes, decay_thresholds, early_modes, target_decay_thresholds
from fiedler.theory.routes.optimum import useful_symmetry

from ..models.registry import Model
from ..tasks.task import TASK_OPTIONS, Task
from .axes import WHOLE, Axis, level_lines
from .own_nets import is_net, predict_nets, stable_steps_of_nets, why_not_followed
from .scores import METRICS, predict_scores, stable_steps, why_not_predicted

Floats = NDArray[np.float64]

FREE = ("learning_rate", "steps")  # they only set the time at which a flow is looked at
SAMPLES = 16  # starts: the scatter of their mean is a quarter of one run's
SAMPLED_NODES = 30  # above it the sampled flows of a diagram take longer than its runs
FLOWS = 120  # flows of 15 nodes that a finer grid than the measured one may cost, some ten seconds; fewer of more nodes
SAMPLED_FLOWS = 12  # the same of flows of a whole sample, each as long as five
NET_SAMPLES = 8  # starts of a linear net, whose flow takes longer
FINEST = 4  # steps of the predicted grid between two measured values, at most
MOST_FLOWS = 1000  # flows of 15 nodes, about a minute, that the measured cells may cost; (n / 15)^3 each of n nodes
SPREAD = 17  # predicted values along an axis where the measured ones are scattered
DEATHS_NODES = 60  # above it only graphs with symmetry are followed along the decay; others get the largest death alone
DEATH_TOLERANCE = 1e-3  # of a decay: less than the width of a line
LOWEST_DECAY = 1e-4  # of the largest death: below it an optimum takes too long


@dataclass(frozen=True)
class ModeDeath:
    """A decay at which the rank of the optimum changes, by ``multiplicity``; ``dies``: it is smaller above. The
    Laplacian eigenspace number ``index``, of ``eigenvalue``, holds the part ``share`` of what dies or appears."""

    decay: float
    eigenvalue: float
    index: int
    multiplicity: int
    share: float
    dies: bool


@dataclass(frozen=True, eq=False)
class Surface:
    """A predicted score: ``cells`` (k,) at the measured cells, and ``values`` (b, a) on a grid ``x`` (a,), ``y`` (b,)
    that is as fine as the measured one or finer; over one axis ``y`` is one NaN. NaN: nothing is predicted there."""

    x: Floats
    y: Floats
    values: Floats
    cells: Floats


@dataclass(frozen=True, eq=False)
class PhasePrediction:
    """``note``: why there is no predicted score, empty where there is. ``limit``: of infinite width, None without;
    ``finite``: of finite width, None where nothing was sampled (``samples`` 0). ``deaths``: descending;
    ``deaths_note``: what is missing of them; ``stable_rate``: over the learning
    rate alone, the one above which gradient descent leaves its flow, None where that is not within the axis."""

    note: str
    limit: Surface | None = None
    finite: Surface | None = None
    samples: int = 0
    deaths: tuple[ModeDeath, ...] = ()
    deaths_note: str = ""
    stable_rate: float | None = None


def predict_phase(
    task: Task,
    model: Model,
    base: Mapping[str, Any],
    axes: Sequence[Axis],
    cells: Floats,
    metric: str,
    *,
    scattered: bool = False,
    samples: int | None = None,
    seed: int = 0,
) -> PhasePrediction:
    """Predict ``metric`` at the measured ``cells`` (k >= 1, number of axes) and on grids over the one or two ``axes``.

    ``base``: the model's settings that do not vary. ``samples``: Gaussian starts for the finite width, 0 for none, None
    for SAMPLES up to SAMPLED_NODES nodes. The grids are finer than the measured one as far as the cost of their flows
    allows (learning rate and steps cost nothing: they are times of one flow); where that of the measured cells alone is
    too much (MOST_FLOWS), no score is predicted. Raises ValueError for settings the model does not have.
    """
    tasks: dict[tuple[Any, ...], Task] = {}

    def point(values: Sequence[float]) -> tuple[Task, Any]:
        named = zip((axis.name for axis in axes), values, strict=True)
        chosen: dict[str, Any] = {name: int(value) if name in WHOLE else float(value) for name, value in named}
        options = {name: chosen.pop(name) for name in TASK_OPTIONS if name in chosen}
        key = tuple(options.items())
        if key not in tasks:
            tasks[key] = dataclasses.replace(task, **options) if options else task
        return tasks[key], model.make_settings(**{**base, **chosen})

    def surface(flows: int, count: int) -> Surface:
        fine = [axis.spread(SPREAD) for axis in axes] if scattered else _finer(axes, task.graph.n, flows)
        grid = [point(values[::-1]) for values in product(*fine[::-1])]
        follow = predict_nets if net else predict_scores
        scores = follow([*measured, *grid], model, metric, samples=count, seed=seed)
        x, y = fine[0], fine[1] if len(fine) > 1 else np.array([np.nan])
        return Surface(x, y, scores[len(measured) :].reshape(len(y), len(x)), scores[: len(measured)])

    measured = [point(cell) for cell in cells]
    first = measured[0][1]
    deaths = _deaths_on(task, model, axes, first)
    costly = [k for k, axis in enumerate(axes) if axis.name not in FREE]
    flows = len(np.unique(cells[:, costly], axis=0)) if costly else 1
    net = model.time_per_step(first) is not None and is_net(first)
    note = _why_not_net(model, first, metric) if net else why_not_predicted(model, first, metric)
    if not note and flows * (task.graph.n / 15) ** 3 > MOST_FLOWS:
        note = f"no prediction: {flows} flows of {task.graph.n} nodes would take too long"
    if note:
        return PhasePrediction(note, None, None, 0, *deaths)
    stable = _stable_rate(axes, measured, model, net)
    if net:
        count = samples or NET_SAMPLES
        return PhasePrediction("", None, surface(0, count), count, *deaths, stable)
    count = samples if samples is not None else SAMPLES if task.graph.n <= SAMPLED_NODES else 0
    finite = surface(SAMPLED_FLOWS, count) if count else None
    return PhasePrediction("", surface(FLOWS, 0), finite, count, *deaths, stable)


def mode_deaths(task: Task, model: Model, lowest: float) -> tuple[tuple[ModeDeath, ...], str]:
    """The decays from ``lowest`` on at which modes of the optimum die or appear, descending, and what is missing of
    them: on a graph of more than DEATHS_NODES nodes without symmetry all but the largest, which is in closed form."""
    modes = early_modes(task.target, tied=model.tied, row_weight=task.row_weight)
    top = float(modes.rates[0]) / (2 if model.tied else 1)
    spaces = task.spaces
    if top <= 0 or lowest >= top:
        return (), ""
    relative = min(max(lowest / top, LOWEST_DECAY), 0.5)
    options: dict[str, Any] = {"tied": model.tied, "tolerance": DEATH_TOLERANCE, "lowest": relative}
    small = task.graph.n <= DEATHS_NODES
    try:
        if task.graph_target and (small or useful_symmetry(task.graph) is not None):
            of_target: dict[str, Any] = {"self_edges": task.self_edges, "label_smoothing": task.label_smoothing}
            thresholds = decay_thresholds(task.graph, **of_target, **options)
        elif small:
            thresholds = target_decay_thresholds(task.target, spaces, row_weight=task.row_weight, **options)
        else:
            raise RuntimeError(f"more than {DEATHS_NODES} nodes without enough symmetry")
    except RuntimeError as error:
        return (_last_death(task, modes, top),), f"of the deaths only the largest is known ({error})"
    change = thresholds.upper_ranks - thresholds.lower_ranks
    deaths = tuple(
        ModeDeath(float(decay), float(thresholds.eigenvalues[k]), int(k), int(abs(step)), float(share), bool(step < 0))
        for decay, step, k, share in zip(thresholds.decays, change, thresholds.spaces, thresholds.shares, strict=True)
        if decay >= lowest
    )
    missing = thresholds.lowest > lowest * (1 + DEATH_TOLERANCE) and relative == LOWEST_DECAY
    return deaths, f"deaths below {thresholds.lowest:.2g} were not looked for" if missing else ""


def _last_death(task: Task, modes: EarlyModes, decay: float) -> ModeDeath:
    """Of the fastest modes: above it nothing grows from zero."""
    spaces, first = task.spaces, modes.left[:, modes.rates >= modes.rates[0] * (1 - 1e-9)]
    energy = np.bincount(spaces.labels, weights=((spaces.basis.T @ first) ** 2).sum(axis=1))
    k, count = int(energy.argmax()), first.shape[1]
    return ModeDeath(decay, float(spaces.eigenvalues[k]), k, count, float(energy[k] / count), True)


def _deaths_of_net(task: Task, settings: Any, lowest: float) -> tuple[tuple[ModeDeath, ...], str]:
    """Of a linear net: near zero its residual layers are I, and E grows as Node2Vec's does but for a decay l E in the
    place of 2 l V. No other death is known, and none without residuals."""
    if settings.arch != "linear" or not settings.residual:
        return (), ""
    modes = early_modes(task.target, tied=settings.tied, row_weight=task.row_weight)
    top = float(modes.rates[0])
    if not 0 < lowest <= top:
        return (), ""
    return (_last_death(task, modes, top),), "of the deaths only the largest is known for a net with layers"


def _why_not_net(model: Model, settings: Any, metric: str) -> str:
    return why_not_followed(model, settings) or ("" if metric in METRICS else f"no prediction for {metric}")


def _stable_rate(axes: Sequence[Axis], points: Sequence[tuple[Task, Any]], model: Model, net: bool) -> float | None:
    """The smallest learning rate that is 2 / sharpness at the end of its run, between two that were run."""
    if len(axes) > 1 or axes[0].name != "learning_rate":
        return None
    rates = np.array([settings.learning_rate for _, settings in points])
    over = np.log(rates / (stable_steps_of_nets(points, model) if net else stable_steps(points, model)))
    crossings = level_lines(axes, rates, np.array([np.nan]), over[None], 0.0)
    return float(min(line[0, 0] for line in crossings)) if crossings else None


def _deaths_on(task: Task, model: Model, axes: Sequence[Axis], settings: Any) -> tuple[tuple[ModeDeath, ...], str]:
    """The deaths within the axis that is the weight decay, if there is one, the decay is the theory's and the other
    axis leaves the target alone."""
    decays = [axis.values[axis.values > 0] for axis in axes if axis.name == "weight_decay"]
    fixed_target = not any(axis.name in TASK_OPTIONS for axis in axes)
    if not decays or len(decays[0]) == 0 or model.time_per_step(settings) is None or not fixed_target:
        return (), ""
    lowest = float(decays[0][0])
    found = _deaths_of_net(task, settings, lowest) if is_net(settings) else mode_deaths(task, model, lowest)
    deaths, note = found
    return tuple(death for death in deaths if death.decay <= decays[0][-1]), note


def _finer(axes: Sequence[Axis], nodes: int, flows: int) -> list[Floats]:
    """Each axis refined as far as so many different flows of 15 nodes allow."""
    for parts in range(FINEST, 1, -1):
        fine = [axis.finer(parts) for axis in axes]
        costly = [len(v) for axis, v in zip(axes, fine, strict=True) if axis.name not in FREE]
        if np.prod(costly) * max(1.0, (nodes / 15) ** 2) <= flows:
            return fine
    return [axis.finer(1) for axis in axes]
