"""One rule of autocast in every public loss: tensors are cast as the linear layer casts them, float64 is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor

from fiedler import kernels
from fiedler.kernels.checks import as_autocast
from graph_targets import TARGETS
from valid_kernel_calls import TinyModel

N, D, V = 9, 4, 9
RAGGED = TARGETS["ragged"]  # N x V, and a row of it empty
LABELS = torch.tensor([0, 3, 8, -100, 1, 1, 5, 7, 2])
SMOOTH = {"label_smoothing": 0.1, "z_loss": 0.01}


def target(x: Tensor) -> kernels.CsrTarget:
    return kernels.csr_target(RAGGED, dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)


def sharded(x: Tensor, *, tied: bool) -> kernels.ShardedTarget:
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return kernels.sharded_target(sp.csr_array(RAGGED), tied=tied, dtype=dtype)


def module(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return kernels.LinearCrossEntropyLoss(**SMOOTH)(x, w, LABELS, b)


def head(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    layer = kernels.LinearCrossEntropy(D, V, bias=True, dtype=w.dtype)
    return torch.func.functional_call(layer, {"weight": w, "bias": b}, (x, LABELS))


def statistics(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    out = kernels.linear_cross_entropy(x, w, LABELS, bias=b, return_lse=True, return_entropy=True)
    return out.loss + out.lse.square().mean() + out.entropy.sum()


def linear(**options: Any) -> Callable[..., Tensor]:
    return lambda x, w, b: kernels.linear_cross_entropy(x, w, LABELS, bias=b, **SMOOTH, **options).sum()


def graph(**options: Any) -> Callable[..., Tensor]:
    return lambda x, w, b: kernels.graph_cross_entropy(x, w, target(x), bias=b, **options).sum()


def tied(**options: Any) -> Callable[..., Tensor]:
    return lambda x, w, b: kernels.tied_graph_cross_entropy(x, target(x), **options).sum()


# Each of (N, D), (V, D) and (V,) tensors in one dtype; the tied losses use the first alone.
LOSSES: dict[str, Callable[..., Tensor]] = {
    "linear_cross_entropy": linear(),
    "linear_cross_entropy, recompute": linear(path="recompute"),
    "linear_cross_entropy, rows": linear(reduction="none"),
    "linear_cross_entropy, reference": linear(path="reference"),
    "linear_cross_entropy, statistics": statistics,
    "LinearCrossEntropyLoss": module,
    "LinearCrossEntropy": head,
    "vocab_parallel_linear_cross_entropy": lambda x, w, b: kernels.vocab_parallel_linear_cross_entropy(
        x, w, LABELS, bias=b, **SMOOTH
    ),
    "graph_cross_entropy": graph(),
    "graph_cross_entropy, rows": graph(reduction="none"),
    "graph_cross_entropy, reference": graph(path="reference"),
    "tied_graph_cross_entropy": tied(path="symmetric"),
    "tied_graph_cross_entropy, chunked": tied(path="chunked"),
    "tied_graph_cross_entropy, reference": tied(path="reference"),
    "sharded_graph_cross_entropy": lambda x, w, b: kernels.sharded_graph_cross_entropy(x, w, sharded(x, tied=False)),
    "tied_sharded_graph_cross_entropy": lambda x, w, b: kernels.tied_sharded_graph_cross_entropy(
        x, sharded(x, tied=True)
    ),
}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def leaves(dtype: torch.dtype) -> list[Tensor]:
    random = torch.Generator().manual_seed(3)
    tensors = [torch.randn(*shape, generator=random, dtype=torch.float64) for shape in ((N, D), (V, D), (V,))]
    return [tensor.to(dtype).requires_grad_() for tensor in tensors]


def value_and_gradients(
    loss: Callable[..., Tensor], tensors: list[Tensor], *, autocast: bool = False
) -> list[Tensor | None]:
    """Backward outside of autocast, as PyTorch asks."""
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        value = loss(*tensors)
    return [value.detach(), *torch.autograd.grad(value, tensors, allow_unused=True)]


def test_every_public_loss_is_here() -> None:
    losses = {name for name in kernels.__all__ if name.endswith("_cross_entropy")}
    losses |= {"LinearCrossEntropy", "LinearCrossEntropyLoss"}
    assert {name.split(",")[0] for name in LOSSES} == losses  # and causal_lm_loss below


@each_loss
def test_float64_is_left_alone(loss: Callable[..., Tensor]) -> None:
    expected = value_and_gradients(loss, leaves(torch.float64))
    results = value_and_gradients(loss, leaves(torch.float64), autocast=True)
    for result, right in zip(results, expected, strict=True):
        assert (result is None) == (right is None)
        assert result is None or right is None or (result.dtype == torch.float64 and torch.equal(result, right))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@each_loss
def test_others_are_cast_as_for_a_linear_layer(loss: Callable[..., Tensor], dtype: torch.dtype) -> None:
    """The numbers of tensors in bfloat16, and gradients in the dtypes of the tensors."""
    tensors = leaves(dtype)
    expected = value_and_gradients(loss, [tensor.detach().bfloat16().requires_grad_() for tensor in tensors])
    value, *gradients = value_and_gradients(loss, tensors, autocast=True)
    assert value is not None
    assert expected[0] is not None
    assert value.dtype == torch.float32
    assert torch.equal(value, expected[0])
    for gradient, right in zip(gradients, expected[1:], strict=True):
        assert (gradient is None) == (right is None)
        assert gradient is None or right is None or torch.equal(gradient, right.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_causal_language_models(dtype: torch.dtype) -> None:
    """A trunk that does not multiply, so that autocast meets the loss alone."""
    model = TinyModel().to(dtype)
    tokens = torch.tensor([[0, 3, 5, 1], [2, 2, 4, 0]])
    with torch.autocast("cpu", torch.bfloat16):
        loss = kernels.causal_lm_loss(model, tokens)
    expected = kernels.causal_lm_loss(model if dtype == torch.float64 else model.bfloat16(), tokens)
    assert isinstance(loss, Tensor)
    assert isinstance(expected, Tensor)
    assert loss.dtype == dtype
    assert torch.equal(loss, expected)


def test_the_rule_is_that_of_the_linear_layer() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
            x, w, b = (tensor.detach() for tensor in leaves(dtype))
            cast = as_autocast(x, w, b)
            product = F.linear(x, w, b)
            assert [tensor.dtype for tensor in cast] == [product.dtype] * 3
            assert torch.equal(F.linear(*cast), product)
        tokens, nothing, odd = as_autocast(LABELS, None, "x")
        assert tokens is LABELS
        assert (nothing, odd) == (None, "x")
    x = leaves(torch.float32)[0]
    assert as_autocast(x)[0] is x
