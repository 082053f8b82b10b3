"""Row sums of exponentials of tied logits z_ij = x_i . x_j from half of the tiles: each serves rows and columns.

    s_i = sum_{j != y_i} e^(z_ij - c)

with one offset c of all rows, so that e^(z_ij - c) is the same in row i and in row j. A program holds a block of rows
and streams the block itself and all rows after it. Sums over a tile's columns go to its rows; sums over its rows go to
memory, a line for each block held, and are added up there in one order: no atomics, the same result every time. Of n
rows these lines are n n / HELD numbers, so that a large matrix is taken in strips of rows.

A common offset serves where squared norms are near enough to each other: by Cauchy and Schwarz no logit is above the
largest, and no row's maximum below its own. Where they are not, the device's own ``apart`` lets every program return at
once, and ``others_average`` with an offset of each row takes over: the host never asks.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .flash import exponential, rows_of
from .flash_tiles import Tile, flash_tile
from .launch import Launch, dot_precision, power_of_two
from .pivot_tiles import Marks, marked

# A row's sum lies between e^-LIMIT and n e^LIMIT, and terms e^-46 of the smallest of these are still normal numbers.
LIMIT = 41.0


def norm_offset(x: Tensor) -> tuple[Tensor, Tensor]:
    """``common`` c (0-dim, fp32) and ``apart`` (0-dim int32), 1 where no c suits every row of ``x`` (n, D)."""
    low, high = torch.aminmax(torch.linalg.vector_norm(x, dim=1, dtype=torch.float32).square_())
    near = high <= LIMIT
    fits = near | (high - low <= 2 * LIMIT)  # False for NaN too
    return torch.where(near, 0.0, high - LIMIT), 1 - fits.to(torch.int32)


@triton.jit
def symmetric_sums_kernel(
    x, x_stride, target, common, apart, marks, marks_stride, mark_columns,
    held_sums, held_sums_stride, others_sums, others_sums_stride, N, D, segment,
    HELD: tl.constexpr, STREAMED: tl.constexpr, BLOCK_D: tl.constexpr, EVEN_D: tl.constexpr, PRECISION: tl.constexpr,
    FOLD: tl.constexpr,
):  # fmt: skip
    """One block of rows, held, against one segment of the rows from its own first one on, streamed."""
    if tl.load(apart) == 0:
        block = tl.program_id(0)
        begin = block * HELD
        i = begin + tl.arange(0, HELD)
        d = tl.arange(0, BLOCK_D)
        here = i < N
        held = rows_of(x, x_stride, i, d, N, D, EVEN_D)
        c = tl.load(common)
        y = tl.load(target + i, mask=here, other=-1).to(tl.int32)
        total = tl.zeros([STREAMED, HELD], tl.float32)
        line = others_sums + block.to(tl.int64) * others_sums_stride
        first = begin + tl.program_id(1) * segment
        for start in range(first, tl.minimum(first + segment, N), STREAMED):
            j = start + tl.arange(0, STREAMED)
            # Streamed rows first: their sums, of every tile, are then sums over the columns of a few threads, and those
            # of the rows held are put together once.
            rows = rows_of(x, x_stride, j, d, N, D, EVEN_D)
            z = tl.dot(rows, tl.trans(held), input_precision=PRECISION)
            p = exponential(z, c, 0, FOLD)
            if (marked(marks, marks_stride, mark_columns, start, N, HELD, STREAMED) != 0) | (start + STREAMED > N):
                other = tl.load(target + j, mask=j < N, other=-1).to(tl.int32)
                total += tl.where((j < N)[:, None] & (j[:, None] != y[None, :]), p, 0.0)
                p = tl.where(i[None, :] != other[:, None], p, 0.0)
            else:
                total += p
            # A block's own square is all in the sums of its rows.
            tl.store(line + j, tl.sum(p, 1), mask=(j < N) & (j >= begin + HELD))
        at = tl.program_id(1).to(tl.int64) * held_sums_stride + i
        tl.store(held_sums + at, tl.sum(total, 0), mask=here)


def held_rows(x: Tensor, architecture: int) -> int:
    """Rows of the blocks that programs hold."""
    return _tile(x, architecture).held


def _tile(x: Tensor, architecture: int) -> Tile:
    width = x.shape[1]
    return flash_tile("symmetric", x.dtype, width, architecture, options=width & (width - 1) != 0)


def symmetric_sums(
    x: Tensor,
    target: Tensor,
    common: Tensor,
    apart: Tensor,
    marks: Marks,
    *,
    held_sums: Tensor,
    others_sums: Tensor,
    architecture: int,
) -> Launch:
    """The launch that fills, unless ``apart`` is set, ``held_sums`` (segments, n) and ``others_sums`` (blocks, n), fp32
    and zero before, of ``x`` (n, D) with the first ``blocks`` blocks of rows held: s_i of these rows is the sum of both
    over their first dimension; of the rows after them the second is the part that these blocks have of s_i.

    ``target`` y (n,) int64, -1 for a row that leaves no column out; ``marks`` of the pairs (i, y_i) and (y_i, i);
    ``common`` and ``apart`` from ``norm_offset`` of at least these rows. D at most ``LARGEST_WIDTH`` of the dtype.
    """
    n, width = x.shape
    segments, blocks = held_sums.shape[0], others_sums.shape[0]
    tile = _tile(x, architecture)
    block = power_of_two(width, least=16)
    segment = triton.cdiv(triton.cdiv(n, segments), tile.streamed) * tile.streamed
    return Launch(
        symmetric_sums_kernel,
        (blocks, segments),
        {
            "x": x, "x_stride": x.stride(0), "target": target, "common": common, "apart": apart, **marks.arguments(),
            "held_sums": held_sums, "held_sums_stride": held_sums.stride(0), "others_sums": others_sums,
            "others_sums_stride": others_sums.stride(0), "N": n, "D": width, "segment": segment, "HELD": tile.held,
            "STREAMED": tile.streamed, "BLOCK_D": block, "EVEN_D": width == block, "PRECISION": dot_precision(x),
            "FOLD": x.dtype != torch.float32,
        },
        num_warps=tile.warps,
        num_stages=tile.stages,
        matrix=True,
    )  # fmt: skip
