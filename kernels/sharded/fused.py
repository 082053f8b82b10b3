"""The sharded losses on a card by the fused kernels of kernels/graph/cuda.py: no logits, a block of contexts at a time.

A row's pivot is in one block and -1 in the others. The sums of the blocks join as log-sum-exps do, each with its
block's own largest logit, and with them sum_{j != k} p_ij c_j, so that

    untied: the embedding's gradient needs no second round; the contexts' takes one, their gradient beside them
    tied:   the second round brings each row's offset m, factor w r e^(m - lse) and slope at its pivot

with 4 products untied and 3 tied, as in plain.py. Operands of 16 bits stay so, and p is rounded to 16 bits before its
products, as in the losses of one process; the pivots' terms are added in fp32, and nothing waits for the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..gpu.target import scatter_rows, sort_targets
from ..gpu.tied import TiedRows
from ..graph.chunked import GraphLoss
from ..graph.cross_entropy import flash_rows, pivot_slope
from ..graph.cuda import PivotSums, joined_sums, pivot_sums, pivot_transpose_average, tied_block_average
from .plain import add_others
from .ring import RingSum
from .target import ShardedTarget


def fused_loss(
    embedding: Tensor,
    context: Tensor | None,
    target: ShardedTarget,
    weight: Tensor,
    row_weight: Tensor | None,
    *,
    need: tuple[bool, bool],
) -> GraphLoss:
    """What ``plain_loss`` gives, for float32, bfloat16 and float16 up to ``LARGEST_WIDTH`` columns."""
    tied, x = context is None, embedding.contiguous()
    own, wide = (x if context is None else context), x.to(target.dtype)
    grad = torch.zeros_like(wide) if need[0] else None
    sums, averages, others = _first_round(x, wide, own, target, row_weight, grad, averages=need[0] and not tied)
    loss = flash_rows(target, sums) - others
    mass, slope = weight * target.row_sum, pivot_slope(target, sums, weight)
    if grad is not None and averages is not None:
        grad.addcmul_(averages[0], mass[:, None]).addcmul_(averages[1].to(grad.dtype), slope[:, None])
    del averages  # room for the second round
    grad_context = None
    if grad is not None and tied:
        _tied_round(x, sums, mass, slope, target, row_weight, grad)
    elif need[1]:
        grad_context = _context_round(x, wide, own, sums, mass, slope, target, row_weight)
    return GraphLoss(loss, grad, grad_context, None)


def pivot_within(pivot: Tensor, start: int, size: int) -> Tensor:
    """``pivot`` (n,) counted from ``start``, -1 where it is not among the ``size`` columns from there on."""
    column = pivot - start
    return torch.where((column >= 0) & (column < size), column, -1)


def _first_round(
    x: Tensor,
    wide: Tensor,
    own: Tensor,
    target: ShardedTarget,
    row_weight: Tensor | None,
    grad: Tensor | None,
    *,
    averages: bool,
) -> tuple[PivotSums, tuple[Tensor, Tensor] | None, Tensor]:
    """The sums over all contexts, with ``averages`` sum_{j != k} p_ij c_j and c_k, and x_i . (U C)_i for U the target
    without its pivots; grad -= diag(w) U C."""
    others = torch.zeros_like(target.row_sum)
    sums: PivotSums | None = None
    mean = at_pivot = None
    for owner, (block,) in target.ring.blocks([own], target.column_sizes):
        add_others(others, wide, target.forward[owner], block.to(wide.dtype), row_weight, grad)
        if not len(block):
            continue
        pivot = pivot_within(target.pivot, target.column_starts[owner], len(block))
        if averages:
            named = block[pivot.clamp_min(0)]
            at_pivot = named if at_pivot is None else torch.where(pivot[:, None] >= 0, named, at_pivot, out=at_pivot)
            del named
        found, average = pivot_sums(x, block, None, pivot, average=averages)
        if sums is None:
            sums, mean = found, average
            continue
        sums, share, share_found = joined_sums(sums, found)
        if mean is not None and average is not None:
            mean.mul_(share[:, None]).addcmul_(average, share_found[:, None])
    assert sums is not None  # some process has a context
    return sums, None if mean is None or at_pivot is None else (mean, at_pivot), others


def _tied_round(
    x: Tensor,
    sums: PivotSums,
    mass: Tensor,
    slope: Tensor,
    target: ShardedTarget,
    row_weight: Tensor | None,
    grad: Tensor,
) -> None:
    """grad += (A + A') X - U' diag(w) X, for the rows here."""
    start, starts = target.column_starts[target.ring.rank], target.column_starts
    factor = mass / (sums.own + sums.others)
    numbers = torch.stack([sums.offset, factor, slope, *([] if row_weight is None else [row_weight])], dim=1)
    for owner, (block, *told) in target.ring.blocks([x, numbers, target.pivot], target.row_sizes):
        offset, factors, slopes, *weight = told[0].T.contiguous()
        if len(x) and len(block):
            here = pivot_within(target.pivot, starts[owner], len(block))
            there = pivot_within(told[1], start, len(x))
            rows, others = TiedRows(x, here, sums.offset, factor), TiedRows(block, there, offset, factors)
            grad += tied_block_average(rows, others)
            grad.addcmul_(block[here.clamp_min(0)].to(grad.dtype), torch.where(here >= 0, slope, 0.0)[:, None])
            _add_at_pivots(grad, block, slopes, there)
        target.backward[owner].subtract(grad, block.to(grad.dtype), *weight)


def _context_round(
    x: Tensor,
    wide: Tensor,
    own: Tensor,
    sums: PivotSums,
    mass: Tensor,
    slope: Tensor,
    target: ShardedTarget,
    row_weight: Tensor | None,
) -> Tensor:
    """A' X - U' diag(w) X for the contexts here."""
    total = RingSum(target.ring, target.column_sizes, own.shape[1], wide)
    for owner, (block,) in target.ring.blocks([own], target.column_sizes):
        part = total.part(owner)
        if len(x) and len(block):
            pivot = pivot_within(target.pivot, target.column_starts[owner], len(block))
            part += pivot_transpose_average(x, block, None, pivot, sums, mass)[0]
            _add_at_pivots(part, x, slope, pivot)
        target.backward[owner].subtract(part, wide, row_weight)
        total.add(owner, part)
    return total.home()


def _add_at_pivots(out: Tensor, x: Tensor, slope: Tensor, pivot: Tensor) -> None:
    """out_{k_i} += slope_i x_i, each row of ``out`` summed by one program, in row order: the same bits every time."""
    elsewhere = torch.where(pivot < 0, len(out), pivot)
    scatter_rows(out, None, x, slope, *sort_targets(elsewhere, slope, len(out)), len(out)).run()
