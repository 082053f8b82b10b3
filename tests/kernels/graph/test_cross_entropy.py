"""The sparse-target cross-entropy against a loop over entries, dense autograd in float64 and PyTorch's own loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fiedler.kernels import csr_target, graph_cross_entropy, row_exponentials
from graph_losses import SAME, D, exact, factors, learn, slopes
from graph_targets import SQUARE, TARGETS, loop, random_target

SLACK = 1.1  # mean error over PyTorch's own: one at best, as both round the same product, and six draws tell it so well
FLOOR = 1e-7  # float32 rounds a result by this much: PyTorch is often right to the last bit
EXPONENT = 5e-6  # exp of a float32 number near 60, which is known to 4e-6
TURNED = 2e-4  # the same of logits that are sums of a dozen float32 products of size 60
PATHS = ("chunked", "reference")
each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
each_path = pytest.mark.parametrize("path", PATHS)
SMALL = settings(max_examples=30, deadline=None)


# Values.


@pytest.fixture(params=[1 << 18, 20], ids="block-{}".format)
def block_elements(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_exponentials, "BLOCK_ELEMENTS", request.param)


@pytest.mark.usefixtures("block_elements")
@each_path
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])  # 30: logits of thousands, whose exponentials overflow
@each_target
def test_the_loss_is_the_loop(target: np.ndarray, scale: float, path: str) -> None:
    x, c, b, w = factors(target, scale)
    csr = exact(target)
    plain = loop((x @ c.T).numpy(), target)
    biased = loop((x @ c.T + b).numpy(), target)
    for options, rows in (({}, plain), ({"bias": b}, biased)):
        each = graph_cross_entropy(x, c, csr, reduction="none", path=path, chunk_rows=4, **options)
        np.testing.assert_allclose(each.numpy(), rows, rtol=SAME, atol=SAME)
        for weight, weighted, total in ((None, rows, len(rows)), (w, w.numpy() * rows, w.sum().item())):
            arguments = {"row_weight": weight, "path": path, "chunk_rows": 4, **options}
            value = graph_cross_entropy(x, c, csr, **arguments)
            assert (value.shape, value.dtype) == ((), torch.float64)
            assert value.item() == pytest.approx(weighted.sum(), rel=SAME, abs=SAME)
            mean = graph_cross_entropy(x, c, csr, reduction="mean", **arguments)
            assert mean.item() == pytest.approx(weighted.sum() / total, rel=SAME, abs=SAME)


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
@pytest.mark.parametrize("scale", [1.0, 30.0])
@each_target
def test_the_gradients_are_autograds(target: np.ndarray, scale: float, reduction: str) -> None:
    tensors = learn(*factors(target, scale))
    x, c, b, w = tensors
    found, expected = (
        graph_cross_entropy(x, c, exact(target), bias=b, row_weight=w, reduction=reduction, path=path, chunk_rows=4)
        for path in PATHS
    )
    upstream = torch.linspace(-1, 2, found.numel(), dtype=torch.float64).reshape(found.shape)
    for result, right in zip(slopes(found, tensors, upstream), slopes(expected, tensors, upstream), strict=True):
        torch.testing.assert_close(result, right, rtol=SAME, atol=SAME * max(1.0, right.abs().max().item()))
    # Constant weights take another way: the gradients of a sum come with it.
    found, expected = (
        graph_cross_entropy(x, c, exact(target), bias=b, row_weight=w.detach(), reduction=reduction, path=path)
        for path in PATHS
    )
    upstream = torch.linspace(-1, 2, found.numel(), dtype=torch.float64).reshape(found.shape)
    for result, right in zip(
        slopes(found, tensors[:3], upstream), slopes(expected, tensors[:3], upstream), strict=True
    ):
        torch.testing.assert_close(result, right, rtol=SAME, atol=SAME * max(1.0, right.abs().max().item()))


@pytest.mark.parametrize("reduction", ["mean", "none"])
@each_target
def test_the_gradient_is_the_slope_of_the_loss(target: np.ndarray, reduction: str) -> None:
    csr = exact(target)

    def value(x: Tensor, c: Tensor, b: Tensor, w: Tensor) -> Tensor:
        return graph_cross_entropy(x, c, csr, bias=b, row_weight=w, reduction=reduction, chunk_rows=4)

    assert torch.autograd.gradcheck(value, learn(*factors(target)))


def dense_loss(x: Tensor, c: Tensor, target: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(x @ c.T, target, reduction="sum")


@pytest.mark.parametrize("scale", [0.1, 1.0, 40.0])  # logits below 1, of order 10, of order 10^4
@pytest.mark.parametrize(("n", "width", "degree"), [(50, 3, 1), (257, 16, 4), (600, 64, 30)])
def test_single_precision_errs_no_more_than_pytorch(n: int, width: int, degree: int, scale: float) -> None:
    csr = csr_target(random_target(n, degree))
    dense = csr.to_dense()
    ours, peers = np.zeros((2, 6, 3))
    for seed in range(6):
        random = torch.Generator().manual_seed(seed)
        single = learn(*(scale * torch.randn(n, width, generator=random) for _ in range(2)))
        double = learn(*(tensor.double() for tensor in single))
        truth = dense_loss(*double, dense.double())
        truths = [truth, *slopes(truth, double)]
        for errors, value in ((ours, graph_cross_entropy(*single, csr)), (peers, dense_loss(*single, dense))):
            for which, (found, right) in enumerate(zip([value, *slopes(value, single)], truths, strict=True)):
                errors[seed, which] = ((found - right).norm() / right.norm()).item()
    assert (ours.mean(axis=0) <= np.maximum(SLACK * peers.mean(axis=0), FLOOR)).all()


@pytest.mark.usefixtures("block_elements")
def test_confident_rows_keep_their_digits() -> None:
    """Margins of 30 and 60: losses near 1e-12 and 1e-25, which 1 - p and lse - z lose in float32 altogether."""
    n = 12
    target = np.roll(np.eye(n), 1, axis=1)
    for margin in (30.0, 60.0):
        expected = torch.full((n,), (n - 1) * np.exp(-margin), dtype=torch.float64).log1p()
        # One more row, far from its target, makes its block take every row's own maximum.
        for extra in (False, True):
            csr = csr_target(np.vstack([target, target[5:6]]) if extra else target)
            coordinates = margin * torch.eye(n)
            if extra:
                coordinates = torch.cat([coordinates, 300 * torch.eye(n)[:1]])
            x, c = learn(coordinates, torch.eye(n).roll(1, 0))
            if extra:  # turned, so that no logit is exact: the offset of a confident row is its pivot all the same
                turn = torch.tensor(np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]).float()
                x, c = learn(x @ turn, c @ turn)
            rows = graph_cross_entropy(x, c, csr, reduction="none", chunk_rows=99 if extra else 5)
            torch.testing.assert_close(rows[:n].detach().double(), expected, rtol=TURNED if extra else EXPONENT, atol=0)
            (slope,) = slopes(rows.sum(), [x])
            # d loss_i / d x_i = sum_{j != k} p_ij (c_j - c_k): at the pivot's coordinate minus all the others have.
            at_pivot = (slope[:n] @ turn.T if extra else slope).diagonal().double()
            torch.testing.assert_close(at_pivot[:n], -expected, rtol=TURNED if extra else EXPONENT, atol=0)
            if extra:
                assert rows[n].item() == pytest.approx(300.0)


@pytest.mark.parametrize("level", [1e4, -1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_logits_stay_finite(level: float, dtype: torch.dtype) -> None:
    n = 40
    csr = csr_target(random_target(n, 4), dtype=dtype)
    random = torch.Generator().manual_seed(2)
    x = torch.randn(n, 2, generator=random, dtype=dtype)
    c = torch.randn(n, 2, generator=random, dtype=dtype)
    x[:, 1], c[:, 1] = 1.0, level  # a constant added to every logit
    c[3, 1] = -level  # but one
    x, c = learn(x, c)
    found = graph_cross_entropy(x, c, csr, reduction="none")
    expected = graph_cross_entropy(
        x.double(), c.double(), csr_target(random_target(n, 4), dtype=torch.float64), reduction="none", path="reference"
    )
    torch.testing.assert_close(found.double(), expected, rtol=1e-6 if dtype == torch.float64 else 2e-3, atol=2e-3)
    for slope in slopes(found.sum(), [x, c]):
        assert torch.isfinite(slope).all()


def test_embeddings_that_are_not_numbers_give_a_loss_that_is_none() -> None:
    x, c, _, _ = factors(TARGETS["ragged"])
    x[3, 1] = float("nan")
    rows = graph_cross_entropy(x, c, exact(TARGETS["ragged"]), reduction="none", chunk_rows=4)
    assert torch.isnan(rows[3])
    assert torch.isfinite(rows[:3]).all()


# Properties.


@SMALL
@given(st.floats(-1e3, 1e3), st.integers(0, 10_000))
def test_a_constant_added_to_a_row_of_logits_changes_nothing(shift: float, seed: int) -> None:
    target = TARGETS["ragged"]
    x, c, b, w = factors(target)
    csr = exact(target)
    before = graph_cross_entropy(x, c, csr, bias=b, row_weight=w)
    # ... to all rows by the bias, to each its own by a coordinate of ones.
    own = torch.tensor(np.random.default_rng(seed).normal(scale=20.0, size=(len(x), 1)))
    wider = torch.cat([x, own], dim=1), torch.cat([c, torch.ones(len(c), 1, dtype=c.dtype)], dim=1)
    assert graph_cross_entropy(x, c, csr, bias=b + shift, row_weight=w).item() == pytest.approx(before.item(), rel=SAME)
    assert graph_cross_entropy(*wider, csr, bias=b, row_weight=w).item() == pytest.approx(before.item(), rel=SAME)


@SMALL
@given(st.integers(0, 10_000), st.sampled_from(sorted(SQUARE)))
def test_renaming_the_nodes_renames_the_gradients(seed: int, name: str) -> None:
    target = SQUARE[name]
    order = torch.tensor(np.random.default_rng(seed).permutation(len(target)))
    x, c, b, w = factors(target)
    before, after = learn(x, c, b), learn(x[order], c[order], b[order])
    old = graph_cross_entropy(*before[:2], exact(target), bias=before[2], row_weight=w, chunk_rows=4)
    renamed = exact(target[order][:, order])
    new = graph_cross_entropy(*after[:2], renamed, bias=after[2], row_weight=w[order], chunk_rows=4)
    assert new.item() == pytest.approx(old.item(), rel=SAME, abs=SAME)
    for result, right in zip(slopes(old, before), slopes(new, after), strict=True):
        torch.testing.assert_close(result[order], right, rtol=SAME, atol=SAME)


@each_target
def test_the_gradients_of_the_logits_sum_to_zero(target: np.ndarray) -> None:
    """So the bias has slopes of sum zero, and a shift of all contexts changes nothing."""
    x, c, b, w = factors(target)
    tensors = learn(c, b)
    by_c, by_b = slopes(graph_cross_entropy(x, tensors[0], exact(target), bias=tensors[1], row_weight=w), tensors)
    assert by_b.sum().item() == pytest.approx(0.0, abs=SAME)
    torch.testing.assert_close(by_c.sum(dim=0), torch.zeros(D, dtype=torch.float64), rtol=0, atol=SAME)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_blocks_of_any_length_agree(scale: float) -> None:
    target = TARGETS["wide widened"]
    x, c, b, _ = factors(target, scale)
    values = [graph_cross_entropy(x, c, exact(target), bias=b, chunk_rows=rows).item() for rows in (1, 2, 5, 6, 99)]
    assert values == pytest.approx([values[0]] * 5, rel=SAME)


def test_isolated_nodes_have_no_loss_and_no_slope() -> None:
    target = TARGETS["ragged"]
    x, c, _, _ = factors(target, 30.0)
    x, c = learn(x, c)
    rows = graph_cross_entropy(x, c, exact(target), reduction="none")
    assert rows[2].item() == 0.0
    assert not slopes(graph_cross_entropy(x, c, exact(target)), [x])[0][2].any()


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_the_same_bits_again(reduction: str) -> None:
    csr = csr_target(random_target(700, 9))
    random = torch.Generator().manual_seed(4)
    x, c = learn(torch.randn(700, 24, generator=random), torch.randn(700, 24, generator=random))
    once, again = (graph_cross_entropy(x, c, csr, reduction=reduction) for _ in range(2))
    assert torch.equal(once, again)
    upstream = torch.ones_like(once)
    for result, right in zip(slopes(once, [x, c], upstream), slopes(again, [x, c], upstream), strict=True):
        assert torch.equal(result, right)


# Bad input.


def call(**change: Any) -> Tensor:
    """A call in float32 of six nodes and eight classes with something changed."""
    arguments: dict[str, Any] = {
        "embedding": torch.zeros(6, D),
        "context": torch.zeros(8, D),
        "target": csr_target(TARGETS["wide ragged"]),
        **change,
    }
    return graph_cross_entropy(**arguments)


@pytest.mark.parametrize(
    ("embedding", "context"),
    [((5, D), (8, D)), ((6, D), (7, D)), ((6, D), (8, D + 1)), ((D,), (8, D)), ((6, D), (8,)), ((1, 6, D), (8, D))],
)
def test_shapes_that_do_not_fit(embedding: tuple[int, ...], context: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"shapes do not fit: .*want \(n, D\), \(m, D\), \(n, m\)"):
        call(embedding=torch.zeros(embedding), context=torch.zeros(context))


@pytest.mark.parametrize(("name", "length"), [("row_weight", 6), ("bias", 8)])
@pytest.mark.parametrize("shape", [(7,), (6, 1), (1,), ()])
def test_vectors_that_do_not_fit(name: str, length: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"{name} must have shape \({length},\); got"):
        call(**{name: torch.ones(shape)})


@pytest.mark.parametrize("odd", ["context", "target", "row_weight", "bias"])
@pytest.mark.parametrize("kind", ["dtype", "device"])
def test_tensors_of_different_kinds(odd: str, kind: str) -> None:
    tensors: Any = {
        "context": torch.zeros(8, D),
        "target": csr_target(TARGETS["wide ragged"]),
        "row_weight": torch.ones(6),
        "bias": torch.ones(8),
    }
    if kind == "device":
        tensors[odd] = tensors[odd].to("meta")
    elif odd == "target":
        tensors[odd] = exact(TARGETS["wide ragged"])
    else:
        tensors[odd] = tensors[odd].double()
    with pytest.raises(TypeError, match=rf"{odd} is torch\.float.* on .*; embedding, torch\.float32 on cpu, wants"):
        call(**tensors)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"target": torch.zeros(6, 8)}, TypeError, "must be a CsrTarget, got Tensor; make it with csr_target"),
        ({"target": torch.zeros(6, 8).to_sparse()}, TypeError, "must be a CsrTarget, got Tensor"),
        ({"reduction": "total"}, ValueError, "reduction must be one of 'sum', 'mean', 'none'; got 'total'"),
        ({"path": "fast"}, ValueError, "path must be one of 'auto', 'chunked', 'flash', 'reference'; got 'fast'"),
        ({"path": "flash"}, ValueError, "the flash path runs on CUDA"),
        ({"chunk_rows": 0}, ValueError, "chunk_rows must be at least 1"),
        ({"embedding": torch.zeros(6, D, dtype=torch.int64)}, TypeError, "torch.int64"),
    ],
)
def test_calls_that_do_not_fit(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(**change)


def test_classes_without_a_probability() -> None:
    """A bias of -infinity: an empty row loses nothing, whatever class stands for its pivot; a row whose one entry, or
    other entry, has no probability loses all."""
    target = csr_target(torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.3, 0.7, 0.0], [1.0, 0.0, 0.0]]))
    x, c, bias = torch.randn(4, 5), torch.randn(3, 5), torch.tensor([-np.inf, 0.0, 0.0])
    rows = graph_cross_entropy(x, c, target, bias=bias, reduction="none")
    right = torch.logsumexp(x[1] @ c.T + bias, dim=0) - x[1] @ c[2]
    assert rows[[0, 2]].tolist() == [0.0, np.inf]
    assert rows[1].item() == pytest.approx(right.item(), rel=1e-5)
    assert not bool(torch.isfinite(rows[3]))


def test_nodes_without_classes() -> None:
    with pytest.raises(ValueError, match="there are no classes for 2 nodes"):
        graph_cross_entropy(torch.zeros(2, 3), torch.zeros(0, 3), csr_target(torch.zeros(2, 0)))
