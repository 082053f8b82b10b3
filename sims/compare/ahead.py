"""The trainings of comparisons side by side in processes, into the folders in which ``compare`` then finds them done.

Every model's seeds are one training, as in one process, so that the results are those of one process to the bit (on
graphs whose trainings take one thread there).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..models.registry import Model
from ..runs.control import Restart, Watch
from ..runs.engine import run_seeds
from ..runs.many_runs import TRAINING
from ..runs.opening import opened
from ..runs.workers import STOP_FILE, processes, side_by_side
from ..tasks.task import Task
from .comparison import run_folder
from .run import comparison_config, run_folders

Pairs = Sequence[tuple[Model, Any]]


@dataclass(frozen=True, eq=False)
class Planned:
    """A comparison that is to be made in ``folder``, its (model, settings) pairs in order."""

    task: Task
    models: Pairs
    folder: Path


def train_ahead(
    planned: Sequence[Planned], seeds: Sequence[int], out: Path, restart: Restart, jobs: int | None, watch: Watch
) -> Restart:
    """Train everything that is ``planned`` in ``jobs`` processes (None: one for each CPU), those last in a comparison
    first: they take longest in the ladders. ``out``: the folder that holds them all. Returns how ``compare`` is then to
    take the folders; with one process it trains nothing, for ``compare`` does.

    Raises as ``compare`` and ``side_by_side``.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1; got {jobs}")
    count = min(processes(jobs), sum(len(one.models) for one in planned))
    if count <= 1:
        return restart
    configs = [comparison_config(one.task, one.models, seeds) for one in planned]
    works = []
    with ExitStack() as held:
        for one, config in zip(planned, configs, strict=True):
            runs = run_folders(one.folder, one.models, seeds)
            held.enter_context(opened(one.folder, config, restart, runs=runs))
            for place, (model, settings) in enumerate(one.models):
                work = partial(_train, one.task, model, settings, tuple(seeds), one.folder.absolute(), restart.inside)
                works.append((place, (f"{model.title} on {one.task.graph.name}", work)))
        works.sort(key=lambda entry: -entry[0])
        watch.report(TRAINING, 0.0)
        ended = side_by_side([work for _, work in works], count, out / STOP_FILE, watch)
        for done, _ in enumerate(ended, 1):
            watch.report(TRAINING, done / len(works))
    return replace(restart, overwrite=False, resume=True)


def _train(
    task: Task, model: Model, settings: Any, seeds: Sequence[int], folder: Path, restart: Restart, *, watch: Watch
) -> None:
    run_seeds(task, model, settings, seeds, folder=run_folder(folder, model), restart=restart, watch=watch)
