"""A training step of a small Mamba on short sequences: ``models.mamba_scan`` against the steps of transformers."""

from __future__ import annotations

import copy
import time
from functools import partial
from typing import Any

import torch

from fiedler.sims.models.architectures import build_causal_lm
from fiedler.sims.models.torch_state import one_thread
from interleave import interleave, row, write_results

ROUNDS, STEPS = 5, 1
VOCABULARY = 410
# (rows, tokens, width, layers): edges and paths of the presets of `fiedler paths`, then wider.
SHAPES = ((128, 2, 64, 2), (32, 10, 64, 2), (256, 2, 128, 3), (75, 10, 128, 3))


def advance(model: Any, tokens: torch.Tensor) -> None:
    for _ in range(STEPS):
        model.zero_grad()
        model(input_ids=tokens).logits[:, -1].square().mean().backward()


def test_a_training_step(benchmark: Any) -> None:
    """Forward and gradient of all weights, float32, one thread, processor time: no optimiser, no recording."""
    rows = []
    with one_thread():
        for batch, length, width, layers in SHAPES:
            torch.manual_seed(0)
            fast = build_causal_lm("mamba", vocabulary=VOCABULARY, positions=length, width=width, layers=layers)
            slow = copy.deepcopy(fast)
            for module in slow.modules():
                module.__dict__.pop("forward", None)  # back to transformers' own
            tokens = torch.randint(VOCABULARY, (batch, length))
            timings = interleave(
                {"scan": partial(advance, fast, tokens), "transformers": partial(advance, slow, tokens)},
                rounds=ROUNDS,
                clock=time.process_time,
            )
            shape = {"batch": batch, "tokens": length, "width": width, "layers": layers, "steps": STEPS}
            rows.append(row(f"mamba step {batch} x {length}, width {width}", "scan", timings, **shape))
        benchmark.extra_info["rows"] = rows
        benchmark.pedantic(lambda: advance(fast, tokens), rounds=1)
    write_results("mamba", rows)
