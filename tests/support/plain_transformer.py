"""Training of a transformer as anybody would write it, to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from fiedler.sims.tasks.task import Task

STEPS = (0, 1, 5, 30)


def plain_training(task: Task, seed: int, **changes: Any) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Token embeddings, logits and loss at STEPS, by the model's own forward pass on whole sequences, with dense soft
    targets over all tokens and torch's cross-entropy."""
    options = {
        "width": 8,
        "heads": 1,
        "layers": 1,
        "init_std": 0.02,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        **changes,
    }
    n = task.graph.n
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = GPT2Config(
            vocab_size=n + 1,
            n_positions=2,
            n_embd=options["width"],
            n_layer=options["layers"],
            n_head=options["heads"],
            initializer_range=options["init_std"],
            bos_token_id=n,
            eos_token_id=n,
        )
        model = GPT2LMHeadModel(config).eval()  # no dropout
    optimiser = torch.optim.AdamW(model.parameters(), lr=options["learning_rate"], weight_decay=options["weight_decay"])
    wanted = torch.zeros(n, n + 1)
    wanted[:, :n] = torch.tensor(task.target)
    ids = torch.tensor([[n, node] for node in range(n)])
    states = []
    for step in range(max(STEPS) + 1):
        logits = model(ids).logits[:, 1]
        loss = torch.nn.functional.cross_entropy(logits, wanted)
        if step in STEPS:
            weight = model.transformer.wte.weight.detach().numpy()[:n].copy()
            states.append((weight, logits.detach().numpy()[:, :n].copy(), loss.item()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return states
