"""The sparse-target cross-entropy under autograd, compiler and autocast: frozen tensors, dtypes, strides, memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fiedler.kernels import csr_target, graph_cross_entropy
from graph_losses import SAME, D, exact, factors, learn, slopes
from graph_targets import TARGETS, random_target


@pytest.mark.parametrize("reduction", ["sum", "none"])
@pytest.mark.parametrize("learning", [(0,), (1,), (2,), (0, 2), (1, 2)])
def test_what_is_frozen_leaves_the_others_their_gradients(learning: tuple[int, ...], reduction: str) -> None:
    target = TARGETS["wide ragged"]
    tensors = factors(target)[:3]
    csr = exact(target)

    def gradients(which: tuple[int, ...]) -> list[Tensor | None]:
        copies = [t.clone().requires_grad_(i in which) for i, t in enumerate(tensors)]
        graph_cross_entropy(*copies[:2], csr, bias=copies[2], reduction=reduction).sum().backward()
        return [copy.grad for copy in copies]

    everything = gradients((0, 1, 2))
    for index, found in enumerate(gradients(learning)):
        if index in learning:
            assert found is not None
            assert torch.equal(found, everything[index])
        else:
            assert found is None


def test_without_gradients() -> None:
    target = TARGETS["ragged"]
    x, c = learn(*factors(target)[:2])
    with torch.no_grad():
        value = graph_cross_entropy(x, c, exact(target))
    assert not value.requires_grad
    assert value.item() == graph_cross_entropy(x, c, exact(target)).item()


def test_gradients_accumulate_and_backward_runs_twice() -> None:
    target = TARGETS["ragged"]
    x, c = learn(*factors(target)[:2])
    value = graph_cross_entropy(x, c, exact(target))
    value.backward(retain_graph=True)
    first = x.grad.clone()
    (2 * value).backward()
    assert torch.equal(x.grad, 3 * first)


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_a_second_derivative_is_refused(reduction: str) -> None:
    target = TARGETS["ragged"]
    x, c = learn(*factors(target)[:2])
    (slope,) = torch.autograd.grad(
        graph_cross_entropy(x, c, exact(target), reduction=reduction).sum(), x, create_graph=True
    )
    with pytest.raises(RuntimeError, match="differentiable once; use path='reference'"):
        slope.sum().backward()


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_compiled_whole(reduction: str) -> None:
    target = TARGETS["wide ragged"]
    csr, tensors = exact(target), learn(*factors(target))

    def value(x: Tensor, c: Tensor, b: Tensor, w: Tensor) -> Tensor:
        return graph_cross_entropy(x, c, csr, bias=b, row_weight=w, reduction=reduction).sum()

    compiled: Callable[..., Tensor] = torch.compile(value, fullgraph=True, backend="aot_eager")
    eager = value(*tensors)
    assert torch.equal(compiled(*tensors), eager)
    for result, right in zip(slopes(compiled(*tensors), tensors), slopes(eager, tensors), strict=True):
        assert torch.equal(result, right)


def test_the_operators_keep_their_contract() -> None:
    target = TARGETS["wide ragged"]
    x, c, b, w = learn(*factors(target))
    tensors = exact(target).tensors()
    torch.library.opcheck(
        torch.ops.fiedler.graph_sum.default, (x, c, b, tensors, w.detach(), [True, True, True], "chunked", 4)
    )
    torch.library.opcheck(
        torch.ops.fiedler.graph_sum.default, (x, c, None, tensors, w.detach(), [True, False, False], "chunked", 0)
    )
    torch.library.opcheck(torch.ops.fiedler.graph_rows.default, (x, c, None, tensors, "chunked", 4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_sums_in_single(dtype: torch.dtype) -> None:
    csr = csr_target(random_target(60, 5))
    x, c = learn(torch.randn(60, 8, dtype=dtype), torch.randn(60, 8, dtype=dtype))
    value = graph_cross_entropy(x, c, csr)
    assert value.dtype == torch.float32
    wide = learn(x.float(), c.float())
    expected = graph_cross_entropy(*wide, csr)
    assert torch.equal(value, expected)
    for result, right in zip(slopes(value, [x, c]), slopes(expected, wide), strict=True):
        assert torch.equal(result, right.to(dtype))


def test_autocast_casts_as_for_a_linear_layer() -> None:
    csr = csr_target(random_target(60, 5))
    x, c = learn(torch.randn(60, 8), torch.randn(60, 8))
    with torch.autocast("cpu", torch.bfloat16):
        value = graph_cross_entropy(x.bfloat16(), c, csr)
    low = graph_cross_entropy(x.bfloat16(), c.bfloat16(), csr)
    assert torch.equal(value, low)
    value.backward()
    assert c.grad is not None
    assert c.grad.dtype == torch.float32


def test_strides_of_any_kind() -> None:
    target = TARGETS["ragged"]
    x, c, _, _ = factors(target)
    expected = graph_cross_entropy(x, c, exact(target))
    crooked = x.T.contiguous().T, torch.cat([c, c], dim=1)[:, :D]
    assert not any(tensor.is_contiguous() for tensor in crooked)
    x, c = learn(x, c)
    tensors = [tensor.requires_grad_() for tensor in crooked]
    value = graph_cross_entropy(*tensors, exact(target))
    assert value.item() == pytest.approx(expected.item(), rel=SAME)
    for result, right in zip(
        slopes(value, tensors), slopes(graph_cross_entropy(x, c, exact(target)), [x, c]), strict=True
    ):
        torch.testing.assert_close(result, right, rtol=SAME, atol=SAME)


def test_no_nodes_at_all() -> None:
    csr = csr_target(np.zeros((0, 5)), dtype=torch.float64)
    x, c = learn(torch.zeros(0, D, dtype=torch.float64), torch.ones(5, D, dtype=torch.float64))
    assert graph_cross_entropy(x, c, csr, reduction="none").shape == (0,)
    assert torch.isnan(graph_cross_entropy(x, c, csr, reduction="mean"))
    value = graph_cross_entropy(x, c, csr)
    assert value.item() == 0.0
    assert not slopes(value, [c])[0].any()


def test_no_tensor_of_all_pairs_is_made() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, (tuple, list)) else (out,):
                if isinstance(tensor, Tensor):
                    largest = max(largest, tensor.untyped_storage().nbytes() // tensor.element_size())
            return out

    n, rows = 640, 32
    csr = csr_target(random_target(n, 4))
    x, c = learn(torch.randn(n, 8), torch.randn(n, 8))
    for reduction in ("sum", "none"):
        with Record():
            graph_cross_entropy(x, c, csr, reduction=reduction, chunk_rows=rows).sum().backward()
    assert largest <= rows * n
    with Record():
        graph_cross_entropy(x, c, csr, path="reference")
    assert largest >= n * n  # the recorder sees them
