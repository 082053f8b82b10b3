"""The quick row pass of the CPU where a chunk of logits has several tiles of columns."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from cross_entropy_cases import Case, assert_same, evaluate, random_case
from fiedler.kernels.linear import cpu_quick_rows
from fiedler.kernels.linear.cross_entropy import linear_cross_entropy

SAME = 2e-12  # float64, the same terms in another order
SINGLE = 2e-5  # float32 with logits up to ten, relative to the largest entry
COLUMNS = 7

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
def narrow_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_quick_rows, "tile_columns", lambda rows, classes, most: min(COLUMNS, classes))


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


@pytest.mark.parametrize("classes", [1, COLUMNS - 1, COLUMNS, COLUMNS + 1, 3 * COLUMNS])
def test_ragged_tiles(classes: int) -> None:
    case = random_case(5, 3, classes, bias=True, return_accuracy=True)
    assert_same(evaluate(case, torch.float64), evaluate(case, torch.float64, path="reference"), SAME)


@pytest.mark.parametrize("height", [60.0, 300.0, 3000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("place", [0, 3, 100])
def test_a_class_far_above_the_first_tile(place: int, dtype: torch.dtype, height: float) -> None:
    """The offset of the first tile would overflow the sum; every later chunk has to be right as well."""
    case = random_case(37, 13, 101, bias=True, return_accuracy=True, return_lse=True)
    assert case.bias is not None
    case.bias[place] += height
    case.target[::3] = place
    expected = evaluate(case, torch.float64, path="reference")
    found = evaluate(case, dtype, chunk_rows=8)
    assert_same(found, expected, SAME if dtype == torch.float64 else SINGLE)


@pytest.mark.parametrize("tile", range(3))
def test_confident_rows_are_exact_in_every_tile(tile: int) -> None:
    """The target 21 above the rest: a loss of 1e-8, and slopes that p - 1 would not have in float32."""
    gap, classes = 21.0, 3 * COLUMNS
    target = tile * COLUMNS + 2
    w = torch.zeros(classes, 1)
    w[target] = gap
    w.requires_grad_()
    loss = linear_cross_entropy(torch.ones(1, 1), w, torch.tensor([target]))
    loss.backward()
    others = (classes - 1) * math.exp(-gap)
    assert loss.item() == pytest.approx(math.log1p(others), rel=1e-6)
    slopes = torch.full((classes,), math.exp(-gap) / (1 + others))
    slopes[target] = -others / (1 + others)
    assert w.grad is not None
    torch.testing.assert_close(w.grad[:, 0], slopes, rtol=1e-6, atol=0)


def test_accuracy_compares_the_logits_themselves() -> None:
    """Logits one rounding apart, which their exponentials do not tell: a tie counts, a larger one does not."""
    level = 30.0
    above = torch.nextafter(torch.tensor(level), torch.tensor(math.inf)).item()
    w = torch.full((3 * COLUMNS, 1), -1.0)
    w[1], w[COLUMNS + 1], w[2 * COLUMNS + 1] = level, above, level
    target = torch.tensor([1, COLUMNS + 1, 2 * COLUMNS + 1])
    right = linear_cross_entropy(torch.ones(3, 1), w, target, return_accuracy=True).accuracy
    assert right.item() == pytest.approx(1 / 3)
    w[COLUMNS + 1] = level
    assert linear_cross_entropy(torch.ones(3, 1), w, target, return_accuracy=True).accuracy.item() == 1.0


def test_a_row_that_is_no_number_spoils_only_itself() -> None:
    case = random_case(20, 5, 30, reduction="none")
    clean = evaluate(case, torch.float32)["loss"]
    case.input[4] = math.nan
    found = evaluate(case, torch.float32, chunk_rows=8)["loss"]
    assert found[4].isnan()
    kept = torch.arange(20) != 4
    torch.testing.assert_close(found[kept], clean[kept])


def test_masked_first_tile() -> None:
    """A bias of -infinity takes out every class of the first tile, so that it has no maximum."""
    case = random_case(20, 5, 30, bias=True)
    assert case.bias is not None
    case.target = case.target % 10 + 15
    case.bias[: COLUMNS + 2] = -math.inf
    found = evaluate(case, torch.float64)
    assert_same(found, evaluate(case, torch.float64, path="reference"), SAME)


def test_tiles_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for rows, classes in ((1, 10), (64, 50_000), (512, 1000), (512, 1025), (256, 50_000)):
        columns = cpu_quick_rows.tile_columns(rows, classes, classes)
        assert 1 <= columns <= classes
        tiles = math.ceil(classes / columns)
        assert tiles * columns - classes < tiles  # all of one size
        threads = torch.get_num_threads()
        room = max(cpu_quick_rows.TILE_ELEMENTS * threads, cpu_quick_rows.LEAST_COLUMNS * rows)
        assert rows * columns <= room
    assert cpu_quick_rows.tile_columns(64, 50_000, 256) <= 256
