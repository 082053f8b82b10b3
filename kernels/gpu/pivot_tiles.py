"""Which tiles of a matrix of logits hold a row's target: only there must a kernel look for the entries to leave out.

Comparing every column with every row's target costs as many instructions as the rest of an epilogue, and of the tiles
of a large problem few hold one: N of them, or 2 N where both (i, y_i) and (y_i, i) are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import ALIGNMENT, Launch

SIDE = 64  # rows and columns of the blocks that are marked
BLOCK = 1024
LARGEST_BYTES = 1 << 26  # of marks; beyond, several blocks in a row share one


@dataclass(frozen=True)
class Marks:
    """``table`` uint8 (blocks held, blocks streamed / ``share``), 1 where one of those blocks of 64 x 64 holds a pair;
    an even number of rows, so that a kernel that holds 128 reads inside it, and columns padded to whole vectors."""

    table: Tensor
    share: int

    def arguments(self) -> dict[str, Tensor | int]:
        """What a kernel asks to look up its blocks (``marked``)."""
        return {"marks": self.table, "marks_stride": self.table.stride(0), "mark_columns": SIDE * self.share}


@triton.jit
def marked(marks, marks_stride, mark_columns, start, end, HELD: tl.constexpr, STREAMED: tl.constexpr):
    """Whether the tile of this program's HELD rows and STREAMED of ``end`` columns from ``start`` on holds a pair."""
    row = (tl.program_id(0) * HELD // 64).to(tl.int64)
    found = tl.load(marks + row * marks_stride + start // mark_columns).to(tl.int32)
    if HELD > 64:
        found |= tl.load(marks + (row + 1) * marks_stride + start // mark_columns).to(tl.int32)
    if STREAMED > 64:
        last = (start + 64) // mark_columns
        if start + 64 < end:
            found |= tl.load(marks + row * marks_stride + last).to(tl.int32)
            if HELD > 64:
                found |= tl.load(marks + (row + 1) * marks_stride + last).to(tl.int32)
    return found


@triton.jit
def pivot_tiles_kernel(
    target, marks, marks_stride, N, columns, ROWS_HELD: tl.constexpr, CLASSES_HELD: tl.constexpr, BLOCK: tl.constexpr
):
    """Marks the blocks of some of the pairs (i, y_i); two programs that meet write the same 1."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y = tl.load(target + i, mask=i < N, other=-1).to(tl.int32)
    here = y >= 0
    one = tl.full([BLOCK], 1, tl.uint8)
    if ROWS_HELD:
        tl.store(marks + (i // 64).to(tl.int64) * marks_stride + y // columns, one, mask=here)
    if CLASSES_HELD:
        tl.store(marks + (y // 64).to(tl.int64) * marks_stride + i // columns, one, mask=here)


def pivot_marks(target: Tensor, classes: int, *, rows_held: bool, classes_held: bool) -> tuple[Marks, Launch]:
    """The marks of the pairs (i, y_i), zero until the launch has run; ``target`` y (N,) int64 in [0, ``classes``), -1
    for a row without one.

    ``rows_held`` marks the block of held rows i and streamed classes y_i, ``classes_held`` that of held classes y_i
    and streamed rows i; both only for a square matrix.
    """
    rows = target.shape[0]
    held, streamed = (rows, classes) if rows_held else (classes, rows)
    blocks, steps = 2 * triton.cdiv(held, 2 * SIDE), triton.cdiv(streamed, SIDE)
    share = 1
    while share < steps and blocks * triton.cdiv(steps, share) > LARGEST_BYTES:
        share *= 2
    # Whole vectors, so that the stride divides by 16 for every shape: one compiled kernel serves them all.
    columns = triton.cdiv(triton.cdiv(steps, share), ALIGNMENT) * ALIGNMENT
    marks = Marks(torch.zeros((blocks, columns), dtype=torch.uint8, device=target.device), share)
    return marks, _marking(marks, target, rows_held=rows_held, classes_held=classes_held)


def more_marks(marks: Marks, target: Tensor) -> Launch:
    """The launch that marks the pairs (y_j, j) as well: streamed rows j whose ``target`` y (m,) int64 is a held row; -1
    for those without one."""
    return _marking(marks, target, rows_held=False, classes_held=True)


def _marking(marks: Marks, target: Tensor, *, rows_held: bool, classes_held: bool) -> Launch:
    rows, table = target.shape[0], marks.table
    return Launch(
        pivot_tiles_kernel,
        (triton.cdiv(rows, BLOCK),),
        {
            "target": target, "marks": table, "marks_stride": table.stride(0), "N": rows,
            "columns": SIDE * marks.share, "ROWS_HELD": rows_held, "CLASSES_HELD": classes_held, "BLOCK": BLOCK,
        },
        num_warps=4,
    )  # fmt: skip
