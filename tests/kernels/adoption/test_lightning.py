"""Lightning's Trainer with a patched model and with the model itself, in one process and in two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("pytorch_lightning", reason="it is not installed: pip install pytorch-lightning")

from pytorch_lightning import Trainer
from torch.utils.data import DataLoader

import lightning_processes
from adopted_models import VOCABULARY, batch, error, make
from fiedler.kernels import patch
from lightning_processes import PROCESSES, REPLICATED, ROWS, Training, train
from worlds import found_by

# Gradients as in test_models; losses as in test_trainer: steps of AdamW enlarge differences of small gradients.
CLOSE, CLOSE_LATER = 2e-5, 1e-4


def same(found: Any, expected: Any, first: float = CLOSE, later: float = CLOSE_LATER) -> None:
    """Six losses of three accumulated steps, the gradients of the first step, and the evaluation after them."""
    assert found["without logits"] == [True] * 6
    assert expected["without logits"] == [False] * 6
    assert found["losses"] == pytest.approx(expected["losses"], rel=later)
    assert len(found["gradients"]) == len(expected["gradients"]) == 3
    assert error(found["gradients"][0], expected["gradients"][0]) < first
    for (loss, shape), (own, _) in zip(found["evaluated"], expected["evaluated"], strict=True):
        assert loss == pytest.approx(own, rel=later)
        assert shape == (2, 11, VOCABULARY)


@pytest.mark.parametrize("name", ["llama", "mixtral, router loss"])
def test_losses_and_gradients_are_those_of_the_model_itself(name: str, tmp_path: Path) -> None:
    expected = train(Training(make(name)), tmp_path)
    same(train(Training(patch(make(name))), tmp_path), expected)


def test_bfloat16(tmp_path: Path) -> None:
    expected = train(Training(make("llama")), tmp_path, precision="bf16-mixed")
    found = train(Training(patch(make("llama"))), tmp_path, precision="bf16-mixed")
    same(found, expected, first=2e-2, later=4e-3)  # its logits are rounded to bfloat16


def test_a_model_made_in_configure_model(tmp_path: Path) -> None:
    class Late(Training):
        def __init__(self) -> None:
            super().__init__(torch.nn.Identity())

        def configure_model(self) -> None:
            if isinstance(self.model, torch.nn.Identity):  # it may be called again
                self.model = patch(make("llama"))

    same(train(Late(), tmp_path), train(Training(make("llama")), tmp_path))


def test_checkpoints_are_those_of_the_model_itself(tmp_path: Path) -> None:
    module = Training(patch(make("llama")))
    trainer = Trainer(accelerator="cpu", max_steps=1, barebones=True, default_root_dir=tmp_path)
    trainer.fit(module, DataLoader(ROWS, batch_size=2))
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    loaded = Training.load_from_checkpoint(tmp_path / "one.ckpt", model=make("llama")).model
    assert type(loaded) is type(make("llama"))
    assert loaded.eval()(**batch()).loss.item() == module.model.eval()(**batch()).loss.item()
    assert loaded(**batch()).loss.item() != make("llama").eval()(**batch()).loss.item()


@pytest.mark.processes
def test_ddp(tmp_path: Path) -> None:
    found = found_by(lightning_processes.__file__, tmp_path, PROCESSES)
    for name in REPLICATED:
        for one in found:
            same(one[f"patched, {name}"], one[f"own, {name}"])
        first, second = (one[f"patched, {name}"] for one in found)
        assert first["losses"] != second["losses"]  # rows of their own, and averaged gradients
        assert error(first["gradients"][0], second["gradients"][0]) == 0
