"""The bugs that other fused losses have had."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from cross_entropy_cases import N, evaluate, leaves, random_case, relative_error
from fiedler.kernels.linear.cross_entropy import linear_cross_entropy

SAME = 2e-12  # float64, the same terms in another order


def test_reduction_none_uses_each_rows_own_gradient() -> None:
    """A peer scaled all rows by the first row's upstream gradient."""
    x, w, b, target = leaves(torch.float64)
    up = torch.linspace(-2, 3, N, dtype=torch.float64)
    found = torch.autograd.grad(linear_cross_entropy(x, w, target, bias=b, reduction="none"), (x, w, b), up)
    expected = torch.autograd.grad(F.cross_entropy(F.linear(x, w, b), target, reduction="none"), (x, w, b), up)
    for a, e in zip(found, expected, strict=True):
        assert relative_error(a, e) < SAME


def test_bias_counts_once_at_the_target() -> None:
    """A peer added the bias of the target's class once for every block of columns."""
    w, b = torch.zeros(3000, 700), torch.zeros(3000)
    b[7] = 2.0
    loss = linear_cross_entropy(torch.zeros(1, 700), w, torch.tensor([7]), bias=b)
    assert loss.item() == pytest.approx(math.log(2999 + math.exp(2.0)) - 2.0, rel=1e-6)


def test_frozen_trunk_still_trains_the_head() -> None:
    """A peer computes no weight gradient when the input needs none."""
    x, w, _, target = leaves()
    linear_cross_entropy(x.detach(), w, target).backward()
    assert w.grad is not None
    assert w.grad.abs().max() > 0


def test_upstream_gradient_that_is_not_one() -> None:
    """A peer ignored per-token upstream gradients other than one."""
    x, w, _, target = leaves(torch.float64)
    (one,) = torch.autograd.grad(linear_cross_entropy(x, w, target), w)
    (three,) = torch.autograd.grad(3 * linear_cross_entropy(x, w, target), w)
    assert relative_error(three, 3 * one) < SAME


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_chunks_do_not_change_half_precision_training(dtype: torch.dtype) -> None:
    """A peer's weight gradient, accumulated in half precision, depends on the number of chunks."""
    case = random_case(512, 8, 16, reduction="sum")
    whole, many = evaluate(case, dtype, chunk_rows=512), evaluate(case, dtype, chunk_rows=2)
    exact = evaluate(case, torch.float64, path="reference")
    for found in (whole, many):
        assert relative_error(found["grad_weight"], exact["grad_weight"]) < 4 * torch.finfo(dtype).eps


def test_small_probabilities_keep_their_gradient() -> None:
    """A peer drops probabilities below 2^-12: rare classes are never pushed down."""
    w = torch.zeros(20_000, 1, requires_grad=True)
    linear_cross_entropy(torch.ones(1, 1), w, torch.tensor([0])).backward()
    assert w.grad is not None
    assert w.grad[1:].min().item() == pytest.approx(1 / 20_000, rel=1e-5)


def test_results_are_deterministic() -> None:
    case = random_case(200, 16, 300, bias=True, z_loss=0.1)
    a, b = evaluate(case, torch.float32), evaluate(case, torch.float32)
    assert all(torch.equal(a[name], b[name]) for name in a)
