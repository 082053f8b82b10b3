"""The weighted sum of the rows of a matrix, in fp32: out_d = sum_i f_i M_id.

Bias gradients (M the gradient of the logits) and the rank-one terms of label smoothing (M the weight or the input)
read a whole matrix once. Programs sum blocks of rows, and the blocks' sums are added in a fixed order: no atomics.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import Launch

ROWS_PER_PROGRAM = 128
ROWS_PER_STEP = 8
COLUMNS_PER_PROGRAM = 512


@triton.jit
def row_sum_kernel(
    matrix, stride, factor, partial, partial_stride, N, D, column_blocks,
    ROWS: tl.constexpr, STEP: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """The sum of one block of rows, for one block of columns."""
    # One axis of programs: either side may have more blocks than the 65,535 that a second one holds.
    block = tl.program_id(0) // column_blocks
    d = (tl.program_id(0) % column_blocks) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = (d < D)[None, :]
    total = tl.zeros([STEP, BLOCK_D], tl.float32)
    for start in range(0, ROWS, STEP):
        i = block * ROWS + start + tl.arange(0, STEP)
        row = i.to(tl.int64)[:, None] * stride
        value = tl.load(matrix + row + d[None, :], mask=(i < N)[:, None] & inside, other=0.0).to(tl.float32)
        if factor is not None:
            value *= tl.load(factor + i, mask=i < N, other=0.0).to(tl.float32)[:, None]
        total += value
    tl.store(partial + block.to(tl.int64) * partial_stride + d, tl.sum(total, 0), mask=d < D)


def row_sum_partials(matrix: Tensor, factor: Tensor | None, partial: Tensor) -> Launch:
    """The launch that fills ``partial`` (ceil(N / 128), D) fp32 with the sums of its blocks of rows."""
    rows, width = matrix.shape
    column_blocks = triton.cdiv(width, COLUMNS_PER_PROGRAM)
    return Launch(
        row_sum_kernel,
        (column_blocks * partial.shape[0],),
        {
            "matrix": matrix, "stride": matrix.stride(0), "factor": factor, "partial": partial,
            "partial_stride": partial.stride(0), "N": rows, "D": width, "column_blocks": column_blocks,
            "ROWS": ROWS_PER_PROGRAM, "STEP": ROWS_PER_STEP, "BLOCK_D": COLUMNS_PER_PROGRAM,
        },
        num_warps=4,
    )  # fmt: skip


def row_sum(matrix: Tensor, factor: Tensor | None = None) -> Tensor:
    """sum_i factor_i matrix_i, (D,) fp32; ``matrix`` (N, D) of column stride 1, ``factor`` (N,) fp32 or None: ones."""
    rows, width = matrix.shape
    partial = torch.empty((triton.cdiv(rows, ROWS_PER_PROGRAM), width), dtype=torch.float32, device=matrix.device)
    row_sum_partials(matrix, factor, partial).run()
    return partial.sum(dim=0)
