"""Runs with their scores: what `fiedler train` and every point of a sweep do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fiedler.theory import TiedOptimum, edge_margin, geometric_margin

from ..models.protocol import Final
from ..models.registry import Model
from ..scores.embedding import score_embedding, score_logits
from ..tasks.optimum import reference_optimum
from ..tasks.task import Task
from .control import AFRESH, UNWATCHED, Restart, Watch
from .engine import Run, describe_run, run_seeds
from .folder import RunDir
from .take_up import take_up


def run_and_score(
    task: Task,
    model: Model,
    settings: Any,
    seeds: Sequence[int],
    *,
    folder: Callable[[int], Path],
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> list[dict[str, Any]]:
    """``runs.engine.run_seeds``, then every run's scores against the optimum without weight decay, written into its
    folder and returned as its scores.json holds them. With ``restart.resume`` finished runs that have theirs are only
    read."""
    done: dict[int, dict[str, Any]] = {}
    for seed in seeds if restart.resume else ():
        config = describe_run(task, model, settings, seed, seeds)
        if (scores := _scores_of_finished(RunDir(folder(seed)), config)) is not None:
            done[seed] = scores

    def scored(run: Run) -> dict[str, Any]:
        watch.report("scores", 0.0)
        scores = score_run(task, run)
        watch.report("scores", 1.0)
        return scores

    # Seeds that shared a training share it again, finished or not: alone they would end in other last bits.
    groups = [(seed,) for seed in seeds] if model.exact_together else model.groups(task, settings, seeds)
    left = [seed for group in groups if not all(seed in done for seed in group) for seed in group]
    if left:
        for run in run_seeds(task, model, settings, left, folder=folder, restart=restart, score=scored, watch=watch):
            assert run.scores is not None
            done[run.seed] = run.scores
    return [done[seed] for seed in seeds]


def score_run(task: Task, run: Run) -> dict[str, Any]:
    """Model, seed, loss and every score of one run; ``optimum_weight_decay`` where the optimum it is scored against has
    one (``reference``)."""
    optimum = _optimum(task)
    return {
        "model": run.model.name,
        "seed": run.seed,
        "loss_per_node": float(run.modes.loss[-1]),
        **({"optimum_weight_decay": optimum.weight_decay} if optimum.weight_decay else {}),
        **score_final(run.final, task, optimum),
    }


@lru_cache(maxsize=16)  # tasks are compared by identity: a sweep's points share theirs
def _optimum(task: Task) -> TiedOptimum:
    return reference_optimum(task)


def _scores_of_finished(folder: RunDir, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The scores of a finished run of ``config``, None where it has to be trained or scored."""
    if not folder.finished or not take_up(folder, config):
        return None
    try:
        return folder.read_scores() if folder.is_final("scores.json") else None
    except ValueError:
        return None  # damaged: scored again from the run's last checkpoint


def score_final(final: Final, task: Task, optimum: TiedOptimum) -> dict[str, Any]:
    """``score_embedding`` and ``score_logits``; for a one-layer net Z = E W E' the geometric margin through W, too.

    ``geometric_margin`` and its top-1 accuracy are then those of E W' E', W' the part of W that is diagonal in the
    right singular basis of E. ``bilinear_margin``: of E W E', the logits without a bias. ``transposed_margin``: of
    E W E' transposed, which is what E W E' gives with the weight of a ``torch.nn.Linear``, stored the other way round;
    the public release of arXiv 2510.26745 prints numbers of its sign and size as "original margin" where the two differ
    (embeddings N(0,1), learning rate 0.1).
    """
    scores = {**score_embedding(final.embedding, task, optimum), **score_logits(final.logits, task)}
    if final.inner is None:
        return scores
    e, w = np.asarray(final.embedding, dtype=np.float64), np.asarray(final.inner, dtype=np.float64)
    margin, top1 = geometric_margin(e, task.graph, inner=w, direction=task.edges)
    bilinear = e @ w @ e.T
    return {
        **scores,
        "geometric_margin": margin,
        "geometric_margin_top1": top1,
        "bilinear_margin": edge_margin(bilinear, task.graph, direction=task.edges)[0],
        "transposed_margin": edge_margin(bilinear.T, task.graph, direction=task.edges)[0],
    }
