"""The module forms: the same numbers as the function, the same parameters as the linear layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from fiedler.kernels.linear.cross_entropy import LinearCrossEntropyOutput
from fiedler.kernels.linear.modules import LinearCrossEntropy, LinearCrossEntropyLoss

SAME = 1e-6  # float32 sums of a few terms, relative
D, V = 6, 11


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(2, 5, D, generator=g), torch.randint(V, (2, 5), generator=g)


def test_loss_module_has_torchs_options() -> None:
    x, y = batch()
    w, b, c = torch.randn(V, D), torch.randn(V), torch.rand(V)
    loss = LinearCrossEntropyLoss(class_weight=c, label_smoothing=0.1, reduction="sum", ignore_index=3)
    expected = torch.nn.CrossEntropyLoss(weight=c, label_smoothing=0.1, reduction="sum", ignore_index=3)
    torch.testing.assert_close(
        loss(x, w, y, b), expected(F.linear(x, w, b).reshape(-1, V), y.reshape(-1)), rtol=SAME, atol=SAME
    )
    assert list(loss.parameters()) == []
    assert loss.to(torch.float64).class_weight.dtype == torch.float64
    assert "label_smoothing=0.1" in repr(loss)
    assert "z_loss" not in repr(loss)


def test_head_is_a_linear_layer() -> None:
    x, y = batch()
    plain, head = torch.nn.Linear(D, V), LinearCrossEntropy(D, V, bias=True, z_loss=0.1, return_accuracy=True)
    head.load_state_dict(plain.state_dict())
    plain.load_state_dict(head.state_dict())
    torch.testing.assert_close(head(x), plain(x))
    out = head(x, y)
    assert isinstance(out, LinearCrossEntropyOutput)
    z = plain(x).reshape(-1, V)
    expected = F.cross_entropy(z, y.reshape(-1)) + 0.1 * z.logsumexp(1).square().mean()
    torch.testing.assert_close(out.loss, expected, rtol=SAME, atol=SAME)
    out.loss.backward()
    expected.backward()
    torch.testing.assert_close(head.weight.grad, plain.weight.grad, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(head.bias.grad, plain.bias.grad, rtol=1e-5, atol=1e-6)


def test_token_weights_pass_through() -> None:
    x, y = batch()
    head = LinearCrossEntropy(D, V)
    t = torch.zeros(2, 5)
    t[1, 2] = 1.0
    torch.testing.assert_close(
        head(x, y, token_weight=t), F.cross_entropy(head(x)[1, 2], y[1, 2]), rtol=SAME, atol=SAME
    )


def test_options_are_checked_when_made() -> None:
    with pytest.raises(ValueError, match="z_loss"):
        LinearCrossEntropyLoss(z_loss=-1.0)
    with pytest.raises(ValueError, match="path"):
        LinearCrossEntropy(D, V, path="quick")


def test_compiled_training_step() -> None:
    x, y = batch()
    head = LinearCrossEntropy(D, V)
    torch._dynamo.reset()
    step = torch.compile(lambda x, y: head(x, y), fullgraph=True, backend="aot_eager")
    step(x, y).backward()
    found = head.weight.grad.clone()
    head.zero_grad()
    head(x, y).backward()
    torch.testing.assert_close(found, head.weight.grad)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"in_features": 10**12}, ValueError),
        ({"out_features": 0}, ValueError),
        ({"out_features": 2.0}, TypeError),
        ({"bias": 1}, TypeError),
        ({"device": "gpu"}, ValueError),
        ({"dtype": torch.int64}, TypeError),
        ({"class_weight": torch.ones(V, dtype=torch.complex64)}, TypeError),
    ],
)
def test_a_head_that_cannot_be_is_refused_by_name(change: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(change))):
        LinearCrossEntropy(**{"in_features": D, "out_features": V} | change)
