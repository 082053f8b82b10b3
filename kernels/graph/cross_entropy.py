"""Cross-entropy of every node against a sparse target over all classes; no n x m matrix is ever made.

    loss_i = w_i ( r_i lse_i - sum_j T_ij z_ij ),   z_ij = x_i . c_j + b_j,   lse_i = log sum_j exp(z_ij),

with embedding rows x_i, context rows c_j (the output vocabulary) and T the target, r_i its row sums. It is the
soft-target cross-entropy of the logits X C' + b, but T enters by its products with C and X alone (csr.py), so what runs
over all pairs of rows and classes never sees it.

    target = csr_target(scipy_matrix)                    # (n, m), once
    loss = graph_cross_entropy(embedding, context, target, reduction="mean")
    loss.backward()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..checks import as_autocast, check_choice, check_chunk_rows, check_optional_tensor, check_tensor
from ..once import differentiable_once
from ..upstream import scaled
from .chunked import GraphLoss, graph_loss
from .csr import CsrTarget, PivotShares, row_losses

REDUCTIONS = ("sum", "mean", "none")
PATHS = ("auto", "chunked", "flash", "reference")
LOW_PRECISION = (torch.bfloat16, torch.float16)


def graph_cross_entropy(
    embedding: Tensor,
    context: Tensor,
    target: CsrTarget,
    *,
    bias: Tensor | None = None,
    row_weight: Tensor | None = None,
    reduction: str = "sum",
    path: str = "auto",
    chunk_rows: int | None = None,
) -> Tensor:
    """The loss above: its sum, its mean (divided by sum_i w_i), or every row's with ``reduction="none"``.

    ``embedding`` (n, D) and ``context`` (m, D), float32, float64, bfloat16 or float16; ``target`` (n, m) from
    ``csr_target``, float32 (float64 for float64 embeddings), which is also the dtype of the loss and of every sum;
    ``bias`` (m,) in either dtype; ``row_weight`` w (n,) in the target's dtype, ones when None. Differentiable in all
    four tensors, once: for tied embeddings use ``tied_graph_cross_entropy``, which does less work than passing one
    tensor twice. Rows of an empty target, isolated nodes, have loss and gradients of zero; give them the weight zero
    to leave them out of the mean, too. Under autocast embedding, context and bias are cast as for a linear layer,
    float64 ones not at all.

    ``path``: "chunked" (any device) works through blocks of ``chunk_rows`` rows in three matrix products, four for
    "none"; "flash" (CUDA, not float64) keeps no logits; "reference" makes the full n x m logits; "auto" chooses flash
    on CUDA and chunked elsewhere. The first two give the same bits every time.

    Raises TypeError for a target that is not a CsrTarget and for tensors of dtypes or devices that do not go together,
    ValueError for shapes that do not fit and for an unknown reduction or path.

    >>> import torch
    >>> from fiedler.kernels import csr_target, graph_cross_entropy
    >>> target = csr_target(torch.roll(torch.eye(15), 1, dims=1))  # each node names the next
    >>> embedding, context = torch.zeros(15, 8), torch.zeros(15, 8)
    >>> round(graph_cross_entropy(embedding, context, target, reduction="mean").item(), 4)  # log 15
    2.7081
    """
    check_tensor(embedding, "embedding"), check_tensor(context, "context")
    embedding, context, bias = as_autocast(embedding, context, bias)
    check(embedding, context, target, bias, row_weight, reduction, path)
    check_chunk_rows(chunk_rows)
    if path == "reference":
        rows = dense_rows(embedding, context, target, bias)
        return reduce_rows(rows, row_weight, reduction)
    path = resolve(path, embedding)
    block = chunk_rows or 0
    if reduction == "none" or (row_weight is not None and row_weight.requires_grad):
        rows = call(_Rows, graph_rows, (embedding, context, bias), target, path, block)
        return reduce_rows(rows, row_weight, reduction)
    weight = target.row_sum.new_ones(len(embedding)) if row_weight is None else row_weight
    grad = torch.is_grad_enabled()
    need = [grad and tensor is not None and tensor.requires_grad for tensor in (embedding, context, bias)]
    total: Tensor = call(_Sum, graph_sum, (embedding, context, bias), target, weight, need, path, block)[0]
    return total if reduction == "sum" else total / _divisor(weight, row_weight)


def check(
    embedding: Tensor,
    context: Tensor,
    target: CsrTarget,
    bias: Tensor | None,
    row_weight: Tensor | None,
    reduction: str,
    path: str,
    paths: tuple[str, ...] = PATHS,
) -> None:
    """Raise if the arguments do not go together."""
    if not isinstance(target, CsrTarget):
        raise TypeError(f"target must be a CsrTarget, got {type(target).__name__}; make it with csr_target")
    check_optional_tensor(bias, "bias"), check_optional_tensor(row_weight, "row_weight")
    check_choice(reduction, "reduction", REDUCTIONS)
    check_choice(path, "path", paths)
    sums = torch.float32 if embedding.dtype in LOW_PRECISION else embedding.dtype
    for name, tensor, dtypes in (
        ("context", context, (embedding.dtype,)),
        ("target", target, (sums,)),
        ("bias", bias, (embedding.dtype, sums)),
        ("row_weight", row_weight, (sums,)),
    ):
        if tensor is not None and (tensor.dtype not in dtypes or tensor.device != embedding.device):
            raise TypeError(
                f"{name} is {tensor.dtype} on {tensor.device}; embedding, {embedding.dtype} on {embedding.device}, "
                f"wants {dtypes[-1]} there: convert one of them"
            )
    if embedding.dtype not in (torch.float32, torch.float64, *LOW_PRECISION):
        raise TypeError(f"embedding must be floating point, got {embedding.dtype}")
    fits = embedding.dim() == context.dim() == 2 and context.shape[1] == embedding.shape[1]
    if not fits or target.shape != (embedding.shape[0], context.shape[0]):
        raise ValueError(
            f"shapes do not fit: embedding {tuple(embedding.shape)}, context {tuple(context.shape)}, "
            f"target {target.shape}; want (n, D), (m, D), (n, m)"
        )
    if len(embedding) and not len(context):
        raise ValueError(f"there are no classes for {len(embedding)} nodes: context {tuple(context.shape)} has no rows")
    for name, tensor, length in (("bias", bias, target.shape[1]), ("row_weight", row_weight, target.shape[0])):
        if tensor is not None and tuple(tensor.shape) != (length,):
            raise ValueError(f"{name} must have shape ({length},); got {tuple(tensor.shape)}")


def resolve(path: str, embedding: Tensor) -> str:
    """The path that runs: flash wherever its kernels do."""
    on_card = embedding.is_cuda and embedding.dtype != torch.float64
    if path == "flash" and not on_card:
        raise ValueError(
            f"the flash path runs on CUDA in float32, bfloat16 or float16; the embedding is {embedding.dtype} on "
            f"{embedding.device}: choose chunked"
        )
    if path == "auto":
        return "flash" if on_card else "chunked"
    return path


def dense_rows(embedding: Tensor, context: Tensor, target: CsrTarget, bias: Tensor | None) -> Tensor:
    """Every row's loss before its weight from the full logits, by autograd: the plain form, for checks."""
    with torch.autocast(embedding.device.type, enabled=False):
        logits = embedding.to(target.dtype) @ context.to(target.dtype).T
        if bias is not None:
            logits = logits + bias.to(target.dtype)
        return target.row_sum * torch.logsumexp(logits, dim=1) - (target.to_dense() * logits).sum(dim=1)


def reduce_rows(rows: Tensor, row_weight: Tensor | None, reduction: str) -> Tensor:
    """Weighted rows, their sum, or that over the sum of the weights."""
    weighted = rows if row_weight is None else rows * row_weight
    if reduction == "none":
        return weighted
    total = weighted.sum()
    if reduction == "sum":
        return total
    return total / _divisor(rows, row_weight)


def _divisor(rows: Tensor, row_weight: Tensor | None) -> Tensor | int:
    return rows.shape[0] if row_weight is None else row_weight.sum()


def call(function: Any, operator: Any, tensors: tuple[Tensor | None, ...], target: CsrTarget, *rest: Any) -> Any:
    """The autograd function, or for the compiler, which cannot look into it, the operator of the same arguments."""
    if torch.compiler.is_compiling():
        return operator(*tensors, target.tensors(), *rest)
    return function.apply(*tensors, target, *rest)


# Two functions: the weighted sum, whose gradients come out of its forward pass, and the single rows, whose gradients
# are those of the sum at the weights that arrive from above. Each once for autograd and once for the compiler.

Pieces = tuple[Tensor, Tensor, Tensor, Tensor]


def _sum(
    embedding: Tensor,
    context: Tensor,
    bias: Tensor | None,
    target: CsrTarget,
    weight: Tensor,
    need: Sequence[bool],
    path: str,
    rows: int,
) -> Pieces:
    """sum_i w_i loss_i and its gradients, empty where not needed."""
    loss = _run(embedding, context, bias, target, weight, need, path, rows)
    total = torch.dot(loss.rows.double(), weight.double()).to(weight.dtype)
    made = [
        embedding.new_empty(0) if gradient is None or of is None else gradient.to(of.dtype)
        for gradient, of in zip((loss.embedding, loss.context, loss.bias), (embedding, context, bias), strict=True)
    ]
    return total, made[0], made[1], made[2]


def _rows(embedding: Tensor, context: Tensor, bias: Tensor | None, target: CsrTarget, path: str, rows: int) -> Tensor:
    return _run(embedding, context, bias, target, target.row_sum, [False] * 3, path, rows).rows


def _run(
    embedding: Tensor,
    context: Tensor,
    bias: Tensor | None,
    target: CsrTarget,
    weight: Tensor,
    need: Sequence[bool],
    path: str,
    rows: int,
) -> GraphLoss:
    flags = {"need_embedding": need[0], "need_context": need[1], "need_bias": need[2]}
    with torch.autocast(embedding.device.type, enabled=False):
        if path == "flash":
            return _flash(embedding.detach(), context.detach(), bias, target, weight, **flags)
        x, c = embedding.to(target.dtype), context.to(target.dtype)
        b = None if bias is None else bias.to(target.dtype)
        return graph_loss(x, c, b, target, weight, rows=rows or None, **flags)


def _flash(
    x: Tensor,
    c: Tensor,
    bias: Tensor | None,
    target: CsrTarget,
    weight: Tensor,
    *,
    need_embedding: bool,
    need_context: bool,
    need_bias: bool,
) -> GraphLoss:
    """The same by kernels that keep no logits, four products when the context learns. As in chunked.py each row's pivot
    is left out of what the kernels sum, and put in exactly."""
    from .cuda import pivot_sums, pivot_transpose_average

    wide_x, wide_c = x.to(target.dtype), c.to(target.dtype)
    sums, average = pivot_sums(x, c, bias, target.pivot, average=need_embedding)
    rest = target.rest_matmul(wide_c)
    loss = flash_rows(target, sums) - torch.linalg.vecdot(wide_x, rest)
    if bias is not None:
        loss -= target.rest_matmul(bias.to(target.dtype)[:, None])[:, 0]
    mass, slope = weight * target.row_sum, pivot_slope(target, sums, weight)
    grad_embedding = grad_context = grad_bias = None
    if average is not None:
        grad_embedding = average.mul_(mass[:, None]).addcmul_(wide_c.index_select(0, target.pivot), slope[:, None])
        grad_embedding.addcmul_(rest, weight[:, None], value=-1)
    if need_context or need_bias:
        spread, column_mass = pivot_transpose_average(x, c, bias, target.pivot, sums, mass)
        entries = target.transposed_slopes(slope, weight)
        if need_context:
            grad_context = spread.add_(target.transposed_matmul(wide_x, entries))
        if need_bias:
            grad_bias = column_mass + target.transposed_matmul(torch.ones_like(weight)[:, None], entries)[:, 0]
    return GraphLoss(loss, grad_embedding, grad_context, grad_bias)


def flash_rows(target: PivotShares, sums: Any) -> Tensor:
    """r_i (lse_i - z_ik + (1 - t_i) z_ik), the loss but for the rest's logits, from the ``PivotSums`` of every row."""
    others, own, at_pivot, offset = sums
    relative = torch.where(others < own, torch.log1p(others / own), (own + others).log() + (offset - at_pivot))
    return row_losses(target, relative, at_pivot)


def pivot_slope(target: PivotShares, sums: Any, weight: Tensor) -> Tensor:
    """w_i (r_i p_ik - T_ik), the slope of the weighted loss at each row's pivot, of terms that do not cancel."""
    others, own, *_ = sums
    share = (own * target.rest_share - target.pivot_share * others) / (own + others)
    return weight * target.row_sum * share


def no_gradient(target: CsrTarget | Sequence[Tensor]) -> list[None] | None:
    """What stands for the target among the gradients: an operator wants one None for each tensor of its list."""
    return None if isinstance(target, CsrTarget) else [None] * len(target)


def _keep_gradients(ctx: Any, inputs: tuple[Any, ...], output: Pieces) -> None:
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[1:])
    ctx.need, ctx.biased, ctx.no_target = inputs[5], inputs[2] is not None, no_gradient(inputs[3])
    ctx.save_for_backward(*output[1:], *inputs[: 3 if ctx.biased else 2])


def _scale_gradients(ctx: Any, upstream: Tensor | None, *_: Tensor | None) -> Any:
    gradients, sources = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
    if upstream is None:
        return None, None, None, ctx.no_target, None, None, None, None
    made = tuple(
        scaled(gradient, upstream) if wanted else None for gradient, wanted in zip(gradients, ctx.need, strict=True)
    )
    return *differentiable_once(made, sources), ctx.no_target, None, None, None, None


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    embedding, context, bias, target, ctx.path, ctx.rows = inputs
    tensors = target.tensors() if isinstance(target, CsrTarget) else target
    ctx.biased, ctx.no_target = bias is not None, no_gradient(target)
    ctx.save_for_backward(embedding, context, *([bias] if ctx.biased else []), *tensors)


def _rows_backward(ctx: Any, upstream: Tensor) -> Any:
    embedding, context, *others = ctx.saved_tensors
    bias, target = (others[0], others[1:]) if ctx.biased else (None, others)
    need = list(ctx.needs_input_grad[:3])
    rest = (upstream.contiguous(), need, ctx.path, ctx.rows)
    with torch.no_grad():
        if ctx.no_target is None:
            gradients = _sum(embedding, context, bias, CsrTarget(*target), *rest)[1:]
        else:
            gradients = graph_sum(embedding, context, bias, target, *rest)[1:]
    made = tuple(tensor if wanted else None for tensor, wanted in zip(gradients, need, strict=True))
    return *differentiable_once(made, (embedding, context, bias, upstream)), ctx.no_target, None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Pieces:
        output = _sum(*inputs)
        _keep_gradients(ctx, inputs, output)
        return output

    backward = staticmethod(_scale_gradients)


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        output = _rows(*inputs)
        _keep_inputs(ctx, inputs, output)
        return output

    backward = staticmethod(_rows_backward)


@torch.library.custom_op("fiedler::graph_sum", mutates_args=())
def graph_sum(
    embedding: Tensor,
    context: Tensor,
    bias: Tensor | None,
    target: Sequence[Tensor],
    weight: Tensor,
    need: Sequence[bool],
    path: str,
    rows: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """sum_i w_i loss_i and its gradients, ``target`` the tensors of a CsrTarget: ``_sum`` for the compiler."""
    return _sum(embedding, context, bias, CsrTarget(*target), weight, need, path, rows)


@torch.library.custom_op("fiedler::graph_rows", mutates_args=())
def graph_rows(
    embedding: Tensor, context: Tensor, bias: Tensor | None, target: Sequence[Tensor], path: str, rows: int
) -> Tensor:
    """loss_i of every row before its weight, ``target`` the tensors of a CsrTarget: ``_rows`` for the compiler."""
    return _rows(embedding, context, bias, CsrTarget(*target), path, rows)


@graph_sum.register_fake
def _(
    embedding: Tensor,
    context: Tensor,
    bias: Tensor | None,
    target: Sequence[Tensor],
    weight: Tensor,
    need: Sequence[bool],
    path: str,
    rows: int,
) -> Pieces:
    made = [
        embedding.new_empty(0) if of is None or not wanted else of.new_empty(of.shape)
        for of, wanted in zip((embedding, context, bias), need, strict=True)
    ]
    return weight.new_empty(()), made[0], made[1], made[2]


@graph_rows.register_fake
def _(
    embedding: Tensor, context: Tensor, bias: Tensor | None, target: Sequence[Tensor], path: str, rows: int
) -> Tensor:
    return target[-1].new_empty(embedding.shape[0])


graph_sum.register_autograd(_scale_gradients, setup_context=_keep_gradients)
graph_rows.register_autograd(_rows_backward, setup_context=_keep_inputs)
