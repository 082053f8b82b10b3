"""Blocks of logits become exponentials in place, on the CPU: read and written once, one column of each row left out.

A softmax does not change with the offset m_i that is taken off row i, and a sum of floating-point numbers keeps its
digits at any scale. So where exp(z_ij) neither overflows nor vanishes the offset is 0: no maximum is looked for and
none subtracted, and the factor log2(e) of 2^x comes out of the matrix product. The sums say whether that held. Where
it did not, the block is made again with the maxima of its rows, and so are those that follow.

The column y left out, the target of a row or its pivot, is kept apart: s = s' + e_y. A row that predicts it with
confidence then loses nothing to rounding: its loss is log1p(s' / e_y) and the slope there -s' / s rather than p_y - 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .base_two import LARGEST_SUM_LOG2, LN_2, LOG2_E

# Elements a thread works on at a time: one MiB of float32, so that successive passes find them in its own cache.
BLOCK_ELEMENTS = 1 << 18
# Rows and columns whose logits are looked at beforehand. Of normal ones 512 reach 3, and 10^7 of them 5 deviations.
SAMPLED_ROWS, SAMPLED_COLUMNS = 8, 64
LARGEST_RATIO_LOG2 = 1000.0  # of two sums, as a power of two

# log2(e) as a multiply-add rounds it, for the offset to be the same number in the sums and in the rest.
FACTOR = {dtype: float(torch.tensor(LOG2_E, dtype=dtype)) for dtype in (torch.float32, torch.float64)}


def block_rows(classes: int, elements: int) -> int:
    """Rows of logits at a time: a block of so many ``elements`` for each thread, one row at least."""
    return max(1, elements * torch.get_num_threads() // classes)


def scaled_logits(x: Tensor, right: Tensor, bias: Tensor | None, out: Tensor, factor: float = 1.0) -> None:
    """out = factor (x R + b)."""
    if bias is None:
        torch.addmm(out, x, right, beta=0, alpha=factor, out=out)
    else:
        torch.addmm(bias, x, right, beta=factor, alpha=factor, out=out)


def largest_sampled(x: Tensor, weight: Tensor, bias: Tensor | None, column: Tensor, dtype: torch.dtype) -> float:
    """The largest |x_i . w_j + b_j| of a few rows of ``x`` (N, D), j those in ``column`` (N,) of a few."""
    if not len(column):
        return 0.0
    some = column[:SAMPLED_COLUMNS]
    logits = x[:SAMPLED_ROWS].to(dtype) @ weight.index_select(0, some).to(dtype).t()
    if bias is not None:
        logits += bias.index_select(0, some)
    return float(torch.linalg.vector_norm(logits, math.inf))


class RowSums:
    """What follows, per row, from its offset m (None: 0, and nothing is out of range), how far the logit z_y at the
    column left out lies above it, and the sum over the others s' = sum_{j != y} exp(z_j - m)."""

    def __init__(self, offset: Tensor | None, shifted: Tensor, others: Tensor) -> None:
        """All of one shape; offset and shifted in units of log 2 and in float64, where columns cost nothing and only
        the logits and the sum over classes are left to round."""
        self.offset, self.shifted, self.others = offset, shifted, others
        self.own = shifted.exp2()
        self.total = self.own + others

    @property
    def logit(self) -> Tensor:
        """z_y."""
        return (self.shifted if self.offset is None else self.shifted + self.offset) * LN_2

    def losses(self) -> tuple[Tensor, Tensor, Tensor]:
        """log s, lse - z_y and lse. The second is log(1 + s' / e_y), which keeps its digits where s' is nothing against
        e_y; the first is not it plus z_y, which may be -infinity."""
        if self.offset is None:
            log_total = self.total.log()
            return log_total, (self.others / self.own).log1p_(), log_total
        log_others, log_own = self.others.double().log(), self.shifted * LN_2
        log_total = torch.logaddexp(log_others, log_own)
        nll = torch.logaddexp(log_others - log_own, log_own.new_zeros(()))
        return log_total, nll, log_total + self.offset * LN_2


class RowExponentials:
    """Of N rows, a block at a time: E_ij = exp(z_ij - m_i) for j != y_i, 0 at y_i, and what ``RowSums`` needs, (N, 1).

    ``correct`` (N, 1): whether no other logit of the row is larger, if that was asked.
    """

    def __init__(self, column: Tensor, dtype: torch.dtype, sampled: float, *, rank: bool = False) -> None:
        """``column`` (N,) int64, y; ``sampled``, ``largest_sampled`` of the logits: where it is far from 0, as of
        GPT-2, whose logits are all near -100, no block is made without an offset in vain. ``rank``: ``correct`` is
        asked for."""
        self.column = column.unsqueeze(1)
        self.shifted = torch.empty_like(self.column, dtype=torch.float64)
        self.others = torch.empty_like(self.column, dtype=dtype)
        self.correct = torch.empty_like(self.column, dtype=torch.bool) if rank else None
        self.offset: Tensor | None = None  # from the first block on that needs one
        self.limit, self.factor = LARGEST_SUM_LOG2[dtype], FACTOR[dtype]
        self._known: tuple[slice, RowSums] | None = None
        if not sampled < self.limit / 2 * LN_2:  # half of what a sum may reach: others are larger. False for NaN, too
            self.offset = torch.zeros_like(self.shifted)

    def __call__(self, rows: slice, z: Tensor, logits: Callable[[Tensor, float], None]) -> RowSums:
        """Fill ``z`` (n, V) with E of the ``rows``; ``logits(z, factor)`` writes their logits times ``factor``."""
        self._known = None
        if self.offset is None:
            self._fill(rows, z, logits)
            sums, most = self.sums(rows), 2.0**self.limit
            # False for NaN, too. The last: s' / e_y is a number of float64, and z_y log2(e) one of the logits' dtype.
            low, high, own = self.others[rows].amin(), sums.total.amax(), sums.shifted.amin()
            if float(low) > 1 / most and float(high) < most and float(own) > self.limit - LARGEST_RATIO_LOG2:
                return sums
            self._known, self.offset = None, torch.zeros_like(self.shifted)
        self._fill(rows, z, logits)
        return self.sums(rows)

    def sums(self, rows: slice) -> RowSums:
        """The numbers of rows that were seen."""
        if self._known is None or self._known[0] != rows:  # of a call of one block they are asked for twice
            offset = None if self.offset is None else self.offset[rows]
            self._known = rows, RowSums(offset, self.shifted[rows], self.others[rows])
        return self._known[1]

    def _fill(self, rows: slice, z: Tensor, logits: Callable[[Tensor, float], None]) -> None:
        column, others = self.column[rows], self.others[rows]
        # The factor may make a tie of two logits; beside a large offset it would cost a rounding of that size.
        bare = self.offset is None and self.correct is None
        logits(z, LOG2_E if bare else 1.0)
        own = z.gather(1, column)
        z.scatter_(1, column, -math.inf)
        top = None if bare else torch.empty_like(own)
        step = block_rows(z.shape[1], BLOCK_ELEMENTS)
        for start in range(0, len(z), step):
            here = slice(start, start + step)
            part = z[here]
            if top is not None:
                torch.amax(part, dim=1, keepdim=True, out=top[here])
                if self.offset is None:
                    part.mul_(LOG2_E)
                else:
                    shift = torch.maximum(top[here], own[here]).mul_(-self.factor)
                    self.offset[rows][here] = -shift
                    torch.add(shift, part, alpha=LOG2_E, out=part)
            torch.sum(part.exp2_(), dim=1, keepdim=True, out=others[here])
        if top is not None:
            if self.correct is not None:
                torch.ge(own, top, out=self.correct[rows])
            own = own.double().mul_(self.factor)
            if self.offset is not None:
                own.sub_(self.offset[rows])
        self.shifted[rows] = own
