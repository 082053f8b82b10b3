"""Cross-entropy of every node against a sparse target, rows and contexts spread over the processes of a group.

    loss = sum_i w_i ( r_i lse_i - sum_j T_ij z_ij ),   z_ij = x_i . c_j,   lse_i = log sum_j exp(z_ij),

the loss of ``graph_cross_entropy`` where process r holds the embedding rows X_r, the contexts C_r and the rows T_r of
the target. Blocks of contexts go round a ring of the processes twice, the next one on its way while the present one is
computed with: first for every row's lse, one product of n_r x m x D on every process, then for the gradients.

    untied: logits, A C and A' X, where the gradient of a block travels along and comes home: 4 products in all
    tied:   a block of rows brings its lse, and as z_ij = z_ji a tile of logits serves both roles; no gradient travels,
            and (A + A') X is one product: 3 in all

On CUDA cards float32, bfloat16 and float16 rows of up to ``gpu.flash_tiles.LARGEST_WIDTH`` columns go through the fused
kernels of ``graph_cross_entropy``, a block of contexts at a time (fused.py): no logits are stored, the embedding's
untied gradient needs no second round, and p is rounded to the rows' dtype before its products. Wider rows, float64 and
other devices take plain products and elementwise passes over tiles of logits, in the dtype of the target (plain.py).
``runs_fused`` chooses, the same on every process. None holds more than its own rows, two blocks on their way (tied;
five untied) and those tiles, or with the kernels up to three matrices as large as its rows.

    target = sharded_target(rows_of_T, tied=True)                      # every process its own rows
    loss = tied_sharded_graph_cross_entropy(rows_of_X, target)         # the same number everywhere
    loss.backward()                                                    # the gradient of the rows here
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..checks import as_autocast, check_choice, check_integer, check_optional_tensor, check_tensor, shown
from ..gpu.flash_tiles import LARGEST_WIDTH
from ..once import differentiable_once
from .plain import plain_loss
from .target import ShardedTarget

REDUCTIONS = ("sum", "mean")
LOW_PRECISION = (torch.bfloat16, torch.float16)


def sharded_graph_cross_entropy(
    embedding: Tensor,
    context: Tensor,
    target: ShardedTarget,
    *,
    row_weight: Tensor | None = None,
    reduction: str = "sum",
    tile: int | None = None,
) -> Tensor:
    """The loss above over the rows of all processes, the same on each: its sum, or its mean (divided by sum_i w_i).

    ``embedding`` (n_r, D) and ``context`` (m_r, D), the rows here, float32, float64, bfloat16 or float16; blocks travel
    in that dtype. ``target`` from ``sharded_target(tied=False)``, float32 (float64 for float64 embeddings), which is
    also the dtype of the loss and of every sum; ``row_weight`` w (n_r,) in it, constant, ones when None. ``tile``: rows
    and columns of the logits at hand, by device when None; the fused kernels have none. Shards may differ in size and
    be empty. Rows of an empty target have loss and gradients of zero. Under autocast embedding and context are cast as
    for a linear layer, float64 ones not at all.

    Differentiable in the rows here, once; call backward on every process, with the same upstream gradient. The same
    world gives the same bits every time. Every process must call; gradients are computed with the loss, where the
    embedding or the context requires them.

    Raises, on every process alike, TypeError for tensors of dtypes or devices that do not go together and ValueError
    for shapes that do not fit, for an unknown reduction, and for processes that differ in dtype, width, reduction, in
    whether there are row weights or in what requires gradients.
    """
    return _loss(_Arguments(embedding, context, target, row_weight, reduction, tile))


def tied_sharded_graph_cross_entropy(
    embedding: Tensor,
    target: ShardedTarget,
    *,
    row_weight: Tensor | None = None,
    reduction: str = "sum",
    tile: int | None = None,
) -> Tensor:
    """The same with the embedding as its own context, for a ``target`` made with ``tied=True``; 3 products for 4."""
    return _loss(_Arguments(embedding, None, target, row_weight, reduction, tile))


@dataclass(frozen=True)
class ShardedLoss:
    """``total``: sum_i w_i loss_i over all processes; ``weight``: sum_i w_i over all, both float64; ``embedding``,
    ``context``: the gradients of the total for the rows here that were asked for, in the dtype of the target."""

    total: Tensor
    weight: Tensor
    embedding: Tensor | None
    context: Tensor | None


def sharded_loss(
    embedding: Tensor,
    context: Tensor | None,
    target: ShardedTarget,
    row_weight: Tensor | None = None,
    *,
    need: tuple[bool, bool],
    tile: int | None = None,
) -> ShardedLoss:
    """Loss and the gradients that ``need`` names (embedding, context) without autograd and without a check of what it
    is given; tied where ``context`` is None, whose one gradient is the embedding's."""
    embedding, context = embedding.detach(), None if context is None else context.detach()
    weight = torch.ones_like(target.row_sum) if row_weight is None else row_weight
    given = embedding, context, target, weight, row_weight
    if runs_fused(embedding, target):
        from .fused import fused_loss

        found = fused_loss(*given, need=need)
    else:
        found = plain_loss(*given, need=need, tile=tile)
    # Added up in rank order, which an all-reduce would leave open.
    sums = torch.stack([(found.rows.double() * weight).sum(), weight.double().sum()])
    total, divisor = target.ring.gather(sums).sum(dim=0)
    return ShardedLoss(total, divisor, found.embedding, found.context)


def runs_fused(embedding: Tensor, target: ShardedTarget) -> bool:
    """Whether the fused kernels serve these rows: the same on every process, as dtype and width are."""
    return target.fused and 0 < embedding.shape[1] <= LARGEST_WIDTH.get(embedding.dtype, 0)


@dataclass(frozen=True)
class _Arguments:
    """A call; ``context`` is None in a tied one."""

    embedding: Tensor
    context: Tensor | None
    target: ShardedTarget
    row_weight: Tensor | None
    reduction: str
    tile: int | None

    def need(self) -> tuple[bool, bool]:
        grad, context = torch.is_grad_enabled(), self.context
        return grad and self.embedding.requires_grad, grad and context is not None and context.requires_grad

    def check(self) -> dict[str, Any]:
        """What all processes have to agree on. Raises for arguments that do not go together here."""
        x, target = self.embedding, self.target
        if not check_tensor(x, "embedding").is_floating_point() or x.dim() != 2:
            raise TypeError(f"embedding must be floating point of shape (rows here, D); got {shown(x)}")
        check_optional_tensor(self.context, "context")
        check_optional_tensor(self.row_weight, "row_weight")
        check_choice(self.reduction, "reduction", REDUCTIONS)
        if self.tile is not None:
            check_integer(self.tile, "tile", 1)
        tied = self.context is None
        if target.tied != tied:
            raise ValueError(f"the target was made with tied={target.tied}; make one with sharded_target(tied={tied})")
        sums = torch.float32 if x.dtype in LOW_PRECISION else x.dtype
        width = x.shape[1]
        for name, tensor, dtype, shape in (
            ("target", target.row_sum, sums, (len(x),)),
            ("embedding", x, x.dtype, (target.rows, width)),
            ("context", self.context, x.dtype, (target.columns, width)),
            ("row_weight", self.row_weight, sums, (target.rows,)),
        ):
            if tensor is None:
                continue
            if tensor.dtype != dtype or tensor.device != x.device:
                raise TypeError(
                    f"{name} is {tensor.dtype} on {tensor.device}; embedding, {x.dtype} on {x.device}, wants {dtype} "
                    "there: convert one of them"
                )
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}; want {shape}: rows here as in the target")
        w = self.row_weight
        if w is not None and (w.requires_grad or not bool((w.isfinite() & (w >= 0)).all())):
            raise ValueError("row_weight must be finite, not negative and constant; pass row_weight.detach()")
        named = [name for name, needed in zip(("embedding", "context"), self.need(), strict=True) if needed]
        return {
            "dtype": str(x.dtype),
            "width": width,
            "reduction": self.reduction,
            "kind of loss": "tied" if tied else "untied",
            "row weights": "none" if w is None else "some",
            "gradients required": " and ".join(named) or "none",
        }


def _loss(call: _Arguments) -> Tensor:
    target = call.target
    if not isinstance(target, ShardedTarget):  # without one there is nobody to tell
        raise TypeError(f"target must be a ShardedTarget, got a {type(target).__name__}; make it with sharded_target")
    embedding, context = as_autocast(call.embedding, call.context)
    call = replace(call, embedding=embedding, context=context)
    facts, error = {}, None
    try:
        facts = call.check()
    except (TypeError, ValueError) as raised:
        error = raised
    target.ring.agree(facts, error, target.device, same=tuple(facts))
    total, divisor = _Loss.apply(call, call.need(), embedding, context)
    return total if call.reduction == "sum" else total / divisor


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, call: _Arguments, need: tuple[bool, bool], embedding: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(embedding.device.type, enabled=False):
            result = sharded_loss(embedding, context, call.target, call.row_weight, need=need, tile=call.tile)
        ctx.set_materialize_grads(False)
        divisor = result.weight.to(call.target.dtype)
        ctx.mark_non_differentiable(divisor)
        ctx.save_for_backward(result.embedding, result.context, embedding, context)
        return result.total.to(call.target.dtype), divisor

    @staticmethod
    def backward(ctx: Any, upstream: Tensor | None, *_: Tensor | None) -> Any:
        *gradients, embedding, context = ctx.saved_tensors
        if upstream is None:
            return None, None, None, None
        made = tuple(None if grad is None else (grad * upstream).to(embedding.dtype) for grad in gradients)
        return None, None, *differentiable_once(made, (embedding, context, upstream))
