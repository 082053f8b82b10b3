"""A LightningModule around a model, and two processes that train it, patched and not, by Lightning's "ddp": run as a
script, imported for training in one process. Each process writes what it found to FOLDER/RANK.pt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor
from torch.utils.data import DataLoader

from adopted_models import batch, gradients, make
from fiedler.kernels import patch
from worlds import run_script

PROCESSES = 2
REPLICATED = ("llama", "qwen2, tied")
ROWS = [{key: value[row] for key, value in batch(8, seed).items()} for seed in (1, 2) for row in range(8)]


class Training(LightningModule):
    """What a user writes, and what is compared: every loss, and the gradients of every step of the optimizer."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self.found: dict[str, list[Any]] = {"losses": [], "gradients": [], "without logits": [], "evaluated": []}

    def training_step(self, batch: Any, index: int) -> Tensor:
        output = self.model(**batch)
        self.found["losses"].append(output.loss.item())
        self.found["without logits"].append(output.logits is None)
        return output.loss

    def validation_step(self, batch: Any, index: int) -> None:
        output = self.model(**batch)
        self.found["evaluated"].append((output.loss.item(), tuple(output.logits.shape)))

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        kept = {name: one.grad for name, one in self.named_parameters()}
        self.found["gradients"].append(gradients(self))
        for name, parameter in self.named_parameters():  # ``gradients`` takes them away
            parameter.grad = kept[name]

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def train(module: Training, folder: Path, **options: Any) -> dict[str, list[Any]]:
    """What was found in three steps of the optimizer over two batches each, and an evaluation."""
    trainer = Trainer(
        accelerator="cpu", max_steps=3, accumulate_grad_batches=2, default_root_dir=folder, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    trainer.fit(module, DataLoader(ROWS, batch_size=2))
    trainer.validate(module, DataLoader(ROWS, batch_size=2), verbose=False)
    assert trainer.global_step == 3
    return module.found


def process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name in REPLICATED:
        for kind in ("own", "patched"):
            model = patch(make(name)) if kind == "patched" else make(name)
            strategy = DDPStrategy(process_group_backend="gloo")
            found[f"{kind}, {name}"] = train(Training(model), folder / kind, devices=PROCESSES, strategy=strategy)
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    sys.exit(run_script(PROCESSES, process))
