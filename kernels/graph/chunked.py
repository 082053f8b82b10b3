"""The loss of every node against a sparse target, and its gradients, a block of rows at a time: three matrix products.

A block holds E_ij = exp(z_ij - m_i), 0 at the row's pivot k, which is kept apart (row_exponentials.py). With s'_i the
row sums of E, e_i = exp(z_ik - m_i), s_i = s'_i + e_i, the pivot's share t of r_i, and U the target without its pivots,

    lse_i - z_ik = log1p(s'_i / e_i),   loss_i = r_i (lse_i - z_ik) + (1 - t_i) r_i z_ik - x_i . (U C)_i - (U b)_i,
    A_ij = E_ij (j != k),  A_ik = (1 - t_i) e_i - t_i s'_i,   a_i = w_i r_i / s_i,
    grad X = diag(a) A C - diag(w) U C,   grad C = A' diag(a) X - U' diag(w) X,   grad b = A' a - U' w.

Nothing cancels in a row that predicts its one neighbour with confidence (t_i = 1). Any device; memory
O(rows m + (n + m) D).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..row_exponentials import RowExponentials, largest_sampled, scaled_logits
from .csr import CsrTarget, row_losses

# A block stays in the shared cache of a CPU; fewer rows make the products slower, more rows every other pass.
BLOCK_BYTES = 16 << 20
MIN_ROWS, MAX_ROWS = 64, 512


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
    dtype = embedding.dtype
    mass, pivot_share, rest_share = (
        column[:, None] for column in (weight * target.row_sum, target.pivot_share, target.rest_share)
    )
    sampled = largest_sampled(embedding, context, bias, target.pivot, dtype)
    found = RowExponentials(target.pivot, dtype, sampled)
    buffer = embedding.new_empty(rows, m)
    make = torch.empty_like if n else torch.zeros_like
    grad_embedding = make(embedding) if need_embedding else None
    grad_context = make(context) if need_context else None
    grad_bias = torch.zeros_like(bias) if bias is not None and need_bias else None
    for start in range(0, n, rows):
        here = slice(start, min(n, start + rows))
        x, e = embedding[here], buffer[: min(n, start + rows) - start]
        sums = found(here, e, partial(scaled_logits, x, context.T, bias))
        if not (need_embedding or need_context or need_bias):
            continue
        slope = sums.own * rest_share[here] - sums.others * pivot_share[here]
        e.scatter_(1, found.column[here], slope.to(dtype))
        scale = (mass[here] / sums.total).to(dtype)
        if grad_embedding is not None:
            torch.mm(e, context, out=grad_embedding[here]).mul_(scale)
        if grad_context is not None and start == 0:
            torch.mm(e.T, x * scale, out=grad_context)
        elif grad_context is not None:
            grad_context.addmm_(e.T, x * scale)
        if grad_bias is not None:
            grad_bias.addmv_(e.T, scale[:, 0])

    sums = found.sums(slice(0, n))
    relative, at_pivot = sums.losses()[1][:, 0], sums.logit[:, 0]
    rest = target.rest_matmul(context)
    loss = row_losses(target, relative, at_pivot).to(dtype)
    loss -= torch.linalg.vecdot(embedding, rest)
    if grad_embedding is not None:
        grad_embedding.addcmul_(rest, weight[:, None], value=-1)
    if grad_context is not None:
        grad_context -= target.transposed_rest_matmul(embedding * weight[:, None])
    if bias is not None:
        loss -= target.rest_matmul(bias[:, None])[:, 0]
    if grad_bias is not None:
        grad_bias -= target.transposed_rest_matmul(weight[:, None])[:, 0]
    return GraphLoss(loss, grad_embedding, grad_context, grad_bias)
