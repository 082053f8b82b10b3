"""What surrounds the kernels of the graph losses' flash path, with the kernels' formulas written out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

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

    def probabilities(x: Tensor, c: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        z = x @ c.T if bias is None else x @ c.T + bias
        return torch.logsumexp(z, dim=1), torch.softmax(z, dim=1)

    def softmax_average(x: Tensor, c: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        lse, p = probabilities(x, c, bias)
        return lse, p @ c

    def transposed(x: Tensor, c: Tensor, bias: Tensor | None, lse: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        p = probabilities(x, c, bias)[1] * weight[:, None]
        return p.T @ x, p.sum(dim=0)

    def tied(x: Tensor, bias: Tensor | None, lse: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        p = probabilities(x, x, bias)[1] * weight[:, None]
        return (p + p.T) @ x, p.sum(dim=0)

    return SimpleNamespace(
        softmax_average=softmax_average,
        softmax_lse=lambda x, c, bias: probabilities(x, c, bias)[0],
        softmax_transpose_average=transposed,
        tied_softmax_average=tied,
    )


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
@each_target
def test_the_flash_path_around_its_kernels(target: np.ndarray, reduction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fiedler.kernels.graph.cuda", dense_kernels())
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
