"""Inputs and comparisons shared by the tests of ``linear_cross_entropy``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fiedler.kernels.linear.cross_entropy import LinearCrossEntropyOutput, linear_cross_entropy

N, D, V = 21, 6, 33  # of ``leaves``


@dataclass
class Case:
    """Tensors of one call in float64; ``options`` are keywords of ``linear_cross_entropy``."""

    input: Tensor
    weight: Tensor
    target: Tensor
    bias: Tensor | None = None
    class_weight: Tensor | None = None
    token_weight: Tensor | None = None
    options: dict[str, Any] = field(default_factory=dict)


def random_case(
    n: int, d: int, v: int, *, seed: int = 0, sharpness: float = 1.0, bias: bool = False, class_weight: bool = False,
    token_weight: bool = False, ignored: bool = False, **options: Any,
) -> Case:  # fmt: skip
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    target = torch.randint(v, (n,), generator=g)
    if ignored:
        target[::3] = -100
    return Case(
        sharpness * normal(n, d), sharpness * normal(v, d) * d**-0.5, target,
        normal(v) if bias else None,
        torch.rand(v, generator=g, dtype=torch.float64) if class_weight else None,
        torch.rand(n, generator=g, dtype=torch.float64) if token_weight else None,
        options,
    )  # fmt: skip


def leaves(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Input, weight and bias that learn, and a target of which some rows are ignored."""
    case = random_case(N, D, V, bias=True, ignored=True)
    assert case.bias is not None
    x, w, b = (t.to(dtype).requires_grad_() for t in (case.input, case.weight, case.bias))
    return x, w, b, case.target


def upstream(case: Case, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients into loss, lse and entropy, of either sign."""
    g = torch.Generator().manual_seed(11)
    shape = case.target.shape
    loss, lse, entropy = (torch.randn(shape, generator=g, dtype=torch.float64) for _ in range(3))
    return loss.to(dtype), lse.to(dtype), entropy.to(dtype)


def evaluate(case: Case, dtype: torch.dtype, **how: Any) -> dict[str, Tensor]:
    """Loss, statistics and gradients of a call with everything in ``dtype``."""

    def leaf(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.detach().to(dtype).requires_grad_()

    x, w, b = leaf(case.input), leaf(case.weight), leaf(case.bias)
    assert x is not None
    assert w is not None
    constants = {
        name: None if tensor is None else tensor.to(dtype)
        for name, tensor in (("class_weight", case.class_weight), ("token_weight", case.token_weight))
    }
    out = linear_cross_entropy(x, w, case.target, bias=b, **constants, **{**case.options, **how})
    if not isinstance(out, LinearCrossEntropyOutput):
        out = LinearCrossEntropyOutput(out, None, None, None)
    up = upstream(case, out.loss.dtype)
    total = (out.loss * up[0]).sum() if out.loss.dim() else out.loss
    found = {"loss": out.loss.detach()}
    if out.lse is not None:
        total = total + (out.lse * up[1]).sum()
        found["lse"] = out.lse.detach()
    if out.entropy is not None:
        total = total + (out.entropy * up[2]).sum()
        found["entropy"] = out.entropy.detach()
    if out.accuracy is not None:
        found["accuracy"] = out.accuracy
    leaves = {name: t for name, t in (("grad_input", x), ("grad_weight", w), ("grad_bias", b)) if t is not None}
    gradients = torch.autograd.grad(total, list(leaves.values()))
    return found | dict(zip(leaves, gradients, strict=True))


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest difference relative to the largest entry; 0 for two empty or two NaN results."""
    found, expected = found.detach().double(), expected.detach().double()
    both_nan = found.isnan() & expected.isnan()
    difference = (found - expected).masked_fill(both_nan, 0.0).abs()
    if difference.numel() == 0:
        return 0.0
    scale = expected.masked_fill(both_nan, 0.0).abs().max()
    return float(difference.max() / scale) if scale > 0 else float(difference.max())


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        error = relative_error(found[name], value)
        assert error <= tolerance, f"{name}: {error:.3g} > {tolerance:.3g}"
