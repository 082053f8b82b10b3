"""The public function: shapes, errors, autograd, autocast."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cross_entropy_cases import D, N, V, assert_same, evaluate, leaves, random_case, relative_error
from fiedler.kernels.linear import autograd as linear_autograd
from fiedler.kernels.linear.cross_entropy import (
    LinearCrossEntropyOutput,
    linear_cross_entropy,
    linear_cross_entropy_plan,
)

SAME = 2e-12  # float64, the same terms in another order
SINGLE = 2e-5  # float32, relative to the largest entry
BFLOAT = 2**-7  # one rounding to bfloat16, neighbours at most


# --- derivatives ---


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("path", ["auto", "chunked", "recompute", "reference"])
def test_gradcheck_through_loss_lse_and_entropy(reduction: str, path: str) -> None:
    case = random_case(5, 3, 7, bias=True, ignored=True, class_weight=True, token_weight=True)

    def outputs(x: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        out = linear_cross_entropy(
            x, w, case.target, bias=b, reduction=reduction, label_smoothing=0.2, logit_softcap=2.0, z_loss=0.1,
            class_weight=case.class_weight, token_weight=case.token_weight, return_lse=True, return_entropy=True,
            path=path, chunk_rows=2,
        )  # fmt: skip
        assert isinstance(out, LinearCrossEntropyOutput)
        assert out.lse is not None
        assert out.entropy is not None
        return out.loss, out.lse, out.entropy

    tensors = [t.clone().requires_grad_() for t in (case.input, case.weight, case.bias) if t is not None]
    assert torch.autograd.gradcheck(outputs, tensors)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_second_derivative_is_refused(reduction: str) -> None:
    x, w, b, target = leaves()
    loss = linear_cross_entropy(x, w, target, bias=b, reduction=reduction).sum()
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(NotImplementedError, match="differentiable once; use path='reference'"):
        (gradient.square().sum() + x.sum()).backward()


@pytest.mark.parametrize("scale", [1.0, -3.5])
@pytest.mark.parametrize("path", ["chunked", "recompute"])
def test_upstream_factor_and_second_backward(scale: float, path: str) -> None:
    x, w, b, target = leaves(torch.float64)
    expected = torch.autograd.grad(scale * F.cross_entropy(F.linear(x, w, b), target), (x, w, b))
    loss = scale * linear_cross_entropy(x, w, target, bias=b, path=path)
    first = torch.autograd.grad(loss, (x, w, b), retain_graph=True)
    kept = [g.clone() for g in first]
    for g in first:
        g.zero_()  # they belong to the caller
    second = torch.autograd.grad(loss, (x, w, b))
    for a, e, again in zip(kept, expected, second, strict=True):
        assert relative_error(a, e) < SAME
        assert relative_error(again, e) < SAME
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, (x, w, b))


def test_gradients_accumulate_over_calls() -> None:
    x, w, b, target = leaves(torch.float64)
    for part in (slice(0, 10), slice(10, N)):
        linear_cross_entropy(x[part], w, target[part], bias=b, reduction="sum").backward()
    expected = torch.autograd.grad(F.cross_entropy(F.linear(x, w, b), target, reduction="sum"), (x, w, b))
    for leaf, e in zip((x, w, b), expected, strict=True):
        assert leaf.grad is not None
        assert relative_error(leaf.grad, e) < SAME


def test_the_gradient_is_given_away_without_a_copy() -> None:
    x, w, _, target = leaves()
    loss = linear_cross_entropy(x, w, target, path="chunked")
    held = loss.grad_fn.gradients[1].data_ptr()  # type: ignore[union-attr]
    loss.backward()
    assert w.grad is not None
    assert w.grad.data_ptr() == held


@pytest.mark.parametrize("frozen", [{"input"}, {"weight"}, {"bias"}, {"input", "weight"}, {"input", "bias"}])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_frozen_tensors_leave_the_others_their_gradients(frozen: set[str], reduction: str) -> None:
    x, w, b, target = leaves(torch.float64)
    named = {"input": x, "weight": w, "bias": b}
    expected = torch.autograd.grad(F.cross_entropy(F.linear(x, w, b), target), (x, w, b))
    for name in frozen:
        named[name].requires_grad_(False)
    loss = linear_cross_entropy(x, w, target, bias=b, reduction=reduction)
    (loss.sum() / (target >= 0).sum() if reduction == "none" else loss).backward()
    for (name, tensor), e in zip(named.items(), expected, strict=True):
        if name in frozen:
            assert tensor.grad is None
        else:
            assert tensor.grad is not None
            assert relative_error(tensor.grad, e) < SAME


def test_no_grad_computes_no_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w, b, target = leaves()
    wanted = linear_cross_entropy(x, w, target, bias=b).item()
    seen: list[Any] = []
    forward = linear_autograd.linear_cpu.forward
    monkeypatch.setattr(linear_autograd.linear_cpu, "forward", lambda *a, **k: seen.append(k) or forward(*a, **k))
    with torch.no_grad():
        loss = linear_cross_entropy(x, w, target, bias=b)
    with torch.inference_mode():
        linear_cross_entropy(x, w, target, bias=b, return_entropy=True)
    assert not loss.requires_grad
    assert loss.item() == pytest.approx(wanted)
    assert all(not (k["need_input"] or k["need_weight"] or k["need_bias"]) for k in seen)
    assert len(seen) == 2


# --- shapes and strides ---


@pytest.mark.parametrize("lead", [(), (1,), (4,), (2, 3), (2, 0, 3)])
@pytest.mark.parametrize("path", ["auto", "reference"])
def test_leading_dimensions(lead: tuple[int, ...], path: str) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(*lead, D, dtype=torch.float64), torch.randn(V, D, dtype=torch.float64)
    target = torch.randint(V, lead)
    t = torch.rand(lead, dtype=torch.float64)
    out = linear_cross_entropy(
        x, w, target, token_weight=t, reduction="none", return_lse=True, return_entropy=True, return_accuracy=True,
        path=path,
    )  # fmt: skip
    assert isinstance(out, LinearCrossEntropyOutput)
    assert out.lse is not None
    assert out.entropy is not None
    assert out.accuracy is not None
    assert out.loss.shape == out.lse.shape == out.entropy.shape == lead
    assert out.accuracy.shape == ()
    z = (x @ w.T).reshape(-1, V)
    expected = t.reshape(-1) * F.cross_entropy(z, target.reshape(-1), reduction="none")
    assert relative_error(out.loss.reshape(-1), expected) < SAME


def test_strides_do_not_matter() -> None:
    case = random_case(N, D, V, bias=True)
    wanted = evaluate(case, torch.float64)
    case.input, case.weight = case.input.t().contiguous().t(), case.weight.t().contiguous().t()
    assert_same(evaluate(case, torch.float64), wanted, SAME)
    wide_x, wide_w = torch.zeros(N, 2 * D, dtype=torch.float64), torch.zeros(V, 3 * D, dtype=torch.float64)
    wide_x[:, ::2], wide_w[:, ::3] = case.input, case.weight
    xs, ws = wide_x.requires_grad_(), wide_w.requires_grad_()
    loss = linear_cross_entropy(xs[:, ::2], ws[:, ::3], case.target, bias=case.bias)
    loss.backward()
    assert xs.grad is not None
    assert ws.grad is not None
    assert relative_error(xs.grad[:, ::2], wanted["grad_input"]) < SAME
    assert relative_error(ws.grad[:, ::3], wanted["grad_weight"]) < SAME
    assert ws.grad[:, 1::3].abs().max() == 0


@pytest.mark.parametrize("path", ["chunked", "recompute", "reference"])
@pytest.mark.parametrize("empty", [True, False])
def test_nothing_counts(path: str, empty: bool) -> None:
    """An empty batch, and one that is ignored throughout: NaN mean, as torch has it, and gradients of zero."""
    for reduction, value in (("mean", math.nan), ("sum", 0.0), ("none", 0.0)):
        case = random_case(0 if empty else 5, D, V, bias=True, reduction=reduction, label_smoothing=0.1)
        case.target.fill_(-100)
        found = evaluate(case, torch.float32, path=path)
        if reduction == "none":
            assert torch.equal(found["loss"], torch.zeros(len(case.target)))
        else:
            assert found["loss"].item() == pytest.approx(value, nan_ok=True)
        for name in ("grad_input", "grad_weight", "grad_bias"):
            assert torch.equal(found[name], torch.zeros_like(found[name])), name


def test_ignore_index_may_be_a_class() -> None:
    x, w, b, target = leaves(torch.float64)
    target = target.clamp_min(0)
    found = linear_cross_entropy(x, w, target, bias=b, ignore_index=3)
    assert relative_error(found, F.cross_entropy(F.linear(x, w, b), target, ignore_index=3)) < SAME


def test_accuracy_counts_ties_and_skips_ignored_rows() -> None:
    w = torch.zeros(3, 2)
    w[2] = -1.0
    x = torch.ones(4, 2)
    target = torch.tensor([0, 1, 2, -100])
    for path in ("auto", "reference"):
        out = linear_cross_entropy(x, w, target, return_accuracy=True, path=path)
        assert isinstance(out, LinearCrossEntropyOutput)
        assert out.accuracy is not None
        assert out.accuracy.item() == pytest.approx(2 / 3)


# --- dtypes and autocast ---


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", [{}, {"bias": True, "label_smoothing": 0.1, "z_loss": 0.01}])
def test_half_precision(dtype: torch.dtype, options: dict[str, Any]) -> None:
    """Computed in float32: the reference on the same rounded tensors, but for the rounding of the gradients."""
    case = random_case(300, 20, 77, **options)
    for name in ("input", "weight", "bias"):
        tensor = getattr(case, name)
        setattr(case, name, None if tensor is None else tensor.to(dtype).double())
    found, expected = evaluate(case, dtype), evaluate(case, torch.float64, path="reference")
    assert found["loss"].dtype == torch.float32
    assert relative_error(found["loss"], expected["loss"]) < SINGLE
    for name in ("grad_input", "grad_weight"):
        assert found[name].dtype == dtype
        assert relative_error(found[name], expected[name]) < BFLOAT


def test_float16_gradients_survive_loss_scaling() -> None:
    """Per-token gradients of a mean over 4096 rows lie below the smallest float16 until the factor comes in."""
    g = torch.Generator().manual_seed(0)
    x = (1e-2 * torch.randn(4096, 4, generator=g)).half().requires_grad_()
    w = (1e-2 * torch.randn(8, 4, generator=g)).half().requires_grad_()
    y = torch.randint(8, (4096,), generator=g)
    factor = 65536.0
    (factor * linear_cross_entropy(x, w, y)).backward()
    xd, wd = x.detach().double().requires_grad_(), w.detach().double().requires_grad_()
    (factor * F.cross_entropy(xd @ wd.T, y)).backward()
    assert x.grad is not None
    assert xd.grad is not None
    assert relative_error(x.grad, xd.grad) < 2e-3
    assert linear_cross_entropy_plan(x, w).path == "recompute"


@pytest.mark.parametrize("options", [{}, {"z_loss": 0.1, "return_entropy": True}])
def test_autocast(options: dict[str, Any]) -> None:
    x, w, b, target = leaves()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = linear_cross_entropy(x, w, target, bias=b, **options)
    loss = out if isinstance(out, Tensor) else out.loss
    loss.backward()
    xb, wb, bb = (t.detach().bfloat16().float() for t in (x, w, b))
    same = linear_cross_entropy(xb, wb, target, bias=bb, **options)
    assert loss.dtype == torch.float32
    assert relative_error(loss.detach(), same if isinstance(same, Tensor) else same.loss) < 1e-6
    for leaf in (x, w, b):
        assert leaf.grad is not None
        assert leaf.grad.dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


def test_autocast_leaves_float64_alone() -> None:
    x, w, b, target = leaves(torch.float64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear_cross_entropy(x, w, target, bias=b).dtype == torch.float64


# --- errors ---


def _arguments() -> dict[str, Any]:
    return {
        "input": torch.zeros(4, D), "weight": torch.zeros(V, D), "target": torch.zeros(4, dtype=torch.int64),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"target": torch.tensor([0, 1, V, 0])}, ValueError, f"target holds {V} at position 2"),
        ({"target": torch.tensor([0, -1, 2, 0])}, ValueError, "target holds -1 at position 1"),
        ({"target": torch.zeros(4)}, TypeError, "target must be int64"),
        ({"target": torch.zeros(5, dtype=torch.int64)}, ValueError, "target has shape"),
        ({"input": torch.zeros(4, D, dtype=torch.int64)}, TypeError, "input must be float32"),
        ({"input": torch.zeros(4, D + 1)}, ValueError, "do not fit"),
        ({"input": torch.zeros(())}, ValueError, "do not fit"),
        ({"weight": torch.zeros(V, D, 1)}, ValueError, "do not fit"),
        ({"weight": torch.zeros(0, D)}, ValueError, "do not fit"),
        ({"weight": torch.zeros(V, D, dtype=torch.float64)}, TypeError, "weight is torch.float64"),
        ({"bias": torch.zeros(V, dtype=torch.bfloat16)}, TypeError, "bias is torch.bfloat16"),
        ({"bias": torch.zeros(V + 1)}, ValueError, "bias must have shape"),
        ({"class_weight": torch.zeros(V, dtype=torch.int64)}, TypeError, "class_weight must be floating"),
        ({"class_weight": torch.zeros(V, 1)}, ValueError, "class_weight must have shape"),
        ({"class_weight": torch.zeros(V, requires_grad=True)}, ValueError, "class_weight is a constant"),
        ({"token_weight": torch.zeros(3)}, ValueError, "token_weight must have shape"),
        ({"weight": torch.zeros(V, D, device="meta")}, ValueError, "weight is on meta"),
        ({"target": torch.zeros(4, dtype=torch.int64, device="meta")}, ValueError, "target is on meta"),
        ({"input": [[0.0] * D] * 4}, TypeError, "input must be a tensor"),
        ({"weight": torch.zeros(V, D).to_sparse()}, TypeError, "weight must be a dense tensor"),
        ({"class_weight": torch.ones(V, dtype=torch.complex64)}, TypeError, "class_weight must be floating"),
        ({"ignore_index": 10**400}, ValueError, "ignore_index must lie between"),
        ({"label_smoothing": math.nan}, ValueError, "label_smoothing"),
        ({"logit_softcap": 0.0}, ValueError, "logit_softcap"),
        ({"z_loss": math.inf}, ValueError, "z_loss"),
        ({"reduction": "batchmean"}, ValueError, "reduction"),
        ({"path": "quick"}, ValueError, "path"),
        ({"path": "flash"}, ValueError, "CUDA only"),
        ({"path": "exponential"}, ValueError, "CUDA only"),
        ({"path": "sweep"}, ValueError, "CUDA only"),
        ({"chunk_rows": 0}, ValueError, "chunk_rows"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
@pytest.mark.parametrize("path", ["auto", "reference"])
def test_bad_input_is_refused_by_name(change: dict[str, Any], error: type[Exception], message: str, path: str) -> None:
    arguments = {"path": path} | _arguments() | change
    with pytest.raises(error, match=message):
        linear_cross_entropy(arguments.pop("input"), arguments.pop("weight"), arguments.pop("target"), **arguments)


def test_other_devices_are_refused() -> None:
    arguments = {name: tensor.to("meta") for name, tensor in _arguments().items()}
    with pytest.raises(ValueError, match="runs on cpu and cuda, not on meta"):
        linear_cross_entropy(**arguments)


def test_nan_logits_are_not_hidden() -> None:
    arguments = _arguments()
    arguments["input"][1, 2] = math.nan
    assert linear_cross_entropy(**arguments).isnan()
    rows = linear_cross_entropy(**arguments, reduction="none")
    assert rows.isnan().tolist() == [False, True, False, False]


# --- the plan ---


def test_plan() -> None:
    x, w = torch.empty(1024, 256), torch.empty(32000, 256)
    plan = linear_cross_entropy_plan(x, w)
    assert plan.path == "chunked"
    assert 64 <= plan.chunk_rows <= 512
    assert plan.workspace_bytes == 4 * 32000 * plan.chunk_rows
    assert linear_cross_entropy_plan(x, w, reduction="none").path == "recompute"
    assert linear_cross_entropy_plan(x, w, path="recompute", chunk_rows=7).chunk_rows == 7
    assert linear_cross_entropy_plan(x, w, path="reference").workspace_bytes > 4 * 1024 * 32000
    with pytest.raises(ValueError, match="CUDA only"):
        linear_cross_entropy_plan(x, w, path="flash")
