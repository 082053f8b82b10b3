"""Runs with their scores: what `fiedler train` and every point of a sweep do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from fiedler.theory import TiedOptimum

from .final_scores import score_final
from .models import Model
from .reference import reference_optimum
from .run_files import take_up
from .rundir import RunDir
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
    kept = [RunDir(folder(seed)) for seed in seeds]
    found = [_kept_scores(run, describe_run(task, model, settings, seed, seeds)) if resume else None
             for seed, run in zip(seeds, kept, strict=True)]  # fmt: skip
    done = {seed: scores for seed, scores in zip(seeds, found, strict=True) if scores}

    def scored(run: Run) -> dict[str, Any]:
        report("scores", 0.0)
        scores = score_run(task, run)
        report("scores", 1.0)
        return scores

    # Seeds that shared a training share it again, finished or not: alone they would end in other last bits.
    groups = [(seed,) for seed in seeds] if model.exact_together else model.groups(task, settings, seeds)
    left = [seed for group in groups if not all(seed in done for seed in group) for seed in group]
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
            score=scored,
            on_progress=lambda fraction: report(model.title, fraction),
            stop=stop,
        ):
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


def _kept_scores(kept: RunDir, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The scores of a finished run of ``config``, None where it has to be trained or scored."""
    if not kept.finished or not take_up(kept, config):
        return None
    try:
        return kept.read_scores() if kept.is_final("scores.json") else None
    except ValueError:
        return None  # damaged: scored again from the run's last checkpoint
