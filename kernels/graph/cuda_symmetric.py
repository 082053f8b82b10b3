"""The sums of tied logits on a CUDA card from half of the tiles, where one offset suits every row (gpu/symmetric.py).

    others_i = sum_{j != k_i} e^(z_ij - m_i),  z_ij = x_i . x_j

half a product where ``pivot_sums`` takes a whole one. Both are launched, and the device decides which one works.
"""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from ..gpu.flash import others_average
from ..gpu.flash_tiles import LARGEST_WIDTH
from ..gpu.launch import architecture, multiprocessors
from ..gpu.pivot_tiles import pivot_marks
from ..gpu.symmetric import held_rows, norm_offset, symmetric_sums
from ..gpu.target import target_logit
from .cuda import PivotSums, checked, pivot_sums

# Fewer rows finish sooner in one launch, by the predictions of profiling/roofline.py: a card has yet to say.
SYMMETRIC_FROM = 8192
STRIP_BYTES = 1 << 28  # of sums over the rows of tiles; more rows are taken in several strips
PROGRAMS = 6  # a multiprocessor at least, for the last ones of a strip have little to do


@torch.no_grad()
def tied_pivot_sums(x: Tensor, pivot: Tensor) -> PivotSums:
    """``pivot_sums(x, x, None, pivot, average=False)`` of x (n, D) and ``pivot`` k (n,) int64, but for the offset,
    which may be one for all rows. Raises as that does."""
    n, width = x.shape
    if n < SYMMETRIC_FROM or width > LARGEST_WIDTH.get(x.dtype, 0):
        return pivot_sums(x, x, None, pivot, average=False)[0]
    x, _, _ = checked(x, x, None)
    card = architecture(x)
    common, apart = norm_offset(x)
    others, own, at_pivot, offset = x.new_empty((4, n), dtype=torch.float32)
    target_logit(x, x, None, pivot, at_pivot, cap=None).run()
    others.zero_(), offset.copy_(common)
    held, start = held_rows(x, card), 0
    while start < n:
        rest = n - start
        blocks = min(triton.cdiv(rest, held), max(1, STRIP_BYTES // (4 * rest)))
        segments = min(triton.cdiv(PROGRAMS * multiprocessors(x), blocks), triton.cdiv(rest, held))
        rows = x.new_empty((segments, blocks * held), dtype=torch.float32)
        columns = x.new_zeros((blocks, rest), dtype=torch.float32)
        near = pivot if start == 0 else (pivot[start:] - start).clamp_min_(-1)
        marks, marking = pivot_marks(near, rest, rows_held=True, classes_held=True)
        marking.run()
        symmetric_sums(
            x[start:], near, common, apart, marks, held_sums=rows, others_sums=columns, architecture=card
        ).run()  # fmt: skip
        others[start:] += columns.sum(dim=0)
        stop = min(start + blocks * held, n)
        others[start:stop] += rows.sum(dim=0)[: stop - start]
        start = stop
    marks, marking = pivot_marks(pivot, n, rows_held=True, classes_held=False)
    marking.run()
    others_average(
        x, x, None, pivot, at_pivot, marks, offset=offset, sums=others[None], average=None, needed=apart,
        architecture=card,
    ).run()  # fmt: skip
    torch.exp(at_pivot - offset, out=own)
    return PivotSums(others, own, at_pivot, offset)
