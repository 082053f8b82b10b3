"""Runs with their scores: what `fiedler train` and every point of a sweep do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from fiedler.theory import TiedOptimum, tied_optimum

from .models import Model
from .run_files import take_up
from .rundir import RunDir
from .scores import score_embedding, score_logits
from .stopping import StopRequest
from .tasks import Task
from .train import Run, describe_run, run_seeds


def run_and_score(
    task: Task,
    model: Model,
    settings: Any,
    seeds: Sequence[int],
    *,
    folder: Callable[[int], Path],
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: float | None = None,
    on_progress: Callable[[str, float], None] | None = None,
    stop: StopRequest | None = None,
) -> list[dict[str, Any]]:
    """``train.run_seeds``, then every run's scores against the optimum without weight decay, written into its folder
    and returned as its scores.json holds them. With ``resume`` finished runs that have theirs are only read."""
    report = on_progress or (lambda stage, fraction: None)
    done = {seed: scores for seed in seeds if resume and (scores := _kept_scores(task, model, settings, seed, folder))}
    left = [seed for seed in seeds if seed not in done]
    if left:
        for run in run_seeds(
            task,
            model,
            settings,
            left,
            folder=folder,
            overwrite=overwrite,
            resume=resume,
            checkpoint_every=checkpoint_every,
            score=lambda run: score_run(task, run),
            on_progress=lambda fraction: report(model.title, fraction),
            stop=stop,
        ):
            assert run.scores is not None
            done[run.seed] = run.scores
    return [done[seed] for seed in seeds]


def score_run(task: Task, run: Run) -> dict[str, Any]:
    """Model, seed, loss and every score of one run."""
    return {
        "model": run.model.name,
        "seed": run.seed,
        "loss_per_node": float(run.modes.loss[-1]),
        **score_embedding(run.final.embedding, task, _optimum(task)),
        **score_logits(run.final.logits, task),
    }


@lru_cache(maxsize=16)  # tasks are compared by identity: a sweep's points share theirs
def _optimum(task: Task) -> TiedOptimum:
    return tied_optimum(task.target)


def _kept_scores(
    task: Task, model: Model, settings: Any, seed: int, folder: Callable[[int], Path]
) -> dict[str, Any] | None:
    """The scores of a finished run of these settings, None where it has to be trained or scored."""
    kept = RunDir(folder(seed))
    if not kept.finished or not take_up(kept, describe_run(task, model, settings, seed)):
        return None
    try:
        return kept.read_scores() if kept.is_final("scores.json") else None
    except ValueError:
        return None  # damaged: scored again from the run's last checkpoint
