"""The two kernels that make the rows' constants on a card, in Triton's interpreter, against the single operations."""

from __future__ import annotations

import itertools

import pytest
import torch

from interpreted import INTERPRETED, run_interpreted

if not INTERPRETED:

    @pytest.mark.triton
    def test_in_the_interpreter() -> None:
        run_interpreted(__file__)

else:
    from fiedler.kernels.linear.cuda_task import forward_gradient
    from fiedler.kernels.linear.options import Options
    from fiedler.kernels.linear.row_terms import fused_row_terms, row_terms

    CLASSES = 7
    SUMMED = 2e-6  # fp32 sums of 3,000 numbers in another order

    def compare(target: torch.Tensor, options: Options, **weights: torch.Tensor | None) -> None:
        given = {"class_weight": None, "token_weight": None, **weights}
        slow = row_terms(target, options, classes=CLASSES, dtype=torch.float32, **given)
        quick = fused_row_terms(target, options, classes=CLASSES, **given)
        assert torch.equal(slow.target, quick.target)
        for name in ("lse_coefficient", "target_coefficient", "row_weight", "scale", "divisor", "class_term"):
            a, b = getattr(slow, name), getattr(quick, name)
            assert (a is None) == (b is None), name
            if a is not None:
                torch.testing.assert_close(a, b, rtol=SUMMED, atol=0, equal_nan=True)
        a, b = (forward_gradient(terms, torch.float32).weight for terms in (slow, quick))
        torch.testing.assert_close(a, b, rtol=SUMMED, atol=0, equal_nan=True)
        assert not quick.uniform

    @pytest.mark.parametrize("rows", [0, 1, 1023, 1024, 3001])
    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    def test_every_combination(rows: int, reduction: str) -> None:
        generator = torch.Generator().manual_seed(rows)
        target = torch.randint(CLASSES, (rows,), generator=generator)
        target[::3] = -100
        classes, tokens = torch.rand(CLASSES, generator=generator), torch.rand(rows, generator=generator)
        tokens[1::4] = 0.0
        for smoothing, own, token in itertools.product((0.0, 0.2), (None, classes), (None, tokens, tokens.half())):
            options = Options(label_smoothing=smoothing, reduction=reduction)
            compare(target, options, class_weight=own, token_weight=token)

    @pytest.mark.parametrize("bad", [CLASSES, -1, 2**40])
    def test_a_target_that_is_no_class_gives_nan(bad: int) -> None:
        compare(torch.tensor([1, bad, -100]), Options())
        compare(torch.tensor([1, bad, -100]), Options(reduction="sum"))

    def test_an_ignored_class_and_strides(monkeypatch: pytest.MonkeyPatch) -> None:
        target = torch.tensor([[0, 3], [3, 3], [2, 3], [3, 1]])[:, 0]
        assert target.stride(0) == 2
        compare(target, Options(ignore_index=3))
        compare(torch.tensor([2]).expand(4), Options(), token_weight=torch.tensor([0.5]).expand(4))
