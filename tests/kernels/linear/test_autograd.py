"""The operation as the compiler sees it: one graph, the values and gradients of eager, registrations that hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cross_entropy_cases import D, N, V, leaves, relative_error
from fiedler.kernels.linear import autograd as linear_autograd
from fiedler.kernels.linear.cross_entropy import LinearCrossEntropyOutput, linear_cross_entropy

SAME = 2e-12  # float64, the same terms in another order
SINGLE = 2e-5  # float32, relative to the largest entry
BFLOAT = 2**-7  # one rounding to bfloat16, neighbours at most


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, backend="aot_eager")


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("path", ["auto", "recompute"])
def test_compiled_whole(reduction: str, path: str) -> None:
    """One graph, the values of eager; some targets ignored (a peer's compiled loss is silently wrong then)."""

    def loss(x: Tensor, w: Tensor, b: Tensor, target: Tensor) -> Tensor:
        out = linear_cross_entropy(
            2 * x, w, target, bias=b, reduction=reduction, label_smoothing=0.1, return_lse=True, path=path
        )
        assert isinstance(out, LinearCrossEntropyOutput)
        assert out.lse is not None
        return out.loss.sum() + out.lse.square().mean()

    results = []
    for function in (loss, compiled(loss)):
        x, w, b, target = leaves(torch.float64)
        value = function(x, w, b, target)
        results.append([value, *torch.autograd.grad(value, (x, w, b))])
    for found, expected in zip(results[1], results[0], strict=True):
        assert relative_error(found.detach(), expected.detach()) < SAME


def test_compiled_hands_over_the_stored_gradients() -> None:
    def loss(x: Tensor, w: Tensor, b: Tensor, target: Tensor) -> Any:
        return -3.0 * linear_cross_entropy(x, w, target, bias=b)

    x, w, b, target = leaves(torch.float64)
    found = torch.autograd.grad(compiled(loss)(x, w, b, target), (x, w, b))
    expected = torch.autograd.grad(loss(x, w, b, target), (x, w, b))
    for a, e in zip(found, expected, strict=True):
        assert relative_error(a, e) < SAME


def test_compiled_with_every_output_and_frozen_input() -> None:
    def everything(x: Tensor, w: Tensor, target: Tensor) -> Any:
        return linear_cross_entropy(x, w, target, return_lse=True, return_entropy=True, return_accuracy=True)

    x, w, _, target = leaves()
    x.requires_grad_(False)
    results = []
    for function in (everything, compiled(everything)):
        out = function(x, w, target)
        w.grad = None
        (out.loss + out.entropy.sum()).backward()
        results.append([*out, w.grad])
    for found, expected in zip(results[1], results[0], strict=True):
        assert relative_error(found.detach(), expected.detach()) < SINGLE


def test_compiled_under_autocast_and_with_dynamic_shapes() -> None:
    def loss(x: Tensor, w: Tensor, target: Tensor) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return linear_cross_entropy(x, w, target)

    function = compiled(loss)
    for rows in (N, 12, 5):
        x, w, _, target = leaves()
        x, target = x[:rows].detach().requires_grad_(), target[:rows]
        found, expected = function(x, w, target), loss(x, w, target)
        assert relative_error(found.detach(), expected.detach()) < SINGLE
        a, e = torch.autograd.grad(found, w), torch.autograd.grad(expected, w)
        assert relative_error(a[0], e[0]) < BFLOAT


def test_compiled_with_bad_targets_still_says_so() -> None:
    function = compiled(linear_cross_entropy)
    with pytest.raises(ValueError, match="target holds 99"):
        function(torch.zeros(4, D), torch.zeros(V, D), torch.full((4,), 99))


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_operator_registrations(reduction: str) -> None:
    x, w, b, target = leaves()
    call = linear_autograd.Call(
        linear_autograd.Options(reduction=reduction, return_entropy=True, z_loss=0.1), (True, True, True),
        reduction == "none", "auto", None,
    )  # fmt: skip
    torch.library.opcheck(
        torch.ops.fiedler.linear_cross_entropy.default,
        (x, w, b, target, None, None, *linear_autograd.arguments_of(call)),
    )
