"""The loss of every node against a sparse target, and its gradients, a block of rows at a time: three matrix products.

A block holds E_ij = exp(z_ij - z_ik), k the pivot of row i: the fixed offset comes out of the matrix product itself, as
one more column, so no row maximum is taken and exp reads each tile of columns once, as soon as its product is there.
With s_i = sum_j E_ij, s'_i = s_i - E_ik, the pivot's share t of r_i, and U the target without its pivots,

    lse_i - z_ik = log1p(s'_i),   loss_i = r_i log1p(s'_i) + (1 - t_i) r_i z_ik - x_i . (U C)_i - (U b)_i,
    A_ij = E_ij (j != k),  A_ik = (1 - t_i) E_ik - t_i s'_i,   a_i = w_i r_i / s_i,
    grad X = diag(a) A C - diag(w) U C,   grad C = A' diag(a) X - U' diag(w) X,   grad b = A' a - U' w.

Nothing cancels in a row that predicts its one neighbour with confidence (t_i = 1). A row whose pivot lies so far below
its largest logit that E could overflow takes its maximum as the offset. Any device; memory O(rows m + (n + m) D).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..base_two import LARGEST_SUM_LOG2, LN_2, LOG2_E
from ..tile_places import TilePlaces
from .csr import CsrTarget

# A block stays in the shared cache of a CPU; fewer rows make the products slower, more rows every other pass.
BLOCK_BYTES = 16 << 20
MIN_ROWS, MAX_ROWS = 64, 512
# Columns of a block that are exponentiated at a time, while a core's own cache has them.
TILE_COLUMNS = 2048


@dataclass(frozen=True)
class GraphLoss:
    """``rows`` (n,): loss_i before its weight; the gradients of sum_i w_i loss_i that were asked for, else None."""

    rows: Tensor
    embedding: Tensor | None
    context: Tensor | None
    bias: Tensor | None


def block_rows(classes: int, itemsize: int) -> int:
    """Rows of a block of logits over ``classes`` columns."""
    rows = BLOCK_BYTES // max(1, classes * itemsize)
    return max(MIN_ROWS, min(MAX_ROWS, rows // 16 * 16))


def graph_loss(
    embedding: Tensor,
    context: Tensor,
    bias: Tensor | None,
    target: CsrTarget,
    weight: Tensor,
    *,
    need_embedding: bool,
    need_context: bool,
    need_bias: bool,
    rows: int | None = None,
) -> GraphLoss:
    """Loss and gradients at weights w (n,). All tensors share the dtype of ``target``; ``rows`` of logits at once."""
    n, m = target.shape
    rows = max(1, min(n, rows or block_rows(m, embedding.element_size())))
    pivot = target.pivot[:, None]
    at_pivot = torch.linalg.vecdot(embedding, context.index_select(0, target.pivot))
    if bias is not None:
        at_pivot += bias.index_select(0, target.pivot)
    blocks = _Blocks(embedding, context, bias, at_pivot, pivot, rows)
    others, own, shift = torch.empty_like(at_pivot), torch.ones_like(at_pivot), torch.zeros_like(at_pivot)
    mass = weight * target.row_sum
    grad_embedding = torch.empty_like(embedding) if need_embedding else None
    grad_context = torch.zeros_like(context) if need_context else None
    grad_bias = torch.zeros_like(bias) if bias is not None and need_bias else None
    for start in range(0, n, rows):
        here = slice(start, min(n, start + rows))
        e = blocks.exponentials(here, others[here], own[here], shift[here])
        if not (need_embedding or need_context or need_bias):
            continue
        slope = own[here] * target.rest_share[here] - target.pivot_share[here] * others[here]
        e.scatter_(1, pivot[here], slope[:, None])
        scale = mass[here] / (own[here] + others[here])
        if grad_embedding is not None:
            torch.mm(e, context, out=grad_embedding[here]).mul_(scale[:, None])
        if grad_context is not None:
            grad_context.addmm_(e.T, embedding[here] * scale[:, None])
        if grad_bias is not None:
            grad_bias.addmv_(e.T, scale)

    relative = torch.where(shift == 0, others.log1p(), (own + others).log() + shift * LN_2)
    rest = target.rest_matmul(context)
    loss = target.row_sum * (relative + target.rest_share * at_pivot) - torch.linalg.vecdot(embedding, rest)
    if grad_embedding is not None:
        grad_embedding.addcmul_(rest, weight[:, None], value=-1)
    if grad_context is not None:
        grad_context -= target.transposed_rest_matmul(embedding * weight[:, None])
    if bias is not None:
        loss -= target.rest_matmul(bias[:, None])[:, 0]
    if grad_bias is not None:
        grad_bias -= target.transposed_rest_matmul(weight[:, None])[:, 0]
    return GraphLoss(loss, grad_embedding, grad_context, grad_bias)


class _Blocks:
    """The operands of the logits, in units of log 2, and the buffer of one block of exponentials."""

    def __init__(
        self, embedding: Tensor, context: Tensor, bias: Tensor | None, at_pivot: Tensor, pivot: Tensor, rows: int
    ) -> None:
        self.at_pivot, self.pivot = at_pivot * LOG2_E, pivot
        self.places = TilePlaces(pivot[:, 0], len(context), rows, TILE_COLUMNS)
        # Inner dimension: coordinates, one for the offset, the bias. The transposed context in rows makes the product
        # 4 to 7 % faster.
        left, right = [embedding * LOG2_E, -self.at_pivot[:, None]], [context.T, context.new_ones(1, len(context))]
        if bias is not None:
            left.append(torch.full_like(left[1], LOG2_E))
            right.append(bias[None])
        self.left, self.right = torch.cat(left, dim=1), torch.cat(right)
        self.buffer = embedding.new_empty(rows, len(context))
        self.limit = LARGEST_SUM_LOG2[embedding.dtype]
        self.wide = False  # a pivot was found too far below its row's maximum: expect more of them

    def exponentials(self, here: slice, others: Tensor, own: Tensor, shift: Tensor) -> Tensor:
        """E with zero at the pivots; writes its row sums to ``others``, E_ik to ``own`` and how far the offset lies
        above the pivot's logit to ``shift``."""
        left, e = self.left[here], self.buffer[: len(others)]
        if not self.wide:
            self._tiles(here, e, others, left)
            if float(others.amax()) < 2.0**self.limit:  # false for NaN too
                return e
            self.wide = True
        torch.mm(left, self.right, out=e)
        largest = e.amax(dim=1)
        shift.copy_(torch.where(largest > self.limit / 2, largest, 0.0))
        torch.exp2(-shift, out=own)
        e.sub_(shift[:, None])
        self._tiles(here, e, others)
        return e

    def _tiles(self, here: slice, e: Tensor, others: Tensor, left: Tensor | None = None) -> None:
        """Exponentiate the block ``e`` by tiles, computing the exponents first where ``left`` is given."""
        flat, sums = e.view(-1), e.new_empty(self.places.tiles, len(e))
        for k in range(self.places.tiles):
            columns = slice(k * TILE_COLUMNS, (k + 1) * TILE_COLUMNS)
            part = e[:, columns]
            if left is not None:
                torch.mm(left, self.right[:, columns], out=part)
            part.exp2_()
            at = self.places.tile(here.start, k)
            if at.start < at.stop:
                flat.index_fill_(0, self.places.place[at], 0.0)
            torch.sum(part, dim=1, out=sums[k])
        torch.sum(sums, dim=0, out=others)
