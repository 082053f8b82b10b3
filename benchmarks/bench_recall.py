"""A training step of factual recall with the fused loss, against one with all logits and PyTorch's cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from fiedler.sims.models.torch_state import one_thread
from fiedler.sims.recall.settings import RecallSettings
from fiedler.sims.recall.training import RecallTraining
from interleave import interleave, row, write_results

ROUNDS, STEPS = 7, 4
SIZES = ((200, 4, 128), (1000, 4, 128), (4000, 2, 128))  # subjects, relations, width


def _plain(training: RecallTraining) -> Callable[[], None]:
    """The step with every logit written out, in the same model with an optimiser of its own."""
    tokens, targets = training.data.encode(training.data.train)
    model = training.model
    optimiser = torch.optim.AdamW(model.lm.parameters(), lr=1e-3, weight_decay=3.0, fused=True)

    def advance() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad(set_to_none=True)
            functional.cross_entropy(model.logits(tokens), targets[:, -1]).backward()
            optimiser.step()

    return advance


def test_recall_step(benchmark: Any) -> None:
    """All facts in a step, float32, one thread."""
    rows = []
    with one_thread():
        for subjects, relations, width in SIZES:
            settings = RecallSettings(subjects=subjects, relations=relations, width=width, neurons=2 * width)
            training = RecallTraining(settings, 0)

            def fused(training: RecallTraining = training) -> None:
                for _ in range(STEPS):
                    training.advance()

            timings = interleave({"fused": fused, "logits and cross_entropy": _plain(training)}, rounds=ROUNDS)
            facts = subjects * relations
            rows.append(
                row("recall step", "fused", timings, subjects=subjects, relations=relations,
                    width=width, facts=facts, vocabulary=training.data.vocabulary.size, steps=STEPS)
            )  # fmt: skip
        benchmark.extra_info["rows"] = rows
        benchmark.pedantic(fused, rounds=1)
    write_results("recall_step", rows)
