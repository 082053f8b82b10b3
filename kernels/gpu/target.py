"""The target's part of softmax cross-entropy, in fp32 beside the matrix products: its logit and its gradient.

    target_logit:    z_i = cap( x_i . w_{y_i} + bias_{y_i} ), -inf for y_i = -1              one dot product per row
    combine_rows:    out_i = alpha_i acc_i + beta_i w_{y_i} - g_i v                          the input's gradient
    scatter_rows:    out_j += sum_{i: y_i = j} beta_i x_i, and the same of beta_i alone      the weight's and bias's

The softmax part of a gradient passes through 16-bit matrix products, the target's part is one term per row that does
not: kept out of them it costs O(N D) and is exact. The scatter walks the rows sorted by target, so that each class is
summed by one program in row order: no atomics, the same result every time.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import Launch, power_of_two
from .mathematics import softcap

ROWS_PER_STEP = 16
LARGEST_COLUMNS = 1024


@triton.jit
def target_logit_kernel(
    x, x_stride, w, w_stride, bias, target, out, D, cap, BLOCK_D: tl.constexpr, HAS_CAP: tl.constexpr
):
    """One row's dot product with the weight of its target."""
    i = tl.program_id(0).to(tl.int64)
    given = tl.load(target + i)
    y = tl.maximum(given, 0)
    lanes = tl.arange(0, BLOCK_D)
    products = tl.zeros([BLOCK_D], tl.float32)
    for start in range(0, D, BLOCK_D):
        d = start + lanes
        a = tl.load(x + i * x_stride + d, mask=d < D, other=0.0).to(tl.float32)
        b = tl.load(w + y * w_stride + d, mask=d < D, other=0.0).to(tl.float32)
        products += a * b
    z = tl.sum(products, 0)
    if bias is not None:
        z += tl.load(bias + y).to(tl.float32)
    if HAS_CAP:
        z = softcap(z, cap)
    tl.store(out + i, tl.where(given < 0, float("-inf"), z))


def target_logit(
    x: Tensor, w: Tensor, bias: Tensor | None, target: Tensor, out: Tensor, *, cap: float | None
) -> Launch:
    """The launch that fills ``out`` (N,) fp32 with z_i; ``x`` (N, D), ``w`` (V, D) with column stride 1; ``target`` y
    (N,) int64, -1 for a row that has none."""
    rows, width = x.shape
    block = power_of_two(width, least=32, most=LARGEST_COLUMNS)
    return Launch(
        target_logit_kernel,
        (rows,),
        {
            "x": x, "x_stride": x.stride(0), "w": w, "w_stride": w.stride(0), "bias": bias, "target": target,
            "out": out, "D": width, "cap": 1.0 if cap is None else cap, "BLOCK_D": block, "HAS_CAP": cap is not None,
        },
        num_warps=4,
    )  # fmt: skip


@triton.jit
def combine_rows_kernel(
    out, out_stride, acc, acc_stride, alpha, w, w_stride, target, beta, row_factor, vector, factor, D,
    BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One block of columns of one row."""
    i = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = d < D
    value = tl.load(acc + i * acc_stride + d, mask=inside, other=0.0).to(tl.float32) * tl.load(alpha + i)
    y = tl.load(target + i)
    value += tl.load(beta + i) * tl.load(w + y * w_stride + d, mask=inside, other=0.0).to(tl.float32)
    if vector is not None:
        value -= tl.load(row_factor + i) * tl.load(vector + d, mask=inside, other=0.0)
    if factor is not None:
        value *= tl.load(factor)
    tl.store(out + i * out_stride + d, value.to(out.dtype.element_ty), mask=inside)


def combine_rows(
    out: Tensor,
    acc: Tensor,
    alpha: Tensor,
    w: Tensor,
    target: Tensor,
    beta: Tensor,
    *,
    row_factor: Tensor | None = None,
    vector: Tensor | None = None,
    factor: Tensor | None = None,
) -> Launch:
    """The launch of out_i = factor (alpha_i acc_i + beta_i w_{y_i} - row_factor_i vector), rounded once to out's dtype.

    ``out`` and ``acc`` (N, D) may be the same tensor; ``vector`` (D,) fp32; ``factor`` a 0-dim fp32 tensor or None.
    """
    rows, width = acc.shape
    block = power_of_two(width, least=32, most=LARGEST_COLUMNS)
    return Launch(
        combine_rows_kernel,
        (rows, triton.cdiv(width, block)),
        {
            "out": out, "out_stride": out.stride(0), "acc": acc, "acc_stride": acc.stride(0), "alpha": alpha,
            "w": w, "w_stride": w.stride(0), "target": target, "beta": beta, "row_factor": row_factor,
            "vector": vector, "factor": factor, "D": width, "BLOCK_D": block,
        },
        num_warps=4,
    )  # fmt: skip


@triton.jit
def scatter_rows_kernel(
    out, out_stride, bias_out, x, x_stride, beta, sorted_target, order, N, V, D,
    ROWS: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One class and one block of columns, from the program at the first of the rows sorted by target."""
    position = tl.program_id(0)
    y = tl.load(sorted_target + position)
    before = tl.load(sorted_target + tl.maximum(position - 1, 0))
    # The first row of its class sums the class; the others, and rows past the last class, have nothing to do.
    if ((position == 0) | (before != y)) & (y < V):
        block = tl.program_id(1)
        d = block * BLOCK_D + tl.arange(0, BLOCK_D)
        total = tl.zeros([BLOCK_D], tl.float32)
        total_beta = 0.0
        start = position
        more = True
        while more:
            k = start + tl.arange(0, ROWS)
            mine = tl.load(sorted_target + k, mask=k < N, other=-1) == y
            i = tl.load(order + k, mask=mine, other=0).to(tl.int64)
            factor = tl.load(beta + i, mask=mine, other=0.0)
            inside = mine[:, None] & (d < D)[None, :]
            rows = tl.load(x + i[:, None] * x_stride + d[None, :], mask=inside, other=0.0).to(tl.float32)
            total += tl.sum(tl.where(inside, rows * factor[:, None], 0.0), 0)
            total_beta += tl.sum(factor, 0)
            start += ROWS
            more = tl.sum(mine.to(tl.int32), 0) == ROWS
        if out is not None:
            at = out + y * out_stride + d
            tl.store(at, tl.load(at, mask=d < D) + total, mask=d < D)
        if bias_out is not None and block == 0:
            tl.store(bias_out + y, tl.load(bias_out + y) + total_beta)


def scatter_rows(
    out: Tensor | None,
    bias_out: Tensor | None,
    x: Tensor,
    beta: Tensor,
    sorted_target: Tensor,
    order: Tensor,
    classes: int,
) -> Launch:
    """The launch of out_{y_i} += beta_i x_i and bias_out_{y_i} += beta_i over the rows; outputs fp32 or None.

    ``sorted_target`` and ``order`` are those of ``sort_targets``; targets from ``classes`` V on are left out.
    """
    rows, width = x.shape
    block = power_of_two(width, least=32, most=256)
    return Launch(
        scatter_rows_kernel,
        (rows, 1 if out is None else triton.cdiv(width, block)),
        {
            "out": out, "out_stride": 0 if out is None else out.stride(0), "bias_out": bias_out, "x": x,
            "x_stride": x.stride(0), "beta": beta, "sorted_target": sorted_target, "order": order, "N": rows,
            "V": classes, "D": width, "ROWS": ROWS_PER_STEP, "BLOCK_D": block,
        },
        num_warps=4,
    )  # fmt: skip


def sort_targets(target: Tensor, beta: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """The targets sorted, and the rows in that order; ties in row order, so that sums over a class have one order.

    Rows that add nothing, beta = 0, come last as class ``classes``: ignored rows all have the same target, whose
    single program would sum them one after the other.
    """
    sorted_target, order = torch.sort(target.masked_fill(beta == 0, classes), stable=True)
    return sorted_target, order
