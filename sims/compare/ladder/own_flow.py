"""The flow of the very net that a model is, in the form in which comparisons draw and score a prediction.

For models whose steps are flow time and whose equations are known as they are (``StartingNet.exact``): linear nets and
GPT-2's sublayers on one token, by plain descent. Nothing of a run is seen, nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import LinearNet, PreNormNet, ladder_flow, pre_norm_descents
from fiedler.theory.flow.progress import part

from ...models.registry import Model
from ...predict.trajectory import FLOW_NODES, Late, PredictedTrajectory, mean_trajectory, trajectory_of, within
from ...runs.control import UNWATCHED, Watch
from ...tasks.task import Task
from .prediction import PART_OF_STEP, TOLERANCE
from .start import StartingNet, starting_net


def follow_own_flow(
    task: Task,
    model: Model,
    settings: Any,
    seeds: Sequence[int],
    steps: NDArray[np.int64],
    time_limit: float,
    watch: Watch = UNWATCHED,
) -> tuple[PredictedTrajectory | None, str] | None:
    """The mean over ``seeds`` of the flows from their own starts at the times of the recorded ``steps`` > 0, or None
    and why it was not done; None alone for a model with other equations. Raises Interrupted where ``watch`` asks."""
    if model.time_per_step(settings) is None or task.graph.n > FLOW_NODES:
        return None
    first = starting_net(task, model, settings, seeds[0])
    if not first.exact:
        return None
    starts = [first, *(starting_net(task, model, settings, seed) for seed in seeds[1:])]
    compute = partial(_follow, task, model, settings, starts, steps[steps > 0])
    try:
        return within(time_limit, f"{model.title} prediction", watch, compute), ""
    except Late:
        return None, f"no predicted flow: it was not done after {time_limit:g} s (--time-limit)"
    except (FloatingPointError, RuntimeError) as error:
        return None, f"no predicted flow: {' '.join(str(error).split())}"


def _follow(
    task: Task, model: Model, settings: Any, starts: Sequence[StartingNet], steps: NDArray[np.int64]
) -> PredictedTrajectory:
    per_step = model.time_per_step(settings)
    assert per_step is not None
    times, found = per_step * steps.astype(np.float64), []
    for index, start in enumerate(starts):
        with part(index, len(starts)):
            if isinstance(start.net, LinearNet):
                flow = ladder_flow(
                    task.target, start.net, times, weight_decay=float(settings.weight_decay),
                    row_weight=task.row_weight, rtol=TOLERANCE,
                )  # fmt: skip
                embedding, loss = flow.net.embedding, flow.loss
            else:
                embedding, loss = _descent(task, start.net, per_step, steps)
            found.append(trajectory_of(task, times, embedding, loss, own=True))
    return mean_trajectory(found)


def _descent(
    task: Task, net: PreNormNet, per_step: float, steps: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    counts = np.round(steps / PART_OF_STEP).astype(np.int64)
    (run,) = pre_norm_descents(task.target, [net], PART_OF_STEP * per_step, counts, row_weight=task.row_weight)
    return run.embedding, run.loss
