"""Hugging Face's Trainer with a patched model and with the model itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves
from transformers import Trainer, TrainingArguments

from adopted_models import VOCABULARY, batch, make
from fiedler.kernels import patch

# Losses after steps of AdamW, whose first steps turn small differences of small gradients into larger ones.
CLOSE = 1e-4

ROWS = [
    {key: value[row] for key, value in batch(8, seed).items()} | {"unused": torch.tensor(0)}
    for seed in (1, 2)
    for row in range(8)
]


def train(model: Any, folder: Path, **options: Any) -> tuple[list[float], dict[str, float]]:
    """The logged losses, and those of the evaluation."""
    arguments = TrainingArguments(
        str(folder), per_device_train_batch_size=2, gradient_accumulation_steps=2, max_steps=3, logging_steps=1,
        learning_rate=1e-3, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, seed=0, **options,
    )  # fmt: skip
    shapes: list[Any] = []

    def measure(prediction: Any) -> dict[str, float]:
        shapes.extend(one.shape for one in tree_leaves(prediction.predictions))  # logits, and what else there is
        return {}

    trainer = Trainer(model, arguments, train_dataset=ROWS, eval_dataset=ROWS[:4], compute_metrics=measure)
    trainer.train()
    evaluated = trainer.evaluate()
    assert (4, 11, VOCABULARY) in shapes
    return [log["loss"] for log in trainer.state.log_history if "loss" in log], evaluated


@pytest.mark.parametrize("name", ["llama", "mixtral, router loss"])
def test_the_logged_losses_are_those_of_the_model_itself(name: str, tmp_path: Path) -> None:
    options = {"gradient_checkpointing": name == "llama"}
    own, own_evaluated = train(make(name), tmp_path, **options)
    losses, evaluated = train(patch(make(name)), tmp_path, **options)
    assert len(losses) == 3
    assert losses == pytest.approx(own, rel=CLOSE)
    assert evaluated["eval_loss"] == pytest.approx(own_evaluated["eval_loss"], rel=CLOSE)
