"""The factor that arrives from above is not rounded to bfloat16: no gradient is off as a whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fiedler.kernels import (
    csr_target,
    graph_cross_entropy,
    linear_cross_entropy,
    tied_graph_cross_entropy,
    vocab_parallel_linear_cross_entropy,
)

N, D = 13, 64  # 1 / 13 in bfloat16 is 0.3 % too large
LABELS = torch.arange(N).roll(1)
TARGET = csr_target(torch.eye(N)[LABELS])
RANDOM = torch.Generator().manual_seed(0)
X, W = (torch.randn(N, D, generator=RANDOM).bfloat16() for _ in range(2))


def compiled(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    torch._dynamo.reset()
    return torch.compile(loss, fullgraph=True, backend="aot_eager")


LOSSES: dict[str, Callable[[Tensor, Tensor, str], Tensor]] = {
    "graph": lambda x, w, reduction: graph_cross_entropy(x, w, TARGET, reduction=reduction),
    "tied": lambda x, _, reduction: tied_graph_cross_entropy(x, TARGET, reduction=reduction),
    "linear": lambda x, w, reduction: linear_cross_entropy(x, w, LABELS, reduction=reduction),
    "linear, compiled": lambda x, w, reduction: compiled(linear_cross_entropy)(x, w, LABELS, reduction=reduction),
    "vocabulary parallel": lambda x, w, reduction: vocab_parallel_linear_cross_entropy(
        x, w, LABELS, reduction=reduction
    ),
}


def bias_of(found: Tensor, exact: Tensor) -> float:
    """By how much a gradient is too large as a whole."""
    return abs(float((found.double() * exact).sum() / exact.square().sum()) - 1.0)


@pytest.mark.parametrize("name", LOSSES)
def test_mean_and_sum_differ_by_the_number_of_rows(name: str) -> None:
    found = []
    for reduction, factor in (("sum", 1.0), ("mean", 1.0), ("sum", 1 / N)):
        x, w = X.clone().requires_grad_(), W.clone().requires_grad_()
        (LOSSES[name](x, w, reduction) * factor).backward()
        found.append([leaf.grad for leaf in ((x,) if name == "tied" else (x, w))])
    for exact, *others in zip(*found, strict=True):
        for other in others:
            assert bias_of(other, exact.double() / N) < 5e-4  # roundings of single entries, which cancel
