"""Softmax averages of tied logits z_ij = x_i . x_j, which are symmetric: one product serves both directions.

    sum_j (f_i e_ij [j != y_i] + f_j e_ji [i != y_j]) x_j,  e_ij = e^(z_ij - m_i),  never n x n

over all rows j, or over a block of them that is streamed past the rows held: where a graph is spread over several cards
a row's target may lie in another block, and is -1 then. The targets are left out of what is rounded to 16 bits, as in
flash.py. Where the offsets m_i of all rows that count lie within ``SPREAD`` nats, one exponential serves both terms:
with c in their middle and a_i = f_i e^(c - m_i),
    f_i e_ij + f_j e_ji = e^(z_ij - c) (a_i + a_j),
no part of which over- or underflows. Elsewhere each has its own. Both kernels are launched, and the device's own
``spread`` decides which one returns at once: the host never asks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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


class TiedRows(NamedTuple):
    """Rows ``x`` (n, D) of one side, column stride 1: ``target`` y (n,) int64 among the rows of the other side, -1 for
    none there; ``offset`` m (n,), at least the row's largest logit, and ``factor`` f (n,), fp32."""

    x: Tensor
    target: Tensor
    offset: Tensor
    factor: Tensor


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
    x, x_stride, target, scaled, c, c_stride, c_target, c_scaled, common, spread, marks, marks_stride, mark_columns,
    average, average_stride, N, V, D,
    HELD: tl.constexpr, STREAMED: tl.constexpr, BLOCK_D: tl.constexpr, EVEN_D: tl.constexpr, PRECISION: tl.constexpr,
    SHIFT: tl.constexpr,
):  # fmt: skip
    """One block of rows of x, held, against all rows of c, streamed: one exponential for p_ij and p_ji."""
    if tl.load(spread) == 0:
        i = tl.program_id(0) * HELD + tl.arange(0, HELD)
        d = tl.arange(0, BLOCK_D)
        here = i < N
        held = rows_of(x, x_stride, i, d, N, D, EVEN_D)
        own = tl.load(scaled + i, mask=here, other=0.0)
        middle = tl.load(common) * LOG2E - SHIFT
        acc = tl.zeros([HELD, BLOCK_D], tl.float32)
        for start in range(0, V, STREAMED):
            j = start + tl.arange(0, STREAMED)
            rows = rows_of(c, c_stride, j, d, V, D, EVEN_D)
            other = tl.load(c_scaled + j, mask=j < V, other=0.0)
            z = tl.dot(held, tl.trans(rows), input_precision=PRECISION)
            p = tl.exp2(z * LOG2E - middle)
            if (marked(marks, marks_stride, mark_columns, start, V, HELD, STREAMED) != 0) | (start + STREAMED > V):
                own_target = tl.load(target + i, mask=here, other=-1).to(tl.int32)
                y = tl.load(c_target + j, mask=j < V, other=-1).to(tl.int32)
                forward = tl.where((j < V)[None, :] & (j[None, :] != own_target[:, None]), own[:, None], 0.0)
                p *= forward + tl.where(i[:, None] != y[None, :], other[None, :], 0.0)
            else:
                p *= own[:, None] + other[None, :]
            acc = tl.dot(p.to(rows.dtype), rows, acc, input_precision=PRECISION)
        at = average + i.to(tl.int64)[:, None] * average_stride + d[None, :]
        tl.store(at, acc * tl.exp2(-1.0 * SHIFT), mask=here[:, None] & (d < D)[None, :])


def tied_average(
    held: TiedRows,
    streamed: TiedRows,
    scaled: tuple[Tensor, Tensor],
    common: Tensor,
    spread: Tensor,
    marks: Marks,
    *,
    average: Tensor,
    architecture: int,
) -> Launch:
    """The launch that fills ``average`` (N, D) fp32 with the sum above, over the rows ``streamed`` for each row
    ``held``, unless ``spread`` is set.

    ``marks`` of the pairs (i, y_i) of held rows and (y_j, j) of streamed ones; ``common``, ``spread`` and ``scaled``, a
    of both sides, from ``common_offset`` over both. fp16 operands want |f_i e_ij| <= 1.
    """
    given = {"scaled": scaled[0], "c_scaled": scaled[1], "common": common, **marks.arguments()}
    return _launch(tied_average_kernel, "tied", held, streamed, spread, average, architecture, given)


@triton.jit
def tied_average_apart_kernel(
    x, x_stride, target, offset, factor, c, c_stride, c_target, c_offset, c_factor, spread,
    average, average_stride, N, V, D,
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
        for start in range(0, V, STREAMED):
            j = start + tl.arange(0, STREAMED)
            rows = rows_of(c, c_stride, j, d, V, D, EVEN_D)
            out = tl.load(c_offset + j, mask=j < V, other=0.0)
            f = tl.load(c_factor + j, mask=j < V, other=0.0)
            out = tl.where(f != 0.0, out, float("inf"))
            z = tl.dot(held, tl.trans(rows), input_precision=PRECISION)
            y = tl.load(c_target + j, mask=j < V, other=-1).to(tl.int32)
            forward = tl.exp2((z - own_offset[:, None]) * LOG2E + SHIFT) * own_factor[:, None]
            backward = tl.exp2((z - out[None, :]) * LOG2E + SHIFT) * f[None, :]
            backward = tl.where(i[:, None] != y[None, :], backward, 0.0)
            forward = tl.where((j < V)[None, :] & (j[None, :] != own_target[:, None]), forward, 0.0)
            acc = tl.dot((forward + backward).to(rows.dtype), rows, acc, input_precision=PRECISION)
        at = average + i.to(tl.int64)[:, None] * average_stride + d[None, :]
        tl.store(at, acc * tl.exp2(-1.0 * SHIFT), mask=here[:, None] & (d < D)[None, :])


def tied_average_apart(
    held: TiedRows, streamed: TiedRows, spread: Tensor, *, average: Tensor, architecture: int
) -> Launch:
    """The launch that fills ``average`` as ``tied_average`` does, if ``spread`` is set: for offsets that lie far
    apart."""
    given = {
        "offset": held.offset, "factor": held.factor, "c_offset": streamed.offset, "c_factor": streamed.factor,
    }  # fmt: skip
    return _launch(tied_average_apart_kernel, "tied apart", held, streamed, spread, average, architecture, given)


def _launch(
    kernel: Any, kind: str, held: TiedRows, streamed: TiedRows, spread: Tensor, average: Tensor, architecture: int,
    given: dict[str, Any],
) -> Launch:  # fmt: skip
    """Of one of the two kernels, with what both take besides what is ``given``."""
    x, c = held.x, streamed.x
    rows, width = x.shape
    tile = flash_tile(kind, x.dtype, width, architecture, options=width & (width - 1) != 0)
    block = power_of_two(width, least=16)
    return Launch(
        kernel,
        (triton.cdiv(rows, tile.held),),
        {
            "x": x, "x_stride": x.stride(0), "target": held.target, "c": c, "c_stride": c.stride(0),
            "c_target": streamed.target, "spread": spread, **given, "average": average,
            "average_stride": average.stride(0), "N": rows, "V": c.shape[0], "D": width, "HELD": tile.held,
            "STREAMED": tile.streamed, "BLOCK_D": block, "EVEN_D": width == block, "PRECISION": dot_precision(x),
            "SHIFT": FP16_SHIFT if x.dtype == torch.float16 else 0,
        },
        num_warps=tile.warps,
        num_stages=tile.stages,
        matrix=True,
    )  # fmt: skip
