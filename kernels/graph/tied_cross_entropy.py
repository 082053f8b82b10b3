"""Cross-entropy of every node against a sparse target over all nodes, with one embedding for both sides.

    loss_i = w_i ( r_i lse_i - sum_j T_ij z_ij ),   z_ij = x_i . x_j,   lse_i = log sum_j exp(z_ij):

``graph_cross_entropy`` with the embedding as its own context, and the gradients of both roles added. The logits are
symmetric, so each pair of blocks of nodes is computed once for both: two matrix products of n x n x D where the general
form takes three (tied_graph_tiles.py). No n x n matrix is ever made.

    target = csr_target(adjacency / adjacency.sum(axis=1)[:, None])
    embedding = torch.randn(n, 64, requires_grad=True)
    tied_graph_cross_entropy(embedding, target, reduction="mean").backward()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..checks import as_autocast, check_chunk_rows, check_tensor
from ..once import differentiable_once
from .cross_entropy import (
    check,
    dense_rows,
    flash_rows,
    graph_cross_entropy,
    no_gradient,
    pivot_slope,
    reduce_rows,
    resolve,
)
from .csr import CsrTarget
from .tied_tiles import StripPlaces, TiedSums, strip_places, tied_gradient, tied_loss, tied_sums

PATHS = ("auto", "symmetric", "chunked", "flash", "reference")
# Fewer nodes than this finish sooner in three plain products than in strips.
SYMMETRIC_FROM = 1024


def tied_graph_cross_entropy(
    embedding: Tensor,
    target: CsrTarget,
    *,
    row_weight: Tensor | None = None,
    reduction: str = "sum",
    path: str = "auto",
    chunk_rows: int | None = None,
) -> Tensor:
    """The loss above: its sum, its mean (divided by sum_i w_i), or every row's with ``reduction="none"``.

    ``embedding`` (n, D), float32, float64, bfloat16 or float16; ``target`` (n, n) from ``csr_target``, float32 (float64
    for a float64 embedding), which is also the dtype of the loss and of every sum; ``row_weight`` w (n,) in that dtype.
    Differentiable in both, once. Rows of an empty target have a loss of zero. There is no bias, which would spoil the
    symmetry: pass the embedding twice to ``graph_cross_entropy`` for that. Under autocast the embedding is cast as for
    a linear layer, a float64 one not at all.

    ``path``: "symmetric" (any device) goes through strips of ``chunk_rows`` rows of the upper triangle, its gradient
    computed in the backward pass; "chunked" is ``graph_cross_entropy`` of both roles, three products but fewer steps;
    "flash" (CUDA, not float64) keeps no logits and takes two products and a half; "reference" makes the n x n logits.
    "auto" chooses flash on CUDA, elsewhere chunked below SYMMETRIC_FROM nodes and symmetric from there. All but the
    reference give the same bits every time.

    Raises TypeError for a target that is not a CsrTarget and for tensors of dtypes or devices that do not go together,
    ValueError for shapes that do not fit and for an unknown reduction or path.

    >>> import torch
    >>> from fiedler.kernels import csr_target, tied_graph_cross_entropy
    >>> cycle = csr_target((torch.eye(15).roll(1, 1) + torch.eye(15).roll(-1, 1)) / 2)
    >>> angle = 2 * torch.pi * torch.arange(15) / 15
    >>> circle = 2.465 * torch.stack([angle.cos(), angle.sin()], dim=1)  # the optimum's size
    >>> round(tied_graph_cross_entropy(circle, cycle, reduction="mean").item(), 3)
    1.435
    """
    check_tensor(embedding, "embedding")
    (embedding,) = as_autocast(embedding)
    check(embedding, embedding, target, None, row_weight, reduction, path, PATHS)
    check_chunk_rows(chunk_rows)
    if path == "reference":
        return reduce_rows(dense_rows(embedding, embedding, target, None), row_weight, reduction)
    path = tied_path(path, embedding)
    if path == "chunked":
        return graph_cross_entropy(
            embedding,
            embedding,
            target,
            row_weight=row_weight,
            reduction=reduction,
            path=path,
            chunk_rows=chunk_rows,
        )
    rows = chunk_rows or 0
    if torch.compiler.is_compiling():
        losses = tied_graph_rows(embedding, target.tensors(), path, rows)[0]
    else:
        losses = _Rows.apply(embedding, target, path, rows)[0]
    return reduce_rows(losses, row_weight, reduction)


def tied_path(asked: str, embedding: Tensor) -> str:
    """The path that runs for ``path=asked``."""
    if asked == "symmetric":
        return asked
    path = resolve(asked, embedding)
    return "symmetric" if asked == "auto" and path == "chunked" and len(embedding) >= SYMMETRIC_FROM else path


def _places(target: CsrTarget, path: str, rows: int) -> StripPlaces | None:
    """Of the symmetric path; None for flash, which has no strips."""
    return strip_places(target, rows or None) if path == "symmetric" else None


def _rows(embedding: Tensor, target: CsrTarget, places: StripPlaces | None) -> tuple[Tensor, Tensor]:
    """loss_i of every row before its weight, and the numbers of each row (4, n) that the gradient will need."""
    with torch.autocast(embedding.device.type, enabled=False):
        x = embedding.detach().to(target.dtype)
        if places is None:
            from .cuda_symmetric import tied_pivot_sums

            found = tied_pivot_sums(embedding.detach(), target.pivot)
            return flash_rows(target, found) - torch.linalg.vecdot(x, target.rest_matmul(x)), torch.stack(found)
        sums = tied_sums(x, places)
        return tied_loss(x, target, sums), torch.stack([sums.others, sums.own, sums.at_pivot, sums.offset])


def _gradient(
    embedding: Tensor, target: CsrTarget, numbers: Tensor, weight: Tensor, places: StripPlaces | None
) -> Tensor:
    """The gradient of sum_i weight_i loss_i in the dtype of ``embedding``, from the ``numbers`` of ``_rows``."""
    with torch.autocast(embedding.device.type, enabled=False):
        x = embedding.detach().to(target.dtype)
        if places is None:
            from .cuda import PivotSums, tied_pivot_average

            sums = PivotSums(*numbers)
            slope = pivot_slope(target, sums, weight)
            grad = tied_pivot_average(embedding.detach(), target.pivot, sums, weight * target.row_sum)
            grad.addcmul_(x.index_select(0, target.pivot), slope[:, None])
            grad.addcmul_(target.rest_matmul(x), weight[:, None], value=-1)
            grad += target.transposed_matmul(x, target.transposed_slopes(slope, weight))
        else:
            grad = tied_gradient(x, target, places, TiedSums(*numbers), weight)
        return grad.to(embedding.dtype)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    embedding, target, ctx.path, ctx.rows = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.no_target = no_gradient(target)
    tensors = target.tensors() if isinstance(target, CsrTarget) else target
    ctx.save_for_backward(embedding, output[1], *tensors)


def _backward(ctx: Any, upstream: Tensor | None, *_: Tensor | None) -> Any:
    embedding, numbers, *target = ctx.saved_tensors
    if upstream is None:
        return None, ctx.no_target, None, None
    weight = upstream.contiguous()
    with torch.no_grad():
        if ctx.no_target is None:
            gradient = _gradient(embedding, CsrTarget(*target), numbers, weight, ctx.places)
        else:
            gradient = tied_graph_gradient(embedding, target, numbers, weight, ctx.path, ctx.rows)
    return *differentiable_once((gradient,), (embedding, upstream)), ctx.no_target, None, None


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        embedding, target, path, rows = inputs
        ctx.places = _places(target, path, rows)
        output = _rows(embedding, target, ctx.places)
        _keep(ctx, inputs, output)
        return output

    backward = staticmethod(_backward)


@torch.library.custom_op("fiedler::tied_graph_rows", mutates_args=())
def tied_graph_rows(embedding: Tensor, target: Sequence[Tensor], path: str, rows: int) -> tuple[Tensor, Tensor]:
    """``_rows`` for the compiler, ``target`` the tensors of a CsrTarget."""
    made = CsrTarget(*target)
    return _rows(embedding, made, _places(made, path, rows))


@torch.library.custom_op("fiedler::tied_graph_gradient", mutates_args=())
def tied_graph_gradient(
    embedding: Tensor, target: Sequence[Tensor], kept: Tensor, weight: Tensor, path: str, rows: int
) -> Tensor:
    """``_gradient`` for the compiler; ``kept``, a name of the operator's schema, is the second result of the rows."""
    made = CsrTarget(*target)
    return _gradient(embedding, made, kept, weight, _places(made, path, rows))


@tied_graph_rows.register_fake
def _(embedding: Tensor, target: Sequence[Tensor], path: str, rows: int) -> tuple[Tensor, Tensor]:
    n = embedding.shape[0]
    return target[-1].new_empty(n), target[-1].new_empty(4, n)


@tied_graph_gradient.register_fake
def _(embedding: Tensor, target: Sequence[Tensor], kept: Tensor, weight: Tensor, path: str, rows: int) -> Tensor:
    return torch.empty_like(embedding)


tied_graph_rows.register_autograd(_backward, setup_context=_keep)
