"""What recording, checkpoints and the run folder cost: runs as `fiedler train` makes them against the bare steps."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from fiedler.sims.models.registry import get_model
from fiedler.sims.runs.control import Restart
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse
from interleave import interleave, row, write_results

ROUNDS = 5
CASES = (
    ("cycle:15", "node2vec", 10_000, 1),  # the paper's run: 60 ms
    ("cycle:15", "node2vec", 200_000, 1),
    ("karate", "node2vec", 20_000, 5),
    ("path-star:20x10", "node2vec", 1_500, 1),
    ("cycle:15", "transformer", 1_000, 1),
)


def test_overhead_of_recording_and_checkpoints(benchmark: Any) -> None:
    rows = []
    root = Path(tempfile.mkdtemp())
    try:
        for word, name, steps, count in CASES:
            task, model = Task(parse(word)), get_model(name)
            settings = model.make_settings(steps=steps)
            _ = task.target, task.spaces  # neither side pays for the graph

            def bare(task: Task = task, model: Any = model, settings: Any = settings, count: int = count) -> None:
                training = model.start(task, settings, range(count))
                with training.threads():
                    while training.step < settings.steps:
                        training.advance(min(training.chunk, settings.steps - training.step))
                training.finals()

            def kept(
                task: Task = task, model: Any = model, settings: Any = settings, count: int = count,
                every: float | None = None,
            ) -> None:  # fmt: skip
                restart = Restart(overwrite=True, checkpoint_every=every)
                run_seeds(task, model, settings, range(count), folder=lambda s: root / str(s), restart=restart)

            timings = interleave(
                {
                    "bare steps": bare,
                    "recorded, nothing kept": lambda t=task, m=model, s=settings, c=count: run_seeds(t, m, s, range(c)),
                    "run folder": kept,
                    "run folder, a checkpoint a second": lambda kept=kept: kept(every=1.0),
                },
                rounds=ROUNDS,
            )
            rows.append(
                row("run against bare steps", "bare steps", timings, graph=word, model=name, steps=steps, seeds=count)
            )
        benchmark.extra_info["rows"] = rows
        benchmark.pedantic(kept, rounds=3)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    write_results("runs", rows)
