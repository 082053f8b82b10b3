"""The sharded losses by plain products and elementwise passes over tiles of logits (tiles.py): any device and dtype."""

from __future__ import annotations

import torch
from torch import Tensor

from ..base_two import LN_2
from ..graph.chunked import GraphLoss
from ..graph.csr import row_losses
from .ring import RingSum
from .target import ShardedTarget, SparseBlock
from .tiles import RowSlopes, RowSums, Tiles, add_gradients, add_tied_gradient, tile_side


def plain_loss(
    embedding: Tensor,
    context: Tensor | None,
    target: ShardedTarget,
    weight: Tensor,
    row_weight: Tensor | None,
    *,
    need: tuple[bool, bool],
    tile: int | None,
) -> GraphLoss:
    """The losses of the rows here before their ``weight`` and the gradients that ``need`` names; tied where ``context``
    is None. ``row_weight``: ``weight``, or None where all are one."""
    x, own = embedding.to(target.dtype), embedding if context is None else context
    tiles = Tiles(x, target.pivot, tile or tile_side(x), max(target.column_sizes))
    grad = torch.zeros_like(x) if need[0] else None
    sums, others = _row_sums(tiles, own, target, row_weight, grad)
    relative = sums.relative()
    loss = row_losses(target, relative, sums.at_pivot * LN_2) - others
    grad_context = None
    if any(need):
        mass = weight * target.row_sum
        slopes = RowSlopes.of(relative, sums.at_pivot, mass, target.pivot_share, target.rest_share)
        if context is None:
            assert grad is not None
            _tied_gradient(tiles, slopes, own, target, row_weight, grad)
        else:
            grad_context = _gradients(tiles, slopes, own, target, row_weight, grad, need_context=need[1])
    return GraphLoss(loss, grad, grad_context, None)


def add_others(
    others: Tensor, x: Tensor, entries: SparseBlock, c: Tensor, row_weight: Tensor | None, grad: Tensor | None
) -> None:
    """others_i += x_i . (U C)_i for a block of contexts, U the target without its pivots; grad -= diag(w) U C."""
    for rows, product in entries.products(c):
        # As a batch of products: vecdot makes x * product first.
        others[rows] += torch.bmm(x[rows, None], product[:, :, None])[:, 0, 0]
        if grad is not None:
            grad.index_add_(0, rows, product if row_weight is None else product * row_weight[rows, None], alpha=-1)


# In functions of their own, whose last block and products are gone when the next pass begins.


def _row_sums(
    tiles: Tiles, own: Tensor, target: ShardedTarget, row_weight: Tensor | None, grad: Tensor | None
) -> tuple[RowSums, Tensor]:
    """The sums over all contexts, and x_i . (U C)_i, U the target without its pivots; grad -= diag(w) U C."""
    sums, others = RowSums(tiles), tiles.x.new_zeros(len(tiles.x))
    for owner, (block,) in target.ring.blocks([own], target.column_sizes):
        c = block.to(tiles.x.dtype)
        sums.add(c, target.column_starts[owner])
        add_others(others, tiles.x, target.forward[owner], c, row_weight, grad)
    return sums, others


def _tied_gradient(
    tiles: Tiles, slopes: RowSlopes, own: Tensor, target: ShardedTarget, row_weight: Tensor | None, grad: Tensor
) -> None:
    """grad += (A + A') X - U' diag(w) X, for the rows here."""
    starts = target.column_starts
    numbers = [slopes.offset, slopes.slope, *([] if row_weight is None else [row_weight])]
    brought = [own, torch.stack(numbers, dim=1), target.pivot]
    for owner, (block, row_numbers, pivot) in target.ring.blocks(brought, target.row_sizes):
        v = block.to(grad.dtype)
        offset, slope, *weight = row_numbers.unbind(1)
        first = starts[owner], starts[target.ring.rank]
        add_tied_gradient(tiles, slopes, v, RowSlopes(offset, slope), pivot, first, grad)
        target.backward[owner].subtract(grad, v, *weight)


def _gradients(
    tiles: Tiles,
    slopes: RowSlopes,
    own: Tensor,
    target: ShardedTarget,
    row_weight: Tensor | None,
    grad: Tensor | None,
    *,
    need_context: bool,
) -> Tensor | None:
    """grad += A C for the rows here; A' X - U' diag(w) X for the contexts here, if they need it."""
    total = RingSum(target.ring, target.column_sizes, own.shape[1], tiles.x) if need_context else None
    for owner, (block,) in target.ring.blocks([own], target.column_sizes):
        part = None if total is None else total.part(owner)
        add_gradients(tiles, slopes, block.to(tiles.x.dtype), target.column_starts[owner], grad, part)
        if total is not None and part is not None:
            target.backward[owner].subtract(part, tiles.x, row_weight)
            total.add(owner, part)
    return None if total is None else total.home()
