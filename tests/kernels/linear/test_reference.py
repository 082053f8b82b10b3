"""The oracle itself: against torch.nn.functional.cross_entropy where that has the option, by hand where not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fiedler.kernels.linear.options import Options
from fiedler.kernels.linear.reference import linear_cross_entropy_reference

SAME = 1e-12  # float64, the same terms in another order
N, D, V = 9, 4, 7


def tensors() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(3)
    x, w, b = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((N, D), (V, D), (V,)))
    target = torch.randint(V, (N,), generator=g)
    target[::4] = -100
    return x, w, b, target


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_torch(reduction: str, smoothing: float, weighted: bool) -> None:
    x, w, b, target = tensors()
    class_weight = torch.linspace(0.1, 2, V, dtype=torch.float64) if weighted else None
    options = Options(reduction=reduction, label_smoothing=smoothing)
    found = linear_cross_entropy_reference(x, w, target, options, bias=b, class_weight=class_weight)
    z = F.linear(x, w, b)
    expected = F.cross_entropy(z, target, weight=class_weight, label_smoothing=smoothing, reduction=reduction)
    torch.testing.assert_close(found.loss, expected, rtol=SAME, atol=SAME)
    torch.testing.assert_close(found.lse, z.logsumexp(1), rtol=SAME, atol=SAME)
    torch.testing.assert_close(found.entropy, torch.distributions.Categorical(logits=z).entropy(), rtol=SAME, atol=SAME)
    assert torch.equal(found.correct[target >= 0], (z.argmax(1) == target)[target >= 0])


def test_cap_z_loss_and_token_weight_by_hand() -> None:
    x, w, b, target = tensors()
    t = torch.linspace(0, 3, N, dtype=torch.float64)
    options = Options(logit_softcap=1.5, z_loss=0.2, reduction="mean")
    found = linear_cross_entropy_reference(x, w, target, options, bias=b, token_weight=t)
    z = 1.5 * torch.tanh((x @ w.T + b) / 1.5)
    total = divisor = 0.0
    for i in range(N):
        if target[i] >= 0:
            lse = z[i].exp().sum().log()
            total += t[i] * (lse - z[i, target[i]] + 0.2 * lse**2)
            divisor += t[i]
    assert found.loss.item() == pytest.approx((total / divisor).item(), rel=SAME)


@pytest.mark.parametrize("empty", [False, True])
def test_nothing_counts(empty: bool) -> None:
    x, w, _, target = tensors()
    x, target = (x[:0], target[:0]) if empty else (x, torch.full_like(target, -100))
    x.requires_grad_()
    loss = linear_cross_entropy_reference(x, w.requires_grad_(), target, Options()).loss
    assert loss.isnan()
    for gradient in torch.autograd.grad(loss, (x, w)):
        assert torch.equal(gradient, torch.zeros_like(gradient))


def test_twice_differentiable() -> None:
    x, w, _, target = tensors()
    options = Options(z_loss=0.1, label_smoothing=0.1, logit_softcap=4.0)
    small = target[:4]
    assert torch.autograd.gradgradcheck(
        lambda x, w: linear_cross_entropy_reference(x, w, small, options).loss,
        (x[:4].clone().requires_grad_(), w.requires_grad_()),
    )


def test_half_precision_is_widened() -> None:
    x, w, _, target = tensors()
    half = linear_cross_entropy_reference(x.bfloat16(), w.bfloat16(), target, Options())
    wide = linear_cross_entropy_reference(x.bfloat16().float(), w.bfloat16().float(), target, Options())
    assert half.loss.dtype == torch.float32
    assert torch.equal(half.loss, wide.loss)
