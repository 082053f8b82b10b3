"""Softmax averages of tied logits z_ij = x_i . x_j, which are symmetric: one product serves both directions.

    sum_j (f_i e_ij [j != y_i] + f_j e_ji [i != y_j]) x_j,  e_ij = e^(z_ij - m_i),  never n x n

The targets are left out of what is rounded to 16 bits, as in flash.py. Where the offsets m_i of all rows that count lie
within ``SPREAD`` nats, one exponential serves both terms: with c in their middle and a_i = f_i e^(c - m_i),
    f_i e_ij + f_j e_ji = e^(z_ij - c) (a_i + a_j),
no part of which over- or underflows. Elsewhere each has its own. Both kernels are launched, and the device's own
``spread`` decides which one returns at once: the host never asks.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .flash import rows_of
from .flash_tiles import FP16_SHIFT, flash_tile
from .launch import Launch, dot_precision, power_of_two
from .mathematics import LOG2E
from .pivot_tiles import Marks, marked

# e^(z_ij - c) <= e^(SPREAD / 2 + log n), and entries 28 nats below the largest of their row are e^-(SPREAD / 2 + 28):
# both far inside fp32. With fp32 operands the rounding of c log2 e counts, 6e-8 of it, so that fewer nats are allowed.
SPREAD_16, SPREAD_32 = 64.0, 12.0


def common_offset(offset: Tensor, factor: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """``common`` c (0-dim), ``spread`` (0-dim int32: 1 where the offsets of rows of ``factor`` != 0 lie too far apart)
    and a_i = f_i e^(c - m_i) (n,), for offsets m (n,), at least each row's largest logit, and factors f (n,), fp32."""
    counts = factor != 0
    low = torch.where(counts, offset, float("inf")).amin()
    high = offset.amax()  # of all rows, for two of factor 0 must not bring 0 times infinity
    allowed = SPREAD_32 if dtype == torch.float32 else SPREAD_16
    fits = high - low <= allowed  # False for NaN too
    common = torch.where(fits, (low + high) / 2, 0.0)
    return common, 1 - fits.to(torch.int32), torch.where(counts, factor * torch.exp(common - offset), 0.0)


@triton.jit
def tied_average_kernel(
    x, x_stride, target, scaled, common, spread, marks, marks_stride, mark_columns, average, average_stride, N, D,
    HELD: tl.constexpr, STREAMED: tl.constexpr, BLOCK_D: tl.constexpr, EVEN_D: tl.constexpr, PRECISION: tl.constexpr,
    SHIFT: tl.constexpr,
):  # fmt: skip
    """One block of rows of x, held, against all of x, streamed: one exponential for p_ij and p_ji."""
    if tl.load(spread) == 0:
        i = tl.program_id(0) * HELD + tl.arange(0, HELD)
        d = tl.arange(0, BLOCK_D)
        here = i < N
        held = rows_of(x, x_stride, i, d, N, D, EVEN_D)
        own = tl.load(scaled + i, mask=here, other=0.0)
        c = tl.load(common) * LOG2E - SHIFT
        acc = tl.zeros([HELD, BLOCK_D], tl.float32)
        for start in range(0, N, STREAMED):
            j = start + tl.arange(0, STREAMED)
            rows = rows_of(x, x_stride, j, d, N, D, EVEN_D)
            other = tl.load(scaled + j, mask=j < N, other=0.0)
            z = tl.dot(held, tl.trans(rows), input_precision=PRECISION)
            p = tl.exp2(z * LOG2E - c)
            if (marked(marks, marks_stride, mark_columns, start, N, HELD, STREAMED) != 0) | (start + STREAMED > N):
                own_target = tl.load(target + i, mask=here, other=-1).to(tl.int32)
                y = tl.load(target + j, mask=j < N, other=-1).to(tl.int32)
                forward = tl.where((j < N)[None, :] & (j[None, :] != own_target[:, None]), own[:, None], 0.0)
                p *= forward + tl.where(i[:, None] != y[None, :], other[None, :], 0.0)
            else:
                p *= own[:, None] + other[None, :]
            acc = tl.dot(p.to(rows.dtype), rows, acc, input_precision=PRECISION)
        at = average + i.to(tl.int64)[:, None] * average_stride + d[None, :]
        tl.store(at, acc * tl.exp2(-1.0 * SHIFT), mask=here[:, None] & (d < D)[None, :])


def tied_average(
    x: Tensor,
    target: Tensor,
    scaled: Tensor,
    common: Tensor,
    spread: Tensor,
    marks: Marks,
    *,
    average: Tensor,
    architecture: int,
) -> Launch:
    """The launch that fills ``average`` (N, D) fp32 with the sum above unless ``spread`` is set.

    ``target`` y (N,) int64, ``marks`` of both orientations of its pairs; ``common``, ``spread`` and ``scaled`` a (N,)
    of ``common_offset``. fp16 operands want |f_i e_ij| <= 1.
    """
    given = {"scaled": scaled, "common": common, **marks.arguments()}
    return _launch(tied_average_kernel, "tied", x, target, spread, average, architecture, given)


@triton.jit
def tied_average_apart_kernel(
    x, x_stride, target, offset, factor, spread, average, average_stride, N, D,
    HELD: tl.constexpr, STREAMED: tl.constexpr, BLOCK_D: tl.constexpr, EVEN_D: tl.constexpr, PRECISION: tl.constexpr,
    SHIFT: tl.constexpr,
):  # fmt: skip
    """The same with every row's own offset, and two exponentials."""
    if tl.load(spread) != 0:
        i = tl.program_id(0) * HELD + tl.arange(0, HELD)
        d = tl.arange(0, BLOCK_D)
        here = i < N
        held = rows_of(x, x_stride, i, d, N, D, EVEN_D)
        own_offset = tl.load(offset + i, mask=here, other=0.0)
        own_factor = tl.load(factor + i, mask=here, other=0.0)
        # A row of factor 0 counts for nothing: e^-inf.
        own_offset = tl.where(own_factor != 0.0, own_offset, float("inf"))
        own_target = tl.load(target + i, mask=here, other=-1).to(tl.int32)
        acc = tl.zeros([HELD, BLOCK_D], tl.float32)
        for start in range(0, N, STREAMED):
            j = start + tl.arange(0, STREAMED)
            rows = rows_of(x, x_stride, j, d, N, D, EVEN_D)
            out = tl.load(offset + j, mask=j < N, other=0.0)
            f = tl.load(factor + j, mask=j < N, other=0.0)
            out = tl.where(f != 0.0, out, float("inf"))
            z = tl.dot(held, tl.trans(rows), input_precision=PRECISION)
            y = tl.load(target + j, mask=j < N, other=-1).to(tl.int32)
            forward = tl.exp2((z - own_offset[:, None]) * LOG2E + SHIFT) * own_factor[:, None]
            backward = tl.exp2((z - out[None, :]) * LOG2E + SHIFT) * f[None, :]
            backward = tl.where(i[:, None] != y[None, :], backward, 0.0)
            forward = tl.where((j < N)[None, :] & (j[None, :] != own_target[:, None]), forward, 0.0)
            acc = tl.dot((forward + backward).to(rows.dtype), rows, acc, input_precision=PRECISION)
        at = average + i.to(tl.int64)[:, None] * average_stride + d[None, :]
        tl.store(at, acc * tl.exp2(-1.0 * SHIFT), mask=here[:, None] & (d < D)[None, :])


def tied_average_apart(
    x: Tensor, target: Tensor, offset: Tensor, factor: Tensor, spread: Tensor, *, average: Tensor, architecture: int
) -> Launch:
    """The launch that fills ``average`` as ``tied_average`` does, if ``spread`` is set: for offsets m (N,) that lie far
    apart, from them and the factors f (N,), fp32."""
    given = {"offset": offset, "factor": factor}
    return _launch(tied_average_apart_kernel, "tied apart", x, target, spread, average, architecture, given)


def _launch(
    kernel: Any, kind: str, x: Tensor, target: Tensor, spread: Tensor, average: Tensor, architecture: int,
    given: dict[str, Any],
) -> Launch:  # fmt: skip
    """Of one of the two kernels, with what both take besides what is ``given``."""
    rows, width = x.shape
    tile = flash_tile(kind, x.dtype, width, architecture, options=width & (width - 1) != 0)
    block = power_of_two(width, least=16)
    return Launch(
        kernel,
        (triton.cdiv(rows, tile.held),),
        {
            "x": x, "x_stride": x.stride(0), "target": target, "spread": spread, **given, "average": average,
            "average_stride": average.stride(0), "N": rows, "D": width, "HELD": tile.held,
            "STREAMED": tile.streamed, "BLOCK_D": block, "EVEN_D": width == block, "PRECISION": dot_precision(x),
            "SHIFT": FP16_SHIFT if x.dtype == torch.float16 else 0,
        },
        num_warps=tile.warps,
        num_stages=tile.stages,
        matrix=True,
    )  # fmt: skip
