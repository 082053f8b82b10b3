"""Softmax averages without the softmax: matrices of probabilities that exist only tile by tile, for narrow D.

With z_ij = cap(x_i . c_j + bias_j), e_ij = e^(z_ij - m_i), s_ij the slope of the cap (1 without one) and a target y_i
of every row, whose column is left out:
    others_average:     sum_j e_ij s_ij c_j and the row's sums  a program keeps a block of x, streams c   (2 products)
    transpose_average:  sum_i f_i e_ij s_ij x_i, sum_i f_i e_ij s_ij        keeps a block of c, streams x (2 products)
No atomics, no locks, nothing of size N V: O((N + V) D) memory, and the same result every time.

What passes through 16-bit products is rounded, and a row that predicts its target well has a gradient made of the
small rest: so the target is no part of it, and the caller adds its term, in which nothing cancels, in fp32.

Comparing every column with every row's target would cost as much as the exponentials, so that it is done in the tiles
that hold a target (``pivot_tiles``).

The offset m_i is any near the log-sum-exp, and f_i holds the rest of the normalisation, so that a large lse costs no
digits. For fp16 operands e is scaled by 2^14 before it is rounded, for fp16 has no range.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .flash_tiles import FP16_SHIFT, flash_tile
from .launch import Launch, dot_precision, power_of_two
from .mathematics import LOG2E, softcap, softcap_slope
from .pivot_tiles import Marks, marked


@triton.jit
def rows_of(matrix, stride, i, d, N, D, EVEN_D: tl.constexpr):
    """Rows i of a matrix padded to the block's width; rows beyond the end read the last one, to be dropped later."""
    at = matrix + tl.minimum(i, N - 1).to(tl.int64)[:, None] * stride + d[None, :]
    if EVEN_D:
        return tl.load(at)
    return tl.load(at, mask=(d < D)[None, :], other=0.0)


@triton.jit
def exponential(z, m, SHIFT: tl.constexpr, FOLD: tl.constexpr):
    """2^SHIFT e^(z - m); with FOLD in one multiply-add before the 2^x, at the price of 6e-8 |m| in z - m."""
    if FOLD:
        return tl.exp2(z * LOG2E - (m * LOG2E - SHIFT))
    return tl.exp2((z - m) * LOG2E + SHIFT)


@triton.jit
def others_average_kernel(
    x, x_stride, c, c_stride, bias, target, target_logit, class_term, marks, marks_stride, mark_columns,
    offset, sums, sum_stride, average, average_stride, needed, N, V, D, cap,
    HELD: tl.constexpr, STREAMED: tl.constexpr, BLOCK_D: tl.constexpr, EVEN_D: tl.constexpr, PRECISION: tl.constexpr,
    HAS_CAP: tl.constexpr, ENTROPY: tl.constexpr, ACCURACY: tl.constexpr, SHIFT: tl.constexpr, FOLD: tl.constexpr,
):  # fmt: skip
    """One block of rows of x, held, against all of c, streamed, with a running maximum."""
    if needed is not None:
        idle = tl.load(needed) == 0
        if idle:
            return
    i = tl.program_id(0) * HELD + tl.arange(0, HELD)
    d = tl.arange(0, BLOCK_D)
    here = i < N
    rows = rows_of(x, x_stride, i, d, N, D, EVEN_D)
    total = tl.zeros([HELD], tl.float32)
    weighted = tl.zeros([HELD], tl.float32)
    classes = tl.zeros([HELD], tl.float32)
    beaten = tl.zeros([HELD], tl.int32)
    acc = tl.zeros([HELD, BLOCK_D], tl.float32)
    y = tl.load(target + i, mask=here, other=-1).to(tl.int32)
    zy = tl.load(target_logit + i, mask=here, other=0.0)
    m = zy
    for start in range(0, V, STREAMED):
        j = start + tl.arange(0, STREAMED)
        block = rows_of(c, c_stride, j, d, V, D, EVEN_D)
        z = tl.dot(rows, tl.trans(block), input_precision=PRECISION)
        if bias is not None:
            z += tl.load(bias + j, mask=j < V, other=0.0).to(tl.float32)[None, :]
        if HAS_CAP:
            z = softcap(z, cap)
        if (marked(marks, marks_stride, mark_columns, start, V, HELD, STREAMED) != 0) | (start + STREAMED > V):
            z = tl.where((j < V)[None, :] & (j[None, :] != y[:, None]), z, float("-inf"))
        highest = tl.maximum(m, tl.max(z, 1))
        safe = tl.where(highest == float("-inf"), 0.0, highest)
        shrink = tl.exp2((m - safe) * LOG2E)
        p = exponential(z, safe[:, None], SHIFT, FOLD)
        if ENTROPY:
            moved = tl.where(total > 0.0, weighted + (m - safe) * total, 0.0)
            weighted = moved * shrink + tl.sum(tl.where(p > 0.0, p * (z - safe[:, None]), 0.0), 1)
        if class_term is not None or ACCURACY:
            others = (j < V)[None, :] & (j[None, :] != y[:, None])
        if class_term is not None:
            u = tl.load(class_term + j, mask=j < V, other=0.0).to(tl.float32)
            classes += tl.sum(tl.where(others, u[None, :] * (zy[:, None] - z), 0.0), 1)
        if ACCURACY:
            beaten = tl.maximum(beaten, tl.max((others & (z > zy[:, None])).to(tl.int32), 1))
        total = total * shrink + tl.sum(p, 1)
        m = highest
        if average is not None:
            if HAS_CAP:
                p *= tl.where(p > 0.0, softcap_slope(z, cap), 0.0)
            acc = acc * shrink[:, None]
            acc = tl.dot(p.to(block.dtype), block, acc, input_precision=PRECISION)
    undo = tl.exp2(-1.0 * SHIFT)
    sum_stride = tl.cast(sum_stride, tl.int64)  # three planes of many rows: more numbers than 32 bits count
    tl.store(offset + i, m, mask=here)
    tl.store(sums + i, total * undo, mask=here)
    if ENTROPY:
        tl.store(sums + sum_stride + i, weighted * undo, mask=here)
    if class_term is not None:
        tl.store(sums + 2 * sum_stride + i, classes, mask=here)
    if ACCURACY:
        tl.store(sums + 3 * sum_stride + i, beaten.to(tl.float32), mask=here)
    if average is not None:
        at = average + i.to(tl.int64)[:, None] * average_stride + d[None, :]
        tl.store(at, acc * undo, mask=here[:, None] & (d < D)[None, :])


def others_average(
    x: Tensor,
    c: Tensor,
    bias: Tensor | None,
    target: Tensor,
    target_logit: Tensor,
    marks: Marks,
    *,
    offset: Tensor,
    sums: Tensor,
    average: Tensor | None,
    class_term: Tensor | None = None,
    cap: float | None = None,
    entropy: bool = False,
    accuracy: bool = False,
    needed: Tensor | None = None,
    architecture: int,
) -> Launch:
    """The launch for x (N, D), c (V, D), bias (V,) and ``target`` y (N,) int64 whose exact logits are known: sums over
    the classes j != y_i only. ``marks`` of the pairs (i, y_i), rows held. D at most ``LARGEST_WIDTH`` of the dtype,
    column strides 1, outputs fp32 and contiguous.

    It fills ``offset`` m (N,), ``average`` (N, D) = sum_j e_ij s_ij c_j with e_ij = e^(z_ij - m_i), and the planes of
    ``sums`` (4, N) that are asked for: sum e_ij; sum e_ij (z_ij - m_i); sum u_j (z_iy - z_ij); does a class beat y_i.
    These are what ``exponential_rows`` reads, as the sums of one tile. Where ``needed`` (0-dim int32) is 0, nothing is
    done.
    """
    (rows, width), number = x.shape, c.shape[0]
    ragged = width > 128 and width & (width - 1) != 0  # masked loads of so many columns leave no registers
    options = cap is not None or entropy or accuracy or class_term is not None or ragged
    options = options or (bias is not None and average is not None and architecture >= 100)  # its registers spill there
    tile = flash_tile("sums" if average is None else "average", x.dtype, width, architecture, options=options)
    block = power_of_two(width, least=16)
    return Launch(
        others_average_kernel,
        (triton.cdiv(rows, tile.held),),
        {
            "x": x, "x_stride": x.stride(0), "c": c, "c_stride": c.stride(0), "bias": bias, "target": target,
            "target_logit": target_logit, "class_term": class_term, **marks.arguments(), "offset": offset, "sums": sums,
            "sum_stride": sums.stride(0), "average": average,
            "average_stride": 0 if average is None else average.stride(0), "needed": needed, "N": rows, "V": number,
            "D": width, "cap": 1.0 if cap is None else cap, "HELD": tile.held, "STREAMED": tile.streamed,
            "BLOCK_D": block, "EVEN_D": width == block, "PRECISION": dot_precision(x), "HAS_CAP": cap is not None,
            "ENTROPY": entropy, "ACCURACY": accuracy, "SHIFT": FP16_SHIFT if x.dtype == torch.float16 else 0,
            "FOLD": x.dtype != torch.float32,
        },
        num_warps=tile.warps,
        num_stages=tile.stages,
        matrix=True,
    )  # fmt: skip


@triton.jit
def transpose_average_kernel(
    x, x_stride, c, c_stride, bias, target, offset, factor, marks, marks_stride, mark_columns,
    average, average_stride, columns, N, V, D, cap,
    HELD: tl.constexpr, STREAMED: tl.constexpr, BLOCK_D: tl.constexpr, EVEN_D: tl.constexpr, PRECISION: tl.constexpr,
    HAS_CAP: tl.constexpr, SHIFT: tl.constexpr, FOLD: tl.constexpr,
):  # fmt: skip
    """One block of rows of c, held, against all of x, streamed."""
    j = tl.program_id(0) * HELD + tl.arange(0, HELD)
    d = tl.arange(0, BLOCK_D)
    held = rows_of(c, c_stride, j, d, V, D, EVEN_D)
    b = tl.zeros([HELD], tl.float32)
    if bias is not None:
        b = tl.load(bias + j, mask=j < V, other=0.0).to(tl.float32)
    sums = tl.zeros([HELD], tl.float32)
    acc = tl.zeros([HELD, BLOCK_D], tl.float32)
    for start in range(0, N, STREAMED):
        i = start + tl.arange(0, STREAMED)
        rows = rows_of(x, x_stride, i, d, N, D, EVEN_D)
        m = tl.load(offset + i, mask=i < N, other=0.0)
        f = tl.load(factor + i, mask=i < N, other=0.0)
        z = tl.dot(held, tl.trans(rows), input_precision=PRECISION)
        if bias is not None:
            z += b[:, None]
        if HAS_CAP:
            z = softcap(z, cap)
        # A row of factor 0 counts for nothing whatever its offset: e^-inf.
        m = tl.where(f != 0.0, m, float("inf"))
        p = exponential(z, m[None, :], SHIFT, FOLD) * f[None, :]
        if marked(marks, marks_stride, mark_columns, start, N, HELD, STREAMED) != 0:
            y = tl.load(target + i, mask=i < N, other=-1).to(tl.int32)
            p = tl.where(j[:, None] != y[None, :], p, 0.0)
        if HAS_CAP:
            p *= softcap_slope(z, cap)
        if columns is not None:
            sums += tl.sum(p, 1)
        if average is not None:
            acc = tl.dot(p.to(rows.dtype), rows, acc, input_precision=PRECISION)
    undo = tl.exp2(-1.0 * SHIFT)
    if columns is not None:
        tl.store(columns + j, sums * undo, mask=j < V)
    if average is not None:
        at = average + j.to(tl.int64)[:, None] * average_stride + d[None, :]
        tl.store(at, acc * undo, mask=(j < V)[:, None] & (d < D)[None, :])


def transpose_average(
    x: Tensor,
    c: Tensor,
    bias: Tensor | None,
    target: Tensor,
    offset: Tensor,
    factor: Tensor,
    marks: Marks,
    *,
    average: Tensor | None,
    columns: Tensor | None,
    cap: float | None = None,
    architecture: int,
) -> Launch:
    """The launch that fills ``average`` (V, D) = sum_i f_i e^(z_ij - m_i) s_ij x_i and ``columns`` (V,), the same of 1.

    ``target`` y (N,) int64, ``offset`` m and ``factor`` f (N,) fp32; j = y_i is left out, ``marks`` of those pairs,
    classes held; outputs fp32, None where not wanted.
    fp16 operands want |f_i e^(z_ij - m_i)| <= 3.
    """
    (rows, width), number = x.shape, c.shape[0]
    options = cap is not None or bias is not None or width & (width - 1) != 0
    tile = flash_tile("gradient", x.dtype, width, architecture, options=options)
    block = power_of_two(width, least=16)
    return Launch(
        transpose_average_kernel,
        (triton.cdiv(number, tile.held),),
        {
            "x": x, "x_stride": x.stride(0), "c": c, "c_stride": c.stride(0), "bias": bias, "target": target,
            "offset": offset, "factor": factor, **marks.arguments(), "average": average,
            "average_stride": 0 if average is None else average.stride(0), "columns": columns, "N": rows,
            "V": number, "D": width, "cap": 1.0 if cap is None else cap, "HELD": tile.held,
            "STREAMED": tile.streamed, "BLOCK_D": block, "EVEN_D": width == block, "PRECISION": dot_precision(x),
            "HAS_CAP": cap is not None, "SHIFT": FP16_SHIFT if x.dtype == torch.float16 else 0,
            "FOLD": x.dtype != torch.float32,
        },
        num_warps=tile.warps,
        num_stages=tile.stages,
        matrix=True,
    )  # fmt: skip
