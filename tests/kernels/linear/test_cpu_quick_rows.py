"""The quick row pass of the CPU: in blocks of rows, with offsets where they are needed."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from cross_entropy_cases import Case, assert_same, evaluate, random_case
from fiedler.kernels import row_exponentials
from fiedler.kernels.linear import cpu_products
from fiedler.kernels.linear.cross_entropy import linear_cross_entropy

SAME = 2e-12  # float64, the same terms in another order
SINGLE = 2e-5  # float32 with logits up to ten, relative to the largest entry
BLOCK = 3 * 101 + 5  # elements: three rows of most cases here

OPTIONS: dict[str, dict[str, Any]] = {
    "bias": {"bias": True},
    "ignored": {"ignored": True},
    "none": {"reduction": "none"},
    "class_weight": {"class_weight": True},
    "token_weight": {"token_weight": True},
    "lse": {"return_lse": True},
    "accuracy": {"return_accuracy": True},
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_exponentials, "BLOCK_ELEMENTS", BLOCK)
    monkeypatch.setattr(cpu_products, "TILE_ELEMENTS", 7 * 13)  # of a half-precision weight widened at a time


@pytest.mark.parametrize("pair", [*itertools.combinations(OPTIONS, 2), ()], ids="-".join)
def test_every_pair_of_options(pair: tuple[str, ...]) -> None:
    chosen: dict[str, Any] = {}
    for name in pair:
        chosen |= OPTIONS[name]
    case = random_case(37, 13, 101, sharpness=1.5, **chosen)
    expected = evaluate(case, torch.float64, path="reference")
    assert_same(evaluate(case, torch.float64, chunk_rows=8), expected, SAME)
    assert_same(evaluate(case, torch.float64), expected, SAME)
    assert_same(evaluate(case, torch.float32), expected, SINGLE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_widened_tile_by_tile(dtype: torch.dtype) -> None:
    case = random_case(37, 13, 101, bias=True)
    rounded = Case(
        *(t.to(dtype).double() for t in (case.input, case.weight)), case.target, case.bias.to(dtype).double()
    )
    assert_same(evaluate(rounded, dtype), evaluate(rounded, torch.float64, path="reference"), 2e-2)


@pytest.mark.parametrize("classes", [1, 2, BLOCK - 1, BLOCK + 1])
def test_ragged_blocks(classes: int) -> None:
    case = random_case(5, 3, classes, bias=True, return_accuracy=True)
    assert_same(evaluate(case, torch.float64), evaluate(case, torch.float64, path="reference"), SAME)


@pytest.mark.parametrize("height", [-3000.0, -300.0, -45.0, 45.0, 300.0, 3000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("accuracy", [False, True])
def test_all_logits_far_from_zero(height: float, dtype: torch.dtype, accuracy: bool) -> None:
    """As GPT-2's are, near -100."""
    case = random_case(37, 13, 101, bias=True, return_accuracy=accuracy, return_lse=True)
    assert case.bias is not None
    case.bias = (case.bias + height).to(dtype).double()  # a float32 bias near 3000 is another bias
    expected = evaluate(case, torch.float64, path="reference")
    tolerance = SAME if dtype == torch.float64 else SINGLE * max(1.0, abs(height) / 10)
    assert_same(evaluate(case, dtype, chunk_rows=8), expected, tolerance)


@pytest.mark.parametrize("height", [60.0, 300.0, 3000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("place", [0, 3, 100])
def test_one_class_far_above_the_rest(place: int, dtype: torch.dtype, height: float) -> None:
    """Without an offset the sum would overflow; every later chunk has to be right as well."""
    case = random_case(37, 13, 101, bias=True, return_accuracy=True, return_lse=True)
    assert case.bias is not None
    case.bias[place] += height
    case.target[::3] = place
    expected = evaluate(case, torch.float64, path="reference")
    found = evaluate(case, dtype, chunk_rows=8)
    assert_same(found, expected, SAME if dtype == torch.float64 else SINGLE)


@pytest.mark.parametrize("row", [0, 7, 8, 36])
@pytest.mark.parametrize("size", [-60.0, 60.0, 500.0])
def test_one_row_far_from_the_rest(row: int, size: float) -> None:
    """In the first chunk, whose first row is looked at beforehand, in the same chunk, and in later ones."""
    case = random_case(37, 13, 101, return_lse=True)
    case.weight[:, 0] = 1.0
    case.input[row, 0] = size
    expected = evaluate(case, torch.float64, path="reference")
    assert_same(evaluate(case, torch.float64, chunk_rows=8), expected, SAME)
    assert_same(evaluate(case, torch.float32, chunk_rows=8), expected, SINGLE * max(1.0, abs(size) / 100))


@pytest.mark.parametrize("target", [0, 8, 20])
@pytest.mark.parametrize("base", [0.0, -30.0, 30.0])
def test_confident_rows_are_exact(target: int, base: float) -> None:
    """The target 21 above the rest: a loss of 1e-8, and slopes that p - 1 would not have in float32."""
    gap, classes = 21.0, 21
    w = torch.full((classes, 1), base)
    w[target] += gap
    w.requires_grad_()
    loss = linear_cross_entropy(torch.ones(1, 1), w, torch.tensor([target]))
    loss.backward()
    others = (classes - 1) * math.exp(-gap)
    rounding = 1e-6 + abs(base + gap) * torch.finfo(torch.float32).eps  # of the logits in units of log 2
    assert loss.item() == pytest.approx(math.log1p(others), rel=rounding)
    slopes = torch.full((classes,), math.exp(-gap) / (1 + others))
    slopes[target] = -others / (1 + others)
    assert w.grad is not None
    torch.testing.assert_close(w.grad[:, 0], slopes, rtol=rounding, atol=0)


@pytest.mark.parametrize("level", [3.0, 30.0, 300.0])
def test_accuracy_compares_the_logits_themselves(level: float) -> None:
    """Logits one rounding apart, which their exponentials do not tell: a tie counts, a larger one does not."""
    above = torch.nextafter(torch.tensor(level), torch.tensor(math.inf)).item()
    w = torch.full((21, 1), -1.0)
    w[1], w[8], w[15] = level, above, level
    target = torch.tensor([1, 8, 15])
    right = linear_cross_entropy(torch.ones(3, 1), w, target, return_accuracy=True).accuracy
    assert right.item() == pytest.approx(1 / 3)
    w[8] = level
    assert linear_cross_entropy(torch.ones(3, 1), w, target, return_accuracy=True).accuracy.item() == 1.0


@pytest.mark.parametrize("row", [0, 4])
def test_a_row_that_is_no_number_spoils_only_itself(row: int) -> None:
    case = random_case(20, 5, 30, reduction="none")
    clean = evaluate(case, torch.float32)["loss"]
    case.input[row] = math.nan
    found = evaluate(case, torch.float32, chunk_rows=8)["loss"]
    assert found[row].isnan()
    kept = torch.arange(20) != row
    torch.testing.assert_close(found[kept], clean[kept])


@pytest.mark.parametrize("masked", [slice(0, 9), slice(1, None)])
def test_masked_classes(masked: slice) -> None:
    """A bias of -infinity takes classes out: some, and all but the target's."""
    case = random_case(20, 5, 30, bias=True)
    assert case.bias is not None
    case.target = case.target % 10 + 15 if masked.stop else torch.zeros_like(case.target)
    case.bias[masked] = -math.inf
    found = evaluate(case, torch.float64)
    assert_same(found, evaluate(case, torch.float64, path="reference"), SAME)


@pytest.mark.parametrize("mask", [-1e4, -3e38])  # times log2(e) the second is no float32
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_masked_target_has_a_finite_loss(mask: float, dtype: torch.dtype) -> None:
    """A mask of a large negative number is none of -infinity: PyTorch's loss is finite, and so is ours."""
    case = random_case(16, 5, 30, bias=True, reduction="none")
    assert case.bias is not None
    case.target[7], case.bias[3] = 3, mask
    case.target[:7] = case.target[:7] % 3
    found, right = evaluate(case, dtype)["loss"], evaluate(case, torch.float32, path="reference")["loss"]
    assert bool(torch.isfinite(found).all())
    torch.testing.assert_close(found.float(), right.float(), rtol=2e-2, atol=2e-2)
