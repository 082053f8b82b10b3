"""Exponentials of blocks of logits in place: with an offset only where one is needed."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fiedler.kernels.row_exponentials import RowExponentials, largest_sampled

SAME = 1e-13  # float64, a few operations
SINGLE = 2e-5  # float32 with logits up to 100: their rounding


class Made:
    """Logits as they are asked for, and how often."""

    def __init__(self, z: Tensor) -> None:
        self.z, self.rows, self.calls = z, slice(0), 0

    def __call__(self, out: Tensor, factor: float) -> None:
        self.calls += 1
        torch.mul(self.z[self.rows], factor, out=out)

    def all(self, found: RowExponentials, step: int) -> Tensor:
        """E of all rows, ``step`` at a time."""
        blocks = []
        for start in range(0, len(self.z), step):
            self.rows = slice(start, min(start + step, len(self.z)))
            e = torch.empty_like(self.z[self.rows])
            found(self.rows, e, self)
            blocks.append(e)
        return torch.cat(blocks)


def check(z: Tensor, column: Tensor, step: int, tolerance: float, sampled: float = 0.0) -> tuple[Made, RowExponentials]:
    """E and the numbers against softmax and log-sum-exp in float64."""
    found, made = RowExponentials(column, z.dtype, sampled, rank=False), Made(z)
    e = made.all(found, step)
    sums = found.sums(slice(0, len(z)))
    log_total, nll, lse = sums.losses()
    wide = z.double()
    right = torch.logsumexp(wide, dim=1, keepdim=True)
    at = wide.gather(1, column[:, None])
    assert bool((e.gather(1, column[:, None]) == 0).all())
    share = (e.double() / sums.total).scatter(1, column[:, None], sums.own / sums.total)
    torch.testing.assert_close(share, wide.softmax(dim=1), rtol=0, atol=tolerance)
    torch.testing.assert_close(lse, right, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(nll, right - at, rtol=tolerance, atol=tolerance * max(1.0, float(wide.abs().max())))
    torch.testing.assert_close(sums.logit, at, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(log_total, sums.total.log(), rtol=tolerance, atol=tolerance)
    return made, found


def test_ordinary_logits_are_made_once_and_without_an_offset() -> None:
    z = 5 * torch.randn(20, 31, dtype=torch.float64)
    made, found = check(z, torch.arange(20), 8, SAME)
    assert (made.calls, found.offset) == (3, None)


def test_a_block_out_of_range_is_made_again_and_those_after_it_once() -> None:
    z = torch.randn(20, 31)
    z[9] += 70
    made, found = check(z, torch.arange(20), 5, SINGLE)
    assert made.calls == 5
    assert found.offset is not None
    assert bool((found.offset[:5] == 0).all())
    assert bool((found.offset[5:] != 0).all())


@pytest.mark.parametrize("level", [-90.0, -30.0, 30.0, 90.0, math.nan, math.inf])
def test_a_sampled_logit_far_from_zero_spares_the_first_attempt(level: float) -> None:
    shift = level if math.isfinite(level) else 0.0
    made, found = check(torch.randn(4, 31) + shift, torch.arange(4), 4, SINGLE, sampled=abs(level))
    assert made.calls == 1
    assert found.offset is not None


@pytest.mark.parametrize("level", [-60.0, 60.0])
def test_sums_that_vanish_or_overflow_are_seen(level: float) -> None:
    made, _ = check(torch.randn(4, 31) + level, torch.arange(4), 4, SINGLE)
    assert made.calls == 2


def test_a_column_far_above_the_others_is_seen() -> None:
    """The others' sum is in range; the column's own exponential is not."""
    z = torch.randn(4, 31, dtype=torch.float32)
    z[:, 3] = 60.0
    made, found = check(z, torch.full((4,), 3), 4, SINGLE)
    assert made.calls == 2
    others = found.sums(slice(0, 4)).losses()[1]
    exact = (z.double().index_fill(1, torch.tensor([3]), -math.inf) - 60).exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(others, exact, rtol=SINGLE, atol=0)


@pytest.mark.parametrize("far", [-500.0, -730.0, -1e4, torch.finfo(torch.float32).min])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_column_far_below_the_others_is_seen(far: float, dtype: torch.dtype) -> None:
    """Its exponential is 0 in float64 too, and its logit times log2(e) may be no number; its loss is one."""
    z = torch.randn(6, 31, dtype=dtype)
    z[4, 3] = far
    found, made = RowExponentials(torch.full((6,), 3), dtype, 0.0), Made(z)
    made.all(found, 2)
    nll = found.sums(slice(0, 6)).losses()[1]
    right = torch.logsumexp(z.double(), dim=1, keepdim=True) - z[:, 3:4].double()
    torch.testing.assert_close(nll, right, rtol=SINGLE, atol=SINGLE)


def test_what_is_sampled() -> None:
    x, w, b = torch.randn(20, 5), torch.randn(100, 5), torch.randn(100)
    column = torch.arange(70).repeat(2)[:90]
    x = torch.cat([x, torch.randn(70, 5)])
    right = (x[:8] @ w[:64].T + b[:64]).abs().max().item()
    assert largest_sampled(x, w, b, column, torch.float32) == pytest.approx(right, rel=1e-6)
    assert largest_sampled(x.bfloat16(), w.bfloat16(), b, column, torch.float32) == pytest.approx(right, rel=0.05)
    assert largest_sampled(x[:0], w, None, column[:0], torch.float32) == 0.0
    w[3, 0] = math.nan
    assert math.isnan(largest_sampled(x, w, b, column, torch.float32))


def test_rank() -> None:
    z = torch.tensor([[1.0, 2.0, 2.0], [1.0, 2.0, 2.0], [500.0, 2.0, 499.0], [-1.0, -1.0, -1.0]])
    found = RowExponentials(torch.tensor([0, 2, 2, 1]), z.dtype, 0.0, rank=True)
    Made(z).all(found, 2)
    assert found.correct is not None
    assert found.correct[:, 0].tolist() == [False, True, False, True]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 12),
    classes=st.integers(2, 40),
    step=st.integers(1, 12),
    level=st.floats(-200, 200),
    size=st.floats(0, 60),
    seed=st.integers(0, 2**16),
)
def test_any_logits(rows: int, classes: int, step: int, level: float, size: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    z = level + size * torch.randn(rows, classes, generator=random, dtype=torch.float64)
    column = torch.randint(classes, (rows,), generator=random)
    check(z, column, step, SAME * 10, sampled=float(z[0, column].abs().max()))
