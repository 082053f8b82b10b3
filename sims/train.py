"""The training engine: any model, any number of seeds, one run folder each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from .models import Final, Model
from .recorder import Modes, Recorder, log_spaced_steps
from .rundir import RunDir
from .tasks import Task


@dataclass(frozen=True, eq=False)
class Run:
    """One finished run: which model and seed, what was recorded, what it ended in."""

    model: Model
    settings: Any
    seed: int
    modes: Modes
    final: Final


def run_seeds(
    task: Task,
    model: Model,
    settings: Any,
    seeds: Sequence[int],
    *,
    folder: Callable[[int], Path] | None = None,
    overwrite: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> list[Run]:
    """Train every seed and return the runs in the order of ``seeds``.

    ``folder(seed)``: where to keep each run (nothing is kept when None); see ``rundir`` for the layout.
    ``on_progress`` is called with the fraction done. Raises ValueError for repeated seeds or a folder in use, before
    anything is written, and FloatingPointError when training diverges; what is already written stays.
    """
    check_seeds(seeds)
    steps = log_spaced_steps(settings.steps)
    recorders = {seed: Recorder(task.spaces, steps) for seed in seeds}
    kept: dict[int, RunDir] = {}
    if folder is not None:
        for seed in seeds:
            RunDir.check(folder(seed), overwrite=overwrite)
    shots = model.train(task, settings, seeds, steps)
    first = next(shots)  # settings that do not suit the graph are refused here, before any folder is made
    if folder is not None:
        for seed in seeds:
            kept[seed] = RunDir.create(folder(seed), describe_run(task, model, settings, seed), overwrite=overwrite)
    per_step = model.time_per_step(settings)
    finals: dict[int, Final] = {}
    for done, shot in enumerate(chain([first], shots), 1):
        recorders[shot.seed].record(shot.embedding, shot.loss)
        if shot.seed in kept:
            time = None if per_step is None else per_step * shot.step
            kept[shot.seed].append_metrics({"step": shot.step, "time": time, "loss_per_node": shot.loss})
        if shot.final is not None:
            finals[shot.seed] = shot.final
        if on_progress is not None:
            on_progress(done / (len(steps) * len(seeds)))
    runs = [Run(model, settings, seed, recorders[seed].finish(), finals[seed]) for seed in seeds]
    for run in runs:
        if run.seed in kept:
            _keep(kept[run.seed], run, task)
    return runs


def check_seeds(seeds: Sequence[int]) -> None:
    """Raises ValueError for no seeds, repeated or negative ones."""
    if len(set(seeds)) != len(seeds) or not seeds:
        raise ValueError(f"seeds must be a non-empty list without repeats; got {list(seeds)}")
    if min(seeds) < 0:
        raise ValueError(f"seeds must be zero or more; got {min(seeds)}")


def describe_run(task: Task, model: Model, settings: Any, seed: int) -> dict[str, Any]:
    """config.json of a run: everything needed to run it again."""
    return {**task.describe(), "model": model.name, "seed": seed, "settings": dataclasses.asdict(settings)}


def _keep(folder: RunDir, run: Run, task: Task) -> None:
    per_step = run.model.time_per_step(run.settings)
    times = {} if per_step is None else {"times": per_step * run.modes.steps}
    folder.write_modes(
        steps=run.modes.steps,
        energy=run.modes.energy,
        centred_energy=run.modes.centred_energy,
        loss_per_node=run.modes.loss,
        eigenvalues=task.spaces.eigenvalues,
        multiplicities=task.spaces.multiplicities,
        **times,
    )
    arrays = {"embedding": run.final.embedding}
    if run.final.context is not None:
        arrays["context"] = run.final.context
    folder.write_embeddings(arrays)
