"""Runs of the package's own engine inside a measure."""

from __future__ import annotations

from typing import Any

from ...models.registry import get_model
from ...runs.control import Restart
from ...runs.engine import Run, run_seeds
from ...tasks.task import Task
from ..cell import At


def train(at: At, task: Task, word: str, name: str = "run", **settings: Any) -> Run:
    """The run of the model ``word`` with ``settings`` changed, of the cell's seed, in its folder under ``name``; taken
    up again where an earlier call was stopped."""
    from ...models.torch_state import one_thread  # here, so that a cell's key is known without torch

    model = get_model(word)
    how = Restart(resume=True, checkpoint_every=at.how.restart.checkpoint_every)
    with one_thread():
        (run,) = run_seeds(
            task,
            model,
            model.make_settings(**settings),
            [at.seed],
            folder=lambda seed: at.folder / f"{name}-seed{seed}",
            restart=how,
            watch=at.how.watch,
        )
    return run
