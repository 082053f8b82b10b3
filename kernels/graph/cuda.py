"""Softmax sums and averages of a whole graph on a CUDA card, as the losses over sparse targets need them: never n x m.

With z_ij = x_i . c_j + bias_j, p_ij = e^(z_ij - lse_i), a pivot k_i for every row (its main target) and f_i >= 0:
    pivot_sums               sums over e^(z_ij - m_i), at the pivot and over all others;  sum_{j != k_i} p_ij c_j
    pivot_transpose_average  sum_{i: k_i != j} f_i p_ij x_i, and the same of 1
    tied_pivot_average       sum_j (f_i p_ij [j != k_i] + f_j p_ji [i != k_j]) x_j for c = x: two products, where the
                             averages of the two above take four
and of a graph whose columns come in blocks, as kernels/sharded has them, with k_i = -1 where row i's pivot is in
another block:
    pivot_sums               over the block; ``joined_sums`` puts those of two blocks together
    pivot_transpose_average  for the columns of the block, from the sums over all
    tied_block_average       the part of the block's rows j
The pivots are left out of everything that is rounded to 16 bits: at a row that predicts its neighbour well p - T is
made of the small rest, and rounding p near 1 would leave noise of it. The losses add the pivots' terms, in which
nothing cancels, in fp32, as chunked.py does.

Tied logits are symmetric, so p_ij and p_ji come from one product and meet in one average. The sums can be had from half
of the tiles (cuda_symmetric.py), at the price of partial sums in memory; the average cannot, for a tile would have to
add to two blocks of rows: two products and a half instead of four.

Up to ``gpu.flash.LARGEST_WIDTH`` columns nothing of size n m is stored at all. Wider embeddings take blocks of rows
of logits, which cuBLAS makes and a kernel turns into p. The same result every time: no atomics, no locks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..gpu.flash import others_average, transpose_average
from ..gpu.flash_tiles import FP16_SHIFT, LARGEST_WIDTH
from ..gpu.launch import architecture, padded_logits
from ..gpu.pivot_tiles import more_marks, pivot_marks
from ..gpu.products import add_product, product
from ..gpu.row_cross_entropy import row_cross_entropy, row_state
from ..gpu.row_sum import row_sum
from ..gpu.target import target_logit
from ..gpu.tied import TiedRows, common_offset, tied_average, tied_average_apart
from ..gpu.widths import first_columns, whole_width

BLOCK_BYTES = 1 << 30  # of logits in one block of rows of wide embeddings
DTYPES = tuple(LARGEST_WIDTH)


class PivotSums(NamedTuple):
    """``others`` = sum over j != k_i of e^(z_ij - m_i), ``own`` = e^(z_ik - m_i), ``at_pivot`` z_ik and ``offset`` m_i,
    the largest z_ij or one offset of all rows; all (n,), fp32. Of a row without a pivot here ``own`` = 0 and
    ``at_pivot`` = -inf."""

    others: Tensor
    own: Tensor
    at_pivot: Tensor
    offset: Tensor


@torch.no_grad()
def pivot_sums(
    x: Tensor, c: Tensor, bias: Tensor | None, pivot: Tensor, *, average: bool
) -> tuple[PivotSums, Tensor | None]:
    """The sums of every row, and sum_{j != k_i} p_ij c_j (n, D) fp32 if asked for, of x (n, D), c (m, D), bias (m,) or
    None and ``pivot`` k (n,) int64, up to ``LARGEST_WIDTH`` columns -1 where a row's pivot is not among these.

    Raises TypeError for a dtype other than float32, bfloat16 and float16, ValueError for shapes that do not fit.
    """
    width = x.shape[1]
    x, c, bias = checked(x, c, bias)
    n = x.shape[0]
    others, own, at_pivot, offset = x.new_empty((4, n), dtype=torch.float32)
    target_logit(x, c, bias, pivot, at_pivot, cap=None).run()
    made = x.new_empty(x.shape, dtype=torch.float32) if average else None
    if x.shape[1] <= LARGEST_WIDTH[x.dtype]:
        marks, marking = pivot_marks(pivot, c.shape[0], rows_held=True, classes_held=False)
        marking.run()
        others_average(
            x, c, bias, pivot, at_pivot, marks, offset=offset, sums=others[None], average=made,
            architecture=architecture(x),
        ).run()  # fmt: skip
    else:
        ones = torch.ones_like(others) if average else None
        for start, stop, p in _probabilities(x, c, bias, pivot, at_pivot, ones, others, offset):
            if made is not None:
                product(p, c, torch.float32, out=made[start:stop])
    torch.exp(at_pivot - offset, out=own)
    if made is not None and x.shape[1] <= LARGEST_WIDTH[x.dtype]:
        made.div_((own + others)[:, None])
    elif made is not None:
        made.mul_(_unshift(x))
    return PivotSums(others, own, at_pivot, offset), first_columns(made, width)


@torch.no_grad()
def pivot_transpose_average(
    x: Tensor, c: Tensor, bias: Tensor | None, pivot: Tensor, sums: PivotSums, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """sum_{i: k_i != j} f_i p_ij x_i (m, D) and the same of 1 (m,), fp32, for ``weight`` f (n,) and the ``sums`` of
    ``pivot_sums``, over these columns or over more; ``pivot`` as there. Raises as that does.
    """
    width = x.shape[1]
    x, c, bias = checked(x, c, bias)
    weight, peak = _scaled(x, weight)
    average = x.new_empty((c.shape[0], x.shape[1]), dtype=torch.float32)
    columns = x.new_empty(c.shape[0], dtype=torch.float32)
    if x.shape[1] <= LARGEST_WIDTH[x.dtype]:
        factor = weight / (sums.own + sums.others)
        marks, marking = pivot_marks(pivot, c.shape[0], rows_held=False, classes_held=True)
        marking.run()
        transpose_average(
            x, c, bias, pivot, sums.offset, factor, marks, average=average, columns=columns,
            architecture=architecture(x),
        ).run()  # fmt: skip
    else:
        average.zero_(), columns.zero_()
        for start, stop, p in _probabilities(x, c, bias, pivot, sums.at_pivot, weight):
            add_product(average, p.T, x[start:stop])
            columns += row_sum(p)
        average.mul_(_unshift(x)), columns.mul_(_unshift(x))
    if peak is not None:
        average.mul_(peak), columns.mul_(peak)
    return first_columns(average, width), columns


@torch.no_grad()
def tied_pivot_average(x: Tensor, pivot: Tensor, sums: PivotSums, weight: Tensor) -> Tensor:
    """sum_j (f_i p_ij [j != k_i] + f_j p_ji [i != k_j]) x_j (n, D), fp32, with c = x and no bias; ``sums`` of
    ``pivot_sums(x, x, None, pivot)``, ``weight`` f (n,). Raises as that does.
    """
    width = x.shape[1]
    x, _, _ = checked(x, x, None)
    if x.shape[1] > LARGEST_WIDTH[x.dtype]:
        average = pivot_sums(x, x, None, pivot, average=True)[1]
        assert average is not None
        other = pivot_transpose_average(x, x, None, pivot, sums, weight)[0]
        other.addcmul_(average, weight.to(torch.float32)[:, None])
        return first_columns(other, width)
    weight, peak = _scaled(x, weight)
    average = x.new_empty(x.shape, dtype=torch.float32)
    rows = TiedRows(x, pivot, sums.offset, weight / (sums.own + sums.others))
    common, spread, scaled = common_offset(rows.offset, rows.factor, x.dtype)
    marks, marking = pivot_marks(pivot, len(x), rows_held=True, classes_held=True)
    card = architecture(x)
    marking.run()
    tied_average(rows, rows, (scaled, scaled), common, spread, marks, average=average, architecture=card).run()
    tied_average_apart(rows, rows, spread, average=average, architecture=card).run()
    return first_columns(average if peak is None else average.mul_(peak), width)


def joined_sums(left: PivotSums, right: PivotSums) -> tuple[PivotSums, Tensor, Tensor]:
    """The sums over two blocks of columns together, and the share (n,) that each block has of e^lse_i.

    With A_i = sum_{j != k_i} p_ij c_j, p of the block's own columns, that of both is share_left A_left + share_right
    A_right."""
    offset = torch.maximum(left.offset, right.offset)
    down_left, down_right = torch.exp(left.offset - offset), torch.exp(right.offset - offset)
    at_pivot = torch.maximum(left.at_pivot, right.at_pivot)  # it is in one of them
    others = left.others * down_left + right.others * down_right
    both = PivotSums(others, torch.exp(at_pivot - offset), at_pivot, offset)
    total = both.own + others
    return both, (left.own + left.others) * down_left / total, (right.own + right.others) * down_right / total


@torch.no_grad()
def tied_block_average(rows: TiedRows, block: TiedRows) -> Tensor:
    """sum_j (f_i e^(z_ij - m_i) [j != k_i] + f_j e^(z_ij - m_j) [i != k_j]) x_j over the rows j of ``block``, for every
    row i of ``rows`` (n, D), fp32: of all blocks together ``tied_pivot_average`` for factors f_i / e^(lse_i - m_i).

    ``target`` is the pivot of a row among the rows of the other side, -1 if it is not there. D at most
    ``LARGEST_WIDTH`` of the dtype. Raises as ``pivot_sums`` does.
    """
    width, n = rows.x.shape[1], len(rows.x)
    x, c, _ = checked(rows.x, block.x, None)
    factor, peak = _scaled(x, torch.cat([rows.factor, block.factor]))
    common, spread, scaled = common_offset(torch.cat([rows.offset, block.offset]), factor, x.dtype)
    # Copies, whose memory begins where whole vectors do.
    held, streamed = rows._replace(x=x, factor=factor[:n]), block._replace(x=c, factor=factor[n:].clone())
    average = x.new_empty(x.shape, dtype=torch.float32)
    marks, marking = pivot_marks(rows.target, len(c), rows_held=True, classes_held=False)
    card = architecture(x)
    marking.run()
    more_marks(marks, block.target).run()
    halves = scaled[:n], scaled[n:].clone()
    tied_average(held, streamed, halves, common, spread, marks, average=average, architecture=card).run()
    tied_average_apart(held, streamed, spread, average=average, architecture=card).run()
    return first_columns(average if peak is None else average.mul_(peak), width)


def checked(x: Tensor, c: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Operands as the kernels take them, of whole vectors in a row. Raises as ``pivot_sums`` does."""
    if x.dtype not in DTYPES or c.dtype != x.dtype:
        raise TypeError(f"x and c must share one of {[str(dtype) for dtype in DTYPES]}, got {x.dtype} and {c.dtype}")
    if x.dim() != 2 or c.dim() != 2 or x.shape[1] != c.shape[1] or 0 in c.shape:
        raise ValueError(f"x {tuple(x.shape)} and c {tuple(c.shape)} do not fit: want (n, D) and (m, D), D, m >= 1")
    if bias is not None and bias.shape != c.shape[:1]:
        raise ValueError(f"bias must have shape ({c.shape[0]},), got {tuple(bias.shape)}")
    x, c = (tensor.detach() if tensor.stride(1) == 1 else tensor.detach().contiguous() for tensor in (x, c))
    x, c = whole_width(x), whole_width(c)
    return x, c, None if bias is None else bias.detach().contiguous()


def _scaled(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor | None]:
    """weight in fp32; for fp16 the largest weight is divided out, to be multiplied back."""
    weight = weight.to(torch.float32).contiguous()
    if x.dtype != torch.float16 or weight.numel() == 0:
        return weight, None
    peak = weight.abs().amax().clamp_min(torch.finfo(torch.float32).tiny)
    return weight / peak, peak


def _unshift(x: Tensor) -> float:
    """What undoes the factor of ``_probabilities``."""
    return 2.0**-FP16_SHIFT if x.dtype == torch.float16 else 1.0


def _probabilities(
    x: Tensor,
    c: Tensor,
    bias: Tensor | None,
    pivot: Tensor,
    at_pivot: Tensor,
    weight: Tensor | None,
    others: Tensor | None = None,
    offset: Tensor | None = None,
) -> Iterator[tuple[int, int, Tensor]]:
    """Blocks of rows weight_i p_ij, zero at the pivots, as (start, stop, block), for fp16 times 2^14: the gradient of
    the row kernel for an upstream lse alone, or without ``weight`` the logits; writes ``others`` and ``offset``."""
    n, m = x.shape[0], c.shape[0]
    rows = max(1, min(n, BLOCK_BYTES // (m * x.element_size())))
    buffer = padded_logits(rows, m, x)
    upstream = None if weight is None else weight / _unshift(x)
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        block, here = buffer[: stop - start], slice(start, stop)
        torch.mm(x[here], c.T, out=block)
        state, zeros = row_state(at_pivot[here]), torch.zeros_like(at_pivot[here])
        row_cross_entropy(
            block, pivot[here], at_pivot[here], zeros, zeros, zeros, bias=bias, state=state,
            gradient=upstream is not None, grad_lse=None if upstream is None else upstream[here],
        ).run()  # fmt: skip
        if upstream is not None:
            block.scatter_(1, pivot[here, None], 0.0)
        if others is not None and offset is not None:
            offset[here], others[here] = state[0], state[1]
        yield start, stop, block
