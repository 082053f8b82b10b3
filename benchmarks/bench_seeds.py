"""Sixteen seeds of a tiny model trained as one stack, against one seed and against sixteen runs one after another."""

from __future__ import annotations

from typing import Any

from fiedler.sims.models.neural import NeuralTraining
from fiedler.sims.models.registry import get_model
from fiedler.sims.models.torch_state import one_thread
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse
from interleave import interleave, row, write_results

ROUNDS, STEPS, SEEDS = 7, 60, 16
WORDS = (
    "one-layer",
    "mlp",
    "transformer",
    "hf:gpt-neox",
    "hf:llama",
    "mamba:width=8",
    "mamba:width=16",
    "mamba",
    "associative",
    "one-layer:width=512",  # the net of the paper's 15-cycle: bound by memory, not by calls
)
GRAPH = "path-star:4x5"


def test_seeds_together(benchmark: Any) -> None:
    """The steps alone: no recording, no files. float32, one thread, all weights trained by AdamW."""
    task, rows = Task(parse(GRAPH)), []
    with one_thread():
        for word in WORDS:
            settings = get_model(word).make_settings()
            one = NeuralTraining(task.sparse_target, settings, [0])
            together = NeuralTraining(task.sparse_target, settings, range(SEEDS))
            timings = interleave(
                {
                    "one seed": lambda one=one: one.advance(STEPS),
                    f"{SEEDS} seeds together": lambda together=together: together.advance(STEPS),
                },
                rounds=ROUNDS,
            )
            rows.append(
                row("seeds as one stack", "one seed", timings, graph=GRAPH, model=word, steps=STEPS, seeds=SEEDS)
            )
        benchmark.extra_info["rows"] = rows
        benchmark.pedantic(lambda: together.advance(STEPS), rounds=3)
    write_results("seeds", rows)
