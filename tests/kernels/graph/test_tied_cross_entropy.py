"""The tied loss against a loop, dense autograd in float64, and the general loss with the embedding in both places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fiedler.kernels import csr_target, graph_cross_entropy
from fiedler.kernels.graph.tied_cross_entropy import SYMMETRIC_FROM, tied_graph_cross_entropy
from fiedler.kernels.graph.tied_tiles import strip_rows
from graph_losses import SAME, D, embedding, exact, symmetric, weights
from graph_targets import SQUARE, loop, random_target

SLACK = 1.1  # mean error over PyTorch's own, over six draws
FLOOR = 2e-7  # where PyTorch is right to the last bit or two: what some roundings of factors near one add up to
EXPONENT = 5e-6  # exp of a float32 number near 60, which is known to 4e-6
SMALL = settings(max_examples=30, deadline=None)
each_target = pytest.mark.parametrize("target", SQUARE.values(), ids=SQUARE)
# Norms alike, norms far apart (each row its own offset), and all norms large (one offset, not zero).
KINDS = ("small", "wide", "large")


def test_the_kinds_take_the_ways_they_are_meant_for() -> None:
    from fiedler.kernels.graph.tied_tiles import _common_offset

    offsets = [_common_offset(1.2 * embedding(9, kind).detach()) for kind in KINDS]
    assert offsets[0] == 0.0
    assert offsets[1] is None
    assert offsets[2] is not None
    assert offsets[2] > 0


# Values.


@pytest.mark.parametrize("kind", KINDS)
@each_target
def test_the_loss_is_the_loop(target: np.ndarray, kind: str) -> None:
    x, w = embedding(len(target), kind).detach(), weights(len(target)).detach()
    rows = loop((x @ x.T).numpy(), target)
    for path, chunk in (("symmetric", 4), ("symmetric", 1), ("symmetric", None), ("chunked", 4), ("auto", None)):
        options = {"path": path, "chunk_rows": chunk}
        each = tied_graph_cross_entropy(x, exact(target), reduction="none", **options)
        np.testing.assert_allclose(each.numpy(), rows, rtol=SAME, atol=SAME)
        total = tied_graph_cross_entropy(x, exact(target), row_weight=w, **options)
        assert (total.shape, total.dtype) == ((), torch.float64)
        assert total.item() == pytest.approx(w.numpy() @ rows, rel=SAME, abs=SAME)
        mean = tied_graph_cross_entropy(x, exact(target), row_weight=w, reduction="mean", **options)
        assert mean.item() == pytest.approx(w.numpy() @ rows / w.sum().item(), rel=SAME, abs=SAME)


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
@pytest.mark.parametrize("kind", KINDS)
@each_target
def test_the_gradients_are_autograds(target: np.ndarray, kind: str, reduction: str) -> None:
    tensors = [embedding(len(target), kind), weights(len(target))]
    csr = exact(target)

    def slopes(**options: Any) -> tuple[Tensor, ...]:
        value = symmetric(tensors[0], csr, row_weight=tensors[1], reduction=reduction, **options)
        upstream = torch.linspace(-1, 2, value.numel(), dtype=torch.float64).reshape(value.shape)
        return torch.autograd.grad(value, tensors, upstream)

    expected = slopes(path="reference")
    for options in ({}, {"chunk_rows": 1}, {"chunk_rows": 3}, {"chunk_rows": 99}, {"path": "chunked"}):
        for result, right in zip(slopes(**options), expected, strict=True):
            torch.testing.assert_close(result, right, rtol=SAME, atol=SAME * max(1.0, right.abs().max().item()))


@pytest.mark.parametrize("kind", KINDS)
@each_target
def test_tied_is_untied_with_the_gradients_added(target: np.ndarray, kind: str) -> None:
    x, w = embedding(len(target), kind), weights(len(target)).detach()
    (tied,) = torch.autograd.grad(symmetric(x, exact(target), row_weight=w), x)
    left, right = (x.detach().clone().requires_grad_() for _ in range(2))
    sides = torch.autograd.grad(graph_cross_entropy(left, right, exact(target), row_weight=w), [left, right])
    torch.testing.assert_close(tied, sum(sides), rtol=SAME, atol=SAME * max(1.0, tied.abs().max().item()))


@each_target
def test_the_gradient_is_the_slope_of_the_loss(target: np.ndarray) -> None:
    csr = exact(target)
    tensors = (embedding(len(target)), weights(len(target)))
    assert torch.autograd.gradcheck(lambda x, w: symmetric(x, csr, row_weight=w), tensors)
    assert torch.autograd.gradcheck(lambda x: symmetric(x, csr, reduction="none"), tensors[:1])


@pytest.mark.parametrize(("scale", "kind"), [(0.1, "small"), (1.0, "small"), (1.0, "wide"), (1.0, "large")])
@pytest.mark.parametrize(("n", "width", "degree"), [(50, 3, 1), (257, 16, 4), (600, 64, 30)])
def test_single_precision_errs_no_more_than_pytorch(n: int, width: int, degree: int, scale: float, kind: str) -> None:
    csr = csr_target(random_target(n, degree))
    dense = csr.to_dense()
    shape = embedding(n, kind, width).detach().norm(dim=1, keepdim=True).float()
    ours, peers = np.zeros((2, 6, 2))
    for seed in range(6):
        x = torch.nn.functional.normalize(torch.randn(n, width, generator=torch.Generator().manual_seed(seed)))
        x = (scale * shape * x).requires_grad_()
        wide = x.detach().double().requires_grad_()
        truth = torch.nn.functional.cross_entropy(wide @ wide.T, dense.double(), reduction="sum")
        truths = [truth, *torch.autograd.grad(truth, wide)]
        peer = torch.nn.functional.cross_entropy(x @ x.T, dense, reduction="sum")
        for errors, value in ((ours, tied_graph_cross_entropy(x, csr, path="symmetric", chunk_rows=64)), (peers, peer)):
            for which, (found, right) in enumerate(zip([value, *torch.autograd.grad(value, x)], truths, strict=True)):
                errors[seed, which] = ((found - right).norm() / right.norm()).item()
    assert (ours.mean(axis=0) <= np.maximum(SLACK * peers.mean(axis=0), FLOOR)).all()


@pytest.mark.parametrize("norms", [(6.0, 9.0), (6.0, 19.0)])
def test_confident_rows_keep_their_digits(norms: tuple[float, float]) -> None:
    """Leaves of short vectors beside hubs of long ones, each its own direction: leaf i predicts hub i at a margin of
    6 * 9 - 36 nats at least; the loss of a leaf is far below the precision of 1 - p."""
    n = 8
    x = torch.zeros(2 * n, n, dtype=torch.float64)
    x[:n], x[n:] = norms[0] * torch.eye(n), norms[1] * torch.eye(n)
    target = np.kron([[0.0, 1.0], [1.0, 0.0]], np.eye(n))
    # The sum over all but the hub, which even the reference loses against the hub in float64.
    others = torch.exp(x[:n] @ x.T - norms[0] * norms[1])
    others[torch.arange(n), n + torch.arange(n)] = 0.0
    expected = others.sum(dim=1).log1p()
    assert expected[0] < 1e-7
    found = symmetric(x.float(), csr_target(target), reduction="none")[:n]
    torch.testing.assert_close(found.double(), expected, rtol=EXPONENT * norms[0] * norms[1] / 60, atol=0)


def test_isolated_nodes_have_no_loss() -> None:
    target = SQUARE["ragged"]
    for kind in KINDS:
        assert symmetric(embedding(9, kind), exact(target), reduction="none")[2].item() == 0.0


def test_embeddings_that_are_not_numbers_give_a_loss_that_is_none() -> None:
    x = embedding(9).detach()
    x[3, 1] = float("nan")
    assert torch.isnan(symmetric(x, exact(SQUARE["ragged"])))
    assert torch.isnan(tied_graph_cross_entropy(x, exact(SQUARE["ragged"])))


# Properties.


@SMALL
@given(st.integers(0, 10_000), st.sampled_from(sorted(SQUARE)), st.sampled_from(KINDS), st.integers(1, 10))
def test_renaming_the_nodes_renames_the_gradient(seed: int, name: str, kind: str, chunk_rows: int) -> None:
    target = SQUARE[name]
    order = torch.tensor(np.random.default_rng(seed).permutation(len(target)))
    x = embedding(len(target), kind)
    renamed = x.detach()[order].requires_grad_()
    old = symmetric(x, exact(target))
    new = symmetric(renamed, exact(target[order][:, order]), chunk_rows=chunk_rows)
    assert new.item() == pytest.approx(old.item(), rel=SAME, abs=SAME)
    (before,), (after,) = torch.autograd.grad(old, x), torch.autograd.grad(new, renamed)
    torch.testing.assert_close(before[order], after, rtol=SAME, atol=SAME * max(1.0, before.abs().max().item()))


@SMALL
@given(st.integers(0, 10_000), st.sampled_from(KINDS))
def test_turning_the_embedding_turns_the_gradient(seed: int, kind: str) -> None:
    """The loss depends on inner products alone."""
    target = SQUARE["ragged"]
    turn = torch.tensor(np.linalg.qr(np.random.default_rng(seed).standard_normal((D, D)))[0])
    x = embedding(9, kind)
    turned = (x.detach() @ turn).requires_grad_()
    (before,) = torch.autograd.grad(symmetric(x, exact(target)), x)
    (after,) = torch.autograd.grad(symmetric(turned, exact(target)), turned)
    # Turning rounds the logits, which are of order 1e4 in the wide kind.
    torch.testing.assert_close(before @ turn, after, rtol=1e-9, atol=1e-9 * max(1.0, before.abs().max().item()))


@pytest.mark.parametrize("path", ["symmetric", "chunked", "auto"])
@pytest.mark.parametrize("n", [300, SYMMETRIC_FROM])
def test_the_same_bits_again(n: int, path: str) -> None:
    csr = csr_target(random_target(n, 9))
    x = torch.randn(n, 24, generator=torch.Generator().manual_seed(4), requires_grad=True)
    once, again = (tied_graph_cross_entropy(x, csr, path=path) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(*(torch.autograd.grad(value, x)[0] for value in (once, again)))


# Work and memory.


class Record(torch.utils._python_dispatch.TorchDispatchMode):
    """The largest tensor made, and the multiplications of all matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = self.multiplications = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor):
                self.largest = max(self.largest, tensor.untyped_storage().nbytes() // tensor.element_size())
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "addmm_"):
            left = args[0] if name == "mm" else args[1]
            self.multiplications += out.numel() * left.shape[1]
        return out


def test_two_products_and_no_tensor_of_all_pairs() -> None:
    n, rows, width = 640, 32, 8
    csr = csr_target(random_target(n, 4))
    x = torch.randn(n, width, requires_grad=True)
    with Record() as symmetric_, torch.enable_grad():
        symmetric(x, csr, chunk_rows=rows).backward()
    assert symmetric_.largest <= rows * n
    with Record() as chunked:
        symmetric(x, csr, chunk_rows=rows, path="chunked").backward()
    assert chunked.largest <= rows * n
    every = n * n * width
    assert symmetric_.multiplications <= (2 + 2 * rows / n) * every
    assert chunked.multiplications == pytest.approx(3 * every, rel=2 / width)  # a column more for the offset


def test_strips_fit_the_graph() -> None:
    for n in (1, 500, 5000, 10**6):
        for itemsize in (4, 8):
            assert 1 <= strip_rows(n, itemsize) <= 256


# Autograd and its surroundings.


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
def test_compiled_whole(reduction: str) -> None:
    csr, x, w = exact(SQUARE["ragged"]), embedding(9), weights(9)

    def value(x: Tensor, w: Tensor) -> Tensor:
        return symmetric(x, csr, row_weight=w, reduction=reduction).sum()

    compiled = torch.compile(value, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, w), value(x, w))
    for result, right in zip(*(torch.autograd.grad(call(x, w), [x, w]) for call in (compiled, value)), strict=True):
        assert torch.equal(result, right)


def test_the_operators_keep_their_contract() -> None:
    x, tensors = embedding(9), exact(SQUARE["ragged"]).tensors()
    torch.library.opcheck(torch.ops.fiedler.tied_graph_rows.default, (x, tensors, "symmetric", 4))
    _, kept = torch.ops.fiedler.tied_graph_rows(x.detach(), tensors, "symmetric", 4)
    arguments = (x.detach(), tensors, kept, torch.ones(9, dtype=torch.float64), "symmetric", 4)
    torch.library.opcheck(torch.ops.fiedler.tied_graph_gradient.default, arguments)


@pytest.mark.parametrize("path", ["symmetric", "chunked"])
def test_a_second_derivative_is_refused(path: str) -> None:
    x = embedding(9)
    (slope,) = torch.autograd.grad(symmetric(x, exact(SQUARE["ragged"]), path=path), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiable once; use path='reference'"):
        slope.sum().backward()


def test_backward_runs_twice_and_none_is_needed() -> None:
    x, csr = embedding(9), exact(SQUARE["ragged"])
    value = symmetric(x, csr)
    value.backward(retain_graph=True)
    first = x.grad.clone()
    (2 * value).backward()
    torch.testing.assert_close(x.grad, 3 * first, rtol=SAME, atol=0)
    with torch.no_grad():
        assert symmetric(x, csr).item() == value.item()
    assert not symmetric(x.detach(), csr).requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_sums_in_single(dtype: torch.dtype) -> None:
    csr = csr_target(random_target(60, 5))
    x = torch.randn(60, 8, dtype=dtype, requires_grad=True)
    wide = x.detach().float().requires_grad_()
    value, expected = symmetric(x, csr), symmetric(wide, csr)
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    assert torch.equal(torch.autograd.grad(value, x)[0], torch.autograd.grad(expected, wide)[0].to(dtype))
    with torch.autocast("cpu", dtype):
        assert torch.equal(symmetric(wide, csr), value)


def test_strides_of_any_kind() -> None:
    x = embedding(9).detach()
    crooked = torch.cat([x, x], dim=1)[:, :D].requires_grad_()
    assert not crooked.is_contiguous()
    csr = exact(SQUARE["ragged"])
    whole = x.clone().requires_grad_()
    (result,), (right,) = (torch.autograd.grad(symmetric(tensor, csr), tensor) for tensor in (crooked, whole))
    torch.testing.assert_close(result, right, rtol=SAME, atol=SAME)


@pytest.mark.parametrize("path", ["symmetric", "chunked", "auto"])
def test_no_nodes_at_all(path: str) -> None:
    csr = csr_target(np.zeros((0, 0)))
    x = torch.zeros(0, D, requires_grad=True)
    value = symmetric(x, csr, path=path)
    assert value.item() == 0.0
    value.backward()
    assert torch.isnan(symmetric(x, csr, path=path, reduction="mean"))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"target": torch.eye(9)}, TypeError, "must be a CsrTarget, got Tensor; make it with csr_target"),
        ({"target": csr_target(np.eye(8))}, ValueError, "shapes do not fit"),
        ({"target": exact(np.eye(9))}, TypeError, "target is torch.float64 on cpu; embedding, torch.float32"),
        ({"row_weight": torch.ones(8)}, ValueError, r"row_weight must have shape \(9,\); got \(8,\)"),
        ({"reduction": "total"}, ValueError, "reduction must be one of 'sum', 'mean', 'none'; got 'total'"),
        (
            {"path": "fast"},
            ValueError,
            "path must be one of 'auto', 'symmetric', 'chunked', 'flash', 'reference'; got 'fast'",
        ),
        ({"path": "flash"}, ValueError, "the flash path runs on CUDA"),
        ({"chunk_rows": -1}, ValueError, "chunk_rows must be at least 1"),
    ],
)
def test_calls_that_do_not_fit(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tied_graph_cross_entropy(**{"embedding": torch.zeros(9, D), "target": csr_target(np.eye(9)), **change})
