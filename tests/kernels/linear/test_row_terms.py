"""The constants of each row against their definitions, and the targets that are refused."""

from __future__ import annotations

import pytest
import torch

from fiedler.kernels.linear.options import Options
from fiedler.kernels.linear.row_terms import check_targets, row_terms

CLASSES = 5
TARGET = torch.tensor([0, 3, -100, 4, 3])
CLASS_WEIGHT = torch.tensor([0.5, 1.0, 2.0, 0.0, 3.0], dtype=torch.float64)
TOKEN_WEIGHT = torch.tensor([1.0, 2.0, 7.0, 0.5, 1.0], dtype=torch.float64)


def test_coefficients() -> None:
    e = 0.2
    terms = row_terms(
        TARGET, Options(label_smoothing=e), classes=CLASSES, dtype=torch.float64,
        class_weight=CLASS_WEIGHT, token_weight=TOKEN_WEIGHT,
    )  # fmt: skip
    own = torch.tensor([0.5, 0.0, 0.5, 3.0, 0.0], dtype=torch.float64)  # the ignored row reads class 0
    assert terms.target.tolist() == [0, 3, 0, 4, 3]
    torch.testing.assert_close(terms.target_coefficient, (1 - e) * own)
    torch.testing.assert_close(terms.lse_coefficient, (1 - e) * own + e * CLASS_WEIGHT.mean())
    torch.testing.assert_close(terms.class_term, e * CLASS_WEIGHT / CLASSES)
    assert terms.row_weight.tolist() == [1.0, 2.0, 0.0, 0.5, 1.0]
    assert terms.divisor is not None
    assert terms.divisor.item() == pytest.approx(1.0 * 0.5 + 0.5 * 3.0)
    assert terms.scale.item() == pytest.approx(1 / terms.divisor.item())
    assert not terms.uniform


def test_known_plain_targets_give_the_same_terms() -> None:
    target = torch.tensor([0, 3, 1])
    for reduction in ("mean", "sum"):
        options = Options(reduction=reduction)
        slow = row_terms(target, options, classes=CLASSES, dtype=torch.float32)
        quick = row_terms(target, options, classes=CLASSES, dtype=torch.float32, all_count=True)
        assert quick.uniform
        assert not slow.uniform
        for name in ("target", "lse_coefficient", "target_coefficient", "row_weight", "scale", "divisor"):
            a, b = getattr(slow, name), getattr(quick, name)
            assert (a is None and b is None) or torch.equal(a, b), name


@pytest.mark.parametrize("target", [torch.tensor([-100, -100]), torch.empty(0, dtype=torch.int64)])
def test_scale_is_zero_when_nothing_counts(target: torch.Tensor) -> None:
    for all_count in {False, target.numel() == 0}:
        terms = row_terms(target, Options(), classes=CLASSES, dtype=torch.float32, all_count=all_count)
        assert terms.scale.item() == 0.0
        assert terms.divisor is not None
        assert terms.divisor.item() == 0.0


@pytest.mark.parametrize("bad", [CLASSES, -1, 2**40])
def test_targets_out_of_range(bad: int) -> None:
    target = torch.tensor([1, bad, -100])
    terms = row_terms(target, Options(), classes=CLASSES, dtype=torch.float32)
    assert terms.row_weight.isnan().tolist() == [False, True, False]
    assert terms.target.tolist() == [1, 0, 0]  # nothing to index out of bounds with
    with pytest.raises(ValueError, match=f"holds {bad} at position 1"):
        check_targets(target, Options(), CLASSES)


def test_check_says_whether_all_rows_count() -> None:
    assert check_targets(torch.tensor([0, 4]), Options(), CLASSES)
    assert check_targets(torch.empty(0, dtype=torch.int64), Options(), CLASSES)
    assert not check_targets(torch.tensor([0, -100]), Options(), CLASSES)
    assert not check_targets(torch.tensor([0, 2]), Options(ignore_index=2), CLASSES)
    assert not check_targets(torch.tensor([0, 9]), Options(ignore_index=9), CLASSES)
