"""The bare exponentials of a softmax, the least that a loss computes beside its matrix products."""

from __future__ import annotations

from collections.abc import Callable

import torch

from interleave import Timing

BLOCK = (64, 1024)  # a quarter of a MiB: read, exponentiated and written in a core's own cache


def exponentials(count: int) -> Callable[[], None]:
    """2 to the power of ``count`` float32 numbers, a block at a time and always the same one, each number once."""
    exponents, found = torch.randn(BLOCK).view(-1), torch.empty(BLOCK).view(-1)
    blocks, left = divmod(count, exponents.numel())

    def run() -> None:
        for _ in range(blocks):
            torch.exp2(exponents, out=found)
        if left:
            torch.exp2(exponents[:left], out=found[:left])

    return run


def lower_bound(products: Timing, exponentials: Timing) -> Timing:
    """Products and exponentials of each round together."""
    return Timing(tuple(p + e for p, e in zip(products.seconds, exponentials.seconds, strict=True)))
