"""Softmax averages of a whole graph on a CUDA card, as the losses over sparse targets need them: never n x m at once.

    softmax_average            lse_i, sum_j p_ij c_j             p_ij = e^(x_i . c_j + bias_j - lse_i)
    softmax_transpose_average  sum_i f_i p_ij x_i, sum_i f_i p_ij
    softmax_lse                lse_i alone: one product
    tied_softmax_average       sum_j (f_i p_ij + f_j p_ji) x_j for c = x: two products, where the two above take four

Tied logits are symmetric, so p_ij and p_ji come from one product and meet in one average: with the lse, three products
instead of four and three exponentials per entry instead of two. Computing only half of the tiles would save the lse
half a product more, at the price of partial sums in memory; the average cannot, for a tile would have to add to two
blocks of rows.

Up to ``gpu.flash.LARGEST_WIDTH`` columns nothing of size n m is stored at all. Wider embeddings take blocks of rows
of logits, which cuBLAS makes and a kernel turns into p. The same result every time: no atomics, no locks.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..gpu.flash import LARGEST_WIDTH, tied_average, transpose_average
from ..gpu.flash import softmax_average as _flash_average
from ..gpu.launch import architecture, padded_logits
from ..gpu.products import add_product, product
from ..gpu.row_cross_entropy import row_cross_entropy
from ..gpu.row_sum import row_sum

BLOCK_BYTES = 1 << 30  # of logits in one block of rows of wide embeddings
DTYPES = tuple(LARGEST_WIDTH)


def softmax_average(x: Tensor, c: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """lse (n,) and sum_j p_ij c_j (n, D), fp32, for x (n, D), c (m, D) and bias (m,) or None.

    Raises TypeError for a dtype other than float32, bfloat16 and float16, ValueError for shapes that do not fit.
    """
    lse, average = _average(x, c, bias, wanted=True)
    assert average is not None
    return lse, average


def softmax_lse(x: Tensor, c: Tensor, bias: Tensor | None) -> Tensor:
    """The lse (n,) of ``softmax_average`` alone, for one product."""
    return _average(x, c, bias, wanted=False)[0]


@torch.no_grad()
def softmax_transpose_average(
    x: Tensor, c: Tensor, bias: Tensor | None, lse: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """sum_i weight_i p_ij x_i (m, D) and sum_i weight_i p_ij (m,), fp32; ``lse`` and ``weight`` (n,).

    Raises as ``softmax_average`` does.
    """
    x, c, bias = _checked(x, c, bias)
    offset, weight, peak = _scaled(x, lse, weight)
    average = x.new_empty((c.shape[0], x.shape[1]), dtype=torch.float32)
    columns = x.new_empty(c.shape[0], dtype=torch.float32)
    if x.shape[1] <= LARGEST_WIDTH[x.dtype]:
        transpose_average(
            x, c, bias, offset, weight, average=average, columns=columns, architecture=architecture(x)
        ).run()
    else:
        average.zero_(), columns.zero_()
        for start, stop, p in _probabilities(x, c, bias, weight):
            add_product(average, p.T, x[start:stop])
            columns += row_sum(p)
    return (average, columns) if peak is None else (average.mul_(peak), columns.mul_(peak))


@torch.no_grad()
def tied_softmax_average(x: Tensor, bias: Tensor | None, lse: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """sum_j (weight_i p_ij + weight_j p_ji) x_j (n, D) and sum_i weight_i p_ij (n,), fp32, with c = x.

    ``lse`` (n,) is ``softmax_lse(x, x, bias)``, ``weight`` (n,). Raises as ``softmax_average`` does.
    """
    x, _, bias = _checked(x, x, bias)
    if x.shape[1] > LARGEST_WIDTH[x.dtype]:
        average = _average(x, x, bias, wanted=True)[1]
        other, columns = softmax_transpose_average(x, x, bias, lse, weight)
        assert average is not None
        return other.addcmul_(average, weight.to(torch.float32)[:, None]), columns
    offset, weight, peak = _scaled(x, lse, weight)
    average = x.new_empty(x.shape, dtype=torch.float32)
    columns = x.new_empty(x.shape[0], dtype=torch.float32)
    tied_average(x, bias, offset, weight, average=average, columns=columns, architecture=architecture(x)).run()
    return (average, columns) if peak is None else (average.mul_(peak), columns.mul_(peak))


@torch.no_grad()
def _average(x: Tensor, c: Tensor, bias: Tensor | None, *, wanted: bool) -> tuple[Tensor, Tensor | None]:
    x, c, bias = _checked(x, c, bias)
    lse = x.new_empty(x.shape[0], dtype=torch.float32)
    average = x.new_empty(x.shape, dtype=torch.float32) if wanted else None
    if x.shape[1] <= LARGEST_WIDTH[x.dtype]:
        _flash_average(x, c, bias, lse=lse, average=average, architecture=architecture(x)).run()
        return lse, average
    for start, stop, p in _probabilities(x, c, bias, None, lse=lse, gradient=wanted):
        if average is not None:
            product(p, c, torch.float32, out=average[start:stop])
    return lse, average


def _checked(x: Tensor, c: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    if x.dtype not in DTYPES or c.dtype != x.dtype:
        raise TypeError(f"x and c must share one of {[str(dtype) for dtype in DTYPES]}, got {x.dtype} and {c.dtype}")
    if x.dim() != 2 or c.dim() != 2 or x.shape[1] != c.shape[1] or 0 in c.shape:
        raise ValueError(f"x {tuple(x.shape)} and c {tuple(c.shape)} do not fit: want (n, D) and (m, D), D, m >= 1")
    if bias is not None and bias.shape != c.shape[:1]:
        raise ValueError(f"bias must have shape ({c.shape[0]},), got {tuple(bias.shape)}")
    x, c = (tensor.detach() if tensor.stride(1) == 1 else tensor.detach().contiguous() for tensor in (x, c))
    return x, c, None if bias is None else bias.detach().contiguous()


def _scaled(x: Tensor, lse: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """lse and weight in fp32; for fp16 the largest weight is divided out, to be multiplied back."""
    lse, weight = lse.to(torch.float32).contiguous(), weight.to(torch.float32).contiguous()
    if x.dtype != torch.float16 or weight.numel() == 0:
        return lse, weight, None
    peak = weight.abs().amax().clamp_min(torch.finfo(torch.float32).tiny)
    return lse, weight / peak, peak


def _probabilities(
    x: Tensor,
    c: Tensor,
    bias: Tensor | None,
    weight: Tensor | None,
    *,
    lse: Tensor | None = None,
    gradient: bool = True,
) -> Iterator[tuple[int, int, Tensor]]:
    """Blocks of rows weight_i p_ij, as (start, stop, block): the gradient of the row kernel for upstream lse alone."""
    n, m = x.shape[0], c.shape[0]
    rows = max(1, min(n, BLOCK_BYTES // (m * x.element_size())))
    buffer = padded_logits(rows, m, x)
    zeros, ones = (x.new_full((rows,), value, dtype=torch.float32) for value in (0.0, 1.0))
    first = zeros.to(torch.int64)
    loss, out = torch.empty_like(zeros), torch.empty_like(zeros)
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        k = stop - start
        block = buffer[:k]
        torch.mm(x[start:stop], c.T, out=block)
        pivot = torch.linalg.vecdot(x[start:stop].float(), c[0].float()[None])
        pivot = pivot if bias is None else pivot + bias[0].float()
        row_cross_entropy(
            block, first[:k], pivot, zeros[:k], zeros[:k], ones[:k], bias=bias, loss=loss[:k],
            lse=out[:k] if lse is None else lse[start:stop], gradient=gradient,
            grad_lse=ones[:k] if weight is None else weight[start:stop],
        ).run()  # fmt: skip
        yield start, stop, block
