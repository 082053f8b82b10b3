"""The chunked CPU path: every pair of options, accuracy beside torch, chunk sizes, properties, memory."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_entropy_cases import Case, assert_same, evaluate, random_case, relative_error
from fiedler.kernels.linear import cpu as linear_cpu
from fiedler.kernels.linear.cross_entropy import linear_cross_entropy

SAME = 2e-12  # float64, the same terms in another order
SINGLE = 2e-5  # float32 with logits up to ten, relative to the largest entry
# One rounding of the result and one of the terms it is summed from; below that two programs differ by luck.
ROUNDINGS = 2.0
# Where the logits' own rounding, the same for both, is all of the error, the rest decides the third digit by luck. In
# float32 without smoothing the factor log2(e) is one rounding of a logit more: up to 6 % seen.
FACTOR, FACTOR_SINGLE = 1.01, 1.1
NOTHING = 1e-12  # a loss that counts as zero

OPTIONS: dict[str, dict[str, Any]] = {
    "bias": {"bias": True},
    "ignored": {"ignored": True},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "smoothing": {"label_smoothing": 0.1},
    "cap": {"logit_softcap": 2.0},
    "z_loss": {"z_loss": 1e-2},
    "class_weight": {"class_weight": True},
    "token_weight": {"token_weight": True},
    "lse": {"return_lse": True},
    "entropy": {"return_entropy": True},
    "accuracy": {"return_accuracy": True},
    "recompute": {"path": "recompute"},
}


@pytest.mark.parametrize("pair", [*itertools.combinations(OPTIONS, 2), ()], ids="-".join)
def test_every_pair_of_options(pair: tuple[str, ...]) -> None:
    chosen: dict[str, Any] = {}
    for name in pair:
        chosen |= OPTIONS[name]
    path = chosen.pop("path", "chunked")
    case = random_case(37, 13, 101, sharpness=1.5, **chosen)
    expected = evaluate(case, torch.float64, path="reference")
    assert_same(evaluate(case, torch.float64, path=path, chunk_rows=8), expected, SAME)
    assert_same(evaluate(case, torch.float32, path=path), expected, SINGLE)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_all_options_together(reduction: str) -> None:
    case = random_case(
        37, 13, 101, sharpness=1.5, bias=True, ignored=True, class_weight=True, token_weight=True, reduction=reduction,
        label_smoothing=0.2, logit_softcap=3.0, z_loss=0.01, return_lse=True, return_entropy=True, return_accuracy=True,
    )  # fmt: skip
    expected = evaluate(case, torch.float64, path="reference")
    assert_same(evaluate(case, torch.float64, chunk_rows=5), expected, SAME)
    assert_same(evaluate(case, torch.float32), expected, SINGLE)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 2), (2, 1, 5), (129, 7, 3), (65, 33, 257), (3, 2, 140_000)])
@pytest.mark.parametrize("extra", [{}, {"z_loss": 0.1, "return_entropy": True}])
def test_ragged_shapes(shape: tuple[int, int, int], extra: dict[str, Any]) -> None:
    case = random_case(*shape, bias=True, **extra)
    assert_same(evaluate(case, torch.float64), evaluate(case, torch.float64, path="reference"), SAME)


# --- accuracy beside torch's own operations ---


def regimes(seed: int) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for n, d, v in ((33, 17, 101), (130, 64, 999), (40, 7, 3), (300, 33, 50)):
        plain = random_case(n, d, v, seed=seed, bias=True)
        plain.bias = None
        x, w, y = plain.input, plain.weight, plain.target
        ones = torch.ones(n, 1, dtype=x.dtype)
        unit = w / w.norm(dim=1, keepdim=True)

        def add(name: str, x: torch.Tensor, w: torch.Tensor, y: torch.Tensor) -> None:
            found.setdefault(name, []).append(Case(x, w, y))

        add("plain", x, w, y)
        add("sharp", 3 * x, 3 * w, y)
        add("right", 3 * x, 3 * w, (x @ w.T).argmax(dim=1))
        add("confident", 40 * unit[y] + 0.1 * x, unit, y)  # losses far below 1e-4
        add("huge", 100 * x, 100 * w, y)  # logits of +-1e4
        for offset in (1e4, -1e4):
            add("offset", torch.cat([x, ones], 1), torch.cat([w, offset * torch.ones(v, 1, dtype=x.dtype)], 1), y)
        add("identical", x, w[:1].expand(v, d), y)
        add("one class", x, w[:1], torch.zeros_like(y))
    return found


def torch_own(case: Case, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    x, w = (t.detach().to(dtype).requires_grad_() for t in (case.input, case.weight))
    z = F.linear(x, w)
    rows = F.cross_entropy(z, case.target, reduction="none", label_smoothing=case.options.get("label_smoothing", 0.0))
    gx, gw = torch.autograd.grad(rows.mean(), (x, w))
    return {"rows": rows.detach(), "grad_input": gx, "grad_weight": gw}


def ours(case: Case, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    found = evaluate(case, dtype)
    rows = evaluate(Case(case.input, case.weight, case.target, options={**case.options, "reduction": "none"}), dtype)
    return {"rows": rows["loss"], "grad_input": found["grad_input"], "grad_weight": found["grad_weight"]}


REGIMES = ("plain", "sharp", "right", "confident", "huge", "offset", "identical", "one class")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("regime", REGIMES)
def test_errs_no_more_than_torch(regime: str, dtype: torch.dtype, smoothing: float) -> None:
    """Against float64 on the tensors as rounded to dtype: summed over shapes and seeds, factor 1.0, but for roundings
    that both must make."""
    error = {name: [0.0, 0.0, 0.0] for name in ("rows", "grad_input", "grad_weight")}
    for seed in range(4):
        for case in regimes(seed)[regime]:
            rounded = Case(case.input.to(dtype).double(), case.weight.to(dtype).double(), case.target)
            rounded.options["label_smoothing"] = smoothing
            exact = torch_own(rounded, torch.float64)
            mine, theirs = ours(rounded, dtype), torch_own(rounded, dtype)
            if not all(torch.isfinite(t).all() for t in theirs.values()):
                assert dtype == torch.float16  # its logits overflow; ours do not
                assert all(torch.isfinite(t).all() for t in mine.values())
                continue
            for name, value in exact.items():
                norm = value.norm().item()
                # Of a sum of probabilities times entries of the order of the tensors themselves.
                terms = max(norm, NOTHING if name == "rows" else 1.0 / math.sqrt(len(case.target)))
                error[name][0] += (mine[name].double() - value).norm().item() / terms
                error[name][1] += (theirs[name].double() - value).norm().item() / terms
                error[name][2] += 1.0
    factor = FACTOR_SINGLE if dtype == torch.float32 and smoothing == 0 else FACTOR
    for name, (mine_sum, theirs_sum, count) in error.items():
        luck = count * ROUNDINGS * torch.finfo(mine[name].dtype).eps
        assert mine_sum <= max(factor * theirs_sum, luck), (name, mine_sum / max(count, 1), theirs_sum / max(count, 1))


def test_confident_rows_are_exact() -> None:
    """A row of loss 1e-9: float32 softmax minus one is 0 there; the gradient must still point the right way."""
    gap = 21.0
    x, w = torch.tensor([[1.0]]), torch.tensor([[gap], [0.0]])
    expected = math.log1p(math.exp(-gap))
    x.requires_grad_()
    w.requires_grad_()
    loss = linear_cross_entropy(x, w, torch.tensor([0]))
    loss.backward()
    p = math.exp(-gap) / (1 + math.exp(-gap))
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert w.grad is not None
    assert w.grad.flatten().tolist() == pytest.approx([-p, p], rel=1e-6)


def test_float32_accumulation_of_the_weight_gradient() -> None:
    """Thousands of chunks in bfloat16 add up as one: an accumulator of 8 bits would stop growing at 256 rows."""
    x = torch.ones(2048, 1, dtype=torch.bfloat16)
    w = torch.zeros(2, 1, dtype=torch.bfloat16, requires_grad=True)
    target = torch.zeros(2048, dtype=torch.int64)
    linear_cross_entropy(x, w, target, reduction="sum", chunk_rows=1).backward()
    assert w.grad is not None
    assert w.grad.flatten().tolist() == [-1024.0, 1024.0]


# --- properties ---

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 12), st.integers(1, 60))
settings.register_profile("kernels", max_examples=40, deadline=None)
settings.load_profile("kernels")


@given(SHAPES, st.integers(1, 50), st.integers(0, 5), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_chunk_size_changes_nothing(shape: tuple[int, int, int], rows: int, seed: int, dtype: torch.dtype) -> None:
    case = random_case(*shape, seed=seed, bias=True, ignored=seed % 2 == 1, return_lse=seed % 3 == 0)
    whole = evaluate(case, dtype, chunk_rows=shape[0])
    # Gradients in half precision are rounded once, from sums that differ in float32: neighbours at most.
    tolerance = {torch.float64: SAME, torch.float32: SINGLE, torch.bfloat16: 2**-7}[dtype]
    assert_same(evaluate(case, dtype, chunk_rows=rows), whole, tolerance)


@given(SHAPES, st.integers(0, 5), st.floats(-1e3, 1e3))
def test_a_shift_of_all_logits_moves_only_lse(shape: tuple[int, int, int], seed: int, shift: float) -> None:
    case = random_case(*shape, seed=seed, bias=True, return_lse=True, return_entropy=True, label_smoothing=0.1)
    assert case.bias is not None
    moved = Case(case.input, case.weight, case.target, case.bias + shift, options=case.options)
    before, after = evaluate(case, torch.float64), evaluate(moved, torch.float64)
    after["lse"] = after["lse"] - shift
    assert_same(after, before, 1e-9)  # numbers of order 1e3 cancel


@given(SHAPES, st.integers(0, 5), st.booleans())
def test_gradients_sum_to_zero_over_classes(shape: tuple[int, int, int], seed: int, smooth: bool) -> None:
    """Row sums of dz: the bias gradient's sum, and the weight gradient's column sums."""
    case = random_case(*shape, seed=seed, bias=True, class_weight=True, label_smoothing=0.3 * smooth, reduction="sum")
    found = evaluate(case, torch.float64)
    assert abs(found["grad_bias"].sum().item()) < 1e-11
    assert found["grad_weight"].sum(dim=0).abs().max().item() < 1e-11


@given(SHAPES, st.integers(0, 5))
def test_a_permutation_of_classes_permutes_gradients(shape: tuple[int, int, int], seed: int) -> None:
    case = random_case(*shape, seed=seed, bias=True, class_weight=True, label_smoothing=0.1, z_loss=0.1)
    order = torch.randperm(shape[2], generator=torch.Generator().manual_seed(seed))
    place = order.argsort()
    assert case.bias is not None
    assert case.class_weight is not None
    moved = Case(
        case.input, case.weight[order], place[case.target], case.bias[order], case.class_weight[order],
        options=case.options,
    )  # fmt: skip
    before, after = evaluate(case, torch.float64), evaluate(moved, torch.float64)
    for name in ("grad_weight", "grad_bias"):
        after[name] = after[name][place]
    assert_same(after, before, SAME)


# --- chunks and memory ---


def test_default_chunks() -> None:
    for n, d, v in (
        (1024, 256, 32000),
        (4096, 64, 1000),
        (256, 1024, 50000),
        (4096, 128, 50000),
        (1, 8, 10),
        (0, 8, 10),
    ):
        rows = linear_cpu.default_chunk_rows(n, d, v)
        assert 1 <= rows <= max(n, 1)
        # Less than the gradients, unless small altogether.
        assert rows * v <= max(v * d + n * d, linear_cpu.LEAST_ROWS * v, linear_cpu.LEAST_ELEMENTS)


def test_no_array_of_all_logits_is_made() -> None:
    """Largest single allocation and total memory of a call, from the profiler: below one N x V array."""
    n, d, v = 1024, 16, 20000
    x, w = torch.randn(n, d, requires_grad=True), torch.randn(v, d, requires_grad=True)
    y = torch.randint(v, (n,))
    linear_cross_entropy(x, w, y).backward()
    x.grad = w.grad = None
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        linear_cross_entropy(x, w, y).backward()
    live = peak = 0
    for event in profile.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    gradients = 4 * (n * d + v * d)
    assert gradients <= peak < 4 * n * v / 4
    chunk = 4 * v * linear_cpu.default_chunk_rows(n, d, v)
    assert peak < gradients + chunk + 2**20


def test_ignored_rows_may_hold_anything() -> None:
    case = random_case(20, 5, 30, ignored=True)
    clean = evaluate(case, torch.float32)
    case.input[case.target < 0] = math.nan
    found = evaluate(case, torch.float32)
    assert relative_error(found["loss"], clean["loss"]) == 0.0
    assert not found["grad_weight"].isnan().any()
    assert torch.equal(found["grad_input"][case.target < 0], torch.zeros(7, 5))


def test_masked_classes() -> None:
    """A bias of -infinity takes a class out: probability and gradient zero, entropy finite."""
    case = random_case(20, 5, 30, bias=True, return_entropy=True, return_lse=True)
    assert case.bias is not None
    case.target %= 10
    case.bias[20:] = -math.inf
    found = evaluate(case, torch.float64)
    assert_same(found, evaluate(case, torch.float64, path="reference"), SAME)
    assert torch.equal(found["grad_weight"][20:], torch.zeros(10, 5, dtype=torch.float64))


@pytest.mark.parametrize("lse", [False, True])
def test_accuracy_counts_rows_of_weight_zero(lse: bool) -> None:
    x, w = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), torch.eye(5)
    weight = torch.tensor([1.0, 0, 0, 0, 1, 1, 1, 1])
    out = linear_cross_entropy(x, w, x.argmax(dim=1), token_weight=weight, return_accuracy=True, return_lse=lse)
    assert out.accuracy == 1.0


def test_small_gradients_where_the_first_tile_lies_far_below() -> None:
    """Sums relative to an offset far below the row's maximum must not make the rest subnormal."""
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(6, 8, generator=generator) * 1e-3, torch.randn(3000, 8, generator=generator)
    bias, y = torch.zeros(3000), torch.randint(1500, 3000, (6,), generator=generator)
    bias[:1500] = -58.0
    found = []
    for dtype in (torch.float32, torch.float64):
        leaf = w.clone().to(dtype).requires_grad_()
        path = "auto" if dtype == torch.float32 else "reference"
        rows = linear_cross_entropy(x.to(dtype), leaf, y, bias=bias.to(dtype), reduction="none", path=path)
        rows.backward(torch.full_like(rows, 1e-12))
        found.append(leaf.grad.double())
    assert float((found[0] - found[1]).norm() / found[1].norm()) < 1e-5
