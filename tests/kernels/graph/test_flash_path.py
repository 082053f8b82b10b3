"""What surrounds the kernels of the graph losses' flash path, with the kernels' formulas written out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from fiedler.kernels import graph_cross_entropy
from graph_losses import SAME, embedding, exact, symmetric, weights
from graph_targets import SQUARE

each_target = pytest.mark.parametrize("target", SQUARE.values(), ids=SQUARE)


def dense_kernels() -> Any:
    from types import SimpleNamespace

    def others(x: Tensor, c: Tensor, bias: Tensor | None, pivot: Tensor) -> tuple[Tensor, Tensor]:
        z = x @ c.T if bias is None else x @ c.T + bias
        return z, torch.softmax(z, dim=1).scatter(1, pivot[:, None], 0.0)

    class PivotSums(NamedTuple):
        others: Tensor
        own: Tensor
        at_pivot: Tensor
        offset: Tensor

    def pivot_sums(
        x: Tensor, c: Tensor, bias: Tensor | None, pivot: Tensor, *, average: bool
    ) -> tuple[PivotSums, Tensor | None]:
        z, p = others(x, c, bias, pivot)
        at_pivot, offset = z.gather(1, pivot[:, None])[:, 0], z.amax(dim=1)
        own = torch.exp(at_pivot - offset)
        rest = (torch.exp(z - offset[:, None]) * (p > 0)).sum(dim=1)
        return PivotSums(rest, own, at_pivot, offset), p @ c if average else None

    def transposed(
        x: Tensor, c: Tensor, bias: Tensor | None, pivot: Tensor, _: PivotSums, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        p = others(x, c, bias, pivot)[1] * weight[:, None]
        return p.T @ x, p.sum(dim=0)

    def tied(x: Tensor, pivot: Tensor, _: PivotSums, weight: Tensor) -> Tensor:
        p = others(x, x, None, pivot)[1] * weight[:, None]
        return (p + p.T) @ x

    def tied_sums(x: Tensor, pivot: Tensor) -> PivotSums:
        return pivot_sums(x, x, None, pivot, average=False)[0]

    return SimpleNamespace(
        PivotSums=PivotSums, pivot_sums=pivot_sums, pivot_transpose_average=transposed, tied_pivot_average=tied,
        tied_pivot_sums=tied_sums,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
@each_target
def test_the_flash_path_around_its_kernels(target: np.ndarray, reduction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cuda", "cuda_symmetric"):
        monkeypatch.setitem(sys.modules, f"fiedler.kernels.graph.{module}", dense_kernels())
    for module in ("cross_entropy", "tied_cross_entropy"):
        monkeypatch.setattr(sys.modules[f"fiedler.kernels.graph.{module}"], "resolve", lambda path, _: path)
    n = len(target)
    csr, x, w = exact(target), embedding(n), weights(n).detach()
    c, b = embedding(n).detach().flip(0).requires_grad_(), weights(n)

    def check(call: Callable[[str], Tensor], tensors: list[Tensor]) -> None:
        slopes = []
        for path in ("flash", "reference"):
            value = call(path)
            upstream = torch.linspace(-1, 2, value.numel(), dtype=torch.float64).reshape(value.shape)
            slopes.append([value.detach(), *torch.autograd.grad(value, tensors, upstream)])
        for result, right in zip(*slopes, strict=True):
            torch.testing.assert_close(result, right, rtol=SAME, atol=SAME)

    options = {"row_weight": w, "reduction": reduction}
    check(lambda path: symmetric(x, csr, path=path, **options), [x])
    for learning in ([x, c, b], [c], [b], [x]):
        both = [t if any(t is other for other in learning) else t.detach() for t in (x, c, b)]
        check(lambda path, t=both: graph_cross_entropy(t[0], t[1], csr, bias=t[2], path=path, **options), learning)
