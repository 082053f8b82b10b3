"""Cross-entropy of a linear layer whose classes are spread over the processes of a group.

The loss of ``linear_cross_entropy`` (same formula, same options) where each process holds some rows of the weight and
all hold the same inputs and targets. Of each chunk of rows a process computes the logits of its own classes; what it
tells the others of them is four numbers a row and shard: an offset (the largest logit, or on a card the target's, which
all have told each other before), the sum of exponentials, the target's logit and the smoothing sum. The gradient of the
input is summed over the shards, that of the weight stays where it is.

    group = torch.distributed.group.WORLD
    loss = vocab_parallel_linear_cross_entropy(hidden, my_rows_of_the_weight, target, process_group=group)
    loss = vocab_parallel_linear_cross_entropy(hidden, weight_dtensor, target)      # DTensor, Shard(0)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ...checks import as_autocast, check_chunk_rows, check_optional_tensor, check_tensor, shown
from ...once import differentiable_once
from ...upstream import scaled
from ..options import Options
from ..row_terms import RowTerms, accumulation_dtype, check_targets, row_terms
from .layout import VocabLayout, gather_shards, gathered_layout, localize, reduce_shards, sum_shards
from .shard import PlainShard, Shard, ShardCall, ShardedRows

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
CHUNK_BYTES = 256 << 20  # of logits in the dtype of accumulation, for the largest shard
MIN_ROWS = 128


def vocab_parallel_linear_cross_entropy(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    process_group: Any = None,
    layout: VocabLayout | None = None,
    bias: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    logit_softcap: float | None = None,
    z_loss: float = 0.0,
    class_weight: Tensor | None = None,
    token_weight: Tensor | None = None,
    chunk_rows: int | None = None,
) -> Tensor:
    """Mean, sum or rows of the loss, the same on every process.

    ``input`` (..., D) and ``target`` (...) int64, counted over all V classes, alike on every process; ``weight``
    (classes here, D) and ``bias`` (classes here,), in rank order and of any sizes, or DTensors in ``Shard(0)`` over a
    one-dimensional mesh, which bring their group along; ``class_weight`` (V,) and ``token_weight`` (...) whole on every
    process. ``process_group``: the default group when None, this process alone if there is none. ``layout`` says how
    the classes are cut into shards, one for each process when None; without it sizes are exchanged at every call.
    ``chunk_rows``: rows of logits at a time, N x (classes here), on the CPU in float32; chosen from the layout when
    None.

    float32, float64, bfloat16, float16; sums in float32 (float64 for float64). Under autocast input, weight and bias
    are cast as for a linear layer, float64 ones not at all. Differentiable once in input, weight and bias; the same of
    them must want gradients on every process. Results depend on the shards, not on who holds them, and are the same
    bits every time. Every process must make the same calls: one that raises leaves the others waiting.

    Raises TypeError for dtypes and ValueError for shapes, devices, targets, options or a layout that do not fit; on a
    card a target that is no class gives NaN instead.
    """
    return vocab_parallel_loss(
        input,
        weight,
        target,
        Options(label_smoothing, logit_softcap, z_loss, ignore_index, reduction),
        process_group=process_group,
        layout=layout,
        bias=bias,
        class_weight=class_weight,
        token_weight=token_weight,
        chunk_rows=chunk_rows,
    )


def vocab_parallel_loss(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    options: Options,
    *,
    process_group: Any,
    layout: VocabLayout | None,
    bias: Tensor | None,
    class_weight: Tensor | None,
    token_weight: Tensor | None,
    chunk_rows: int | None,
) -> Tensor:
    """``vocab_parallel_linear_cross_entropy``, its options in one value. Raises what that raises."""
    check_chunk_rows(chunk_rows)
    for name, tensor in (("input", input), ("weight", weight), ("target", target)):
        check_tensor(tensor, name)
    for name, extra in (("bias", bias), ("class_weight", class_weight), ("token_weight", token_weight)):
        check_optional_tensor(extra, name)
    _check_group(process_group, layout)
    if weight.dim() != 2:
        raise ValueError(f"weight must be (classes here, D); got shape {tuple(weight.shape)}")
    weight, bias, input, process_group, layout = localize(weight, bias, input, process_group, layout)
    if process_group is None and dist.is_available() and dist.is_initialized():
        process_group = dist.group.WORLD
    input, weight, bias = as_autocast(input, weight, bias)
    if layout is None:
        layout = gathered_layout([weight.shape[0]], process_group, input.device)
    _check(input, weight, target, bias, class_weight, token_weight, layout, process_group)
    rows, labels = input.reshape(-1, input.shape[-1]), target.reshape(-1)
    if not input.is_cuda:  # on a card looking would wait: such a row's loss is NaN there
        check_targets(labels, options, layout.classes)
    dtype = accumulation_dtype(input.dtype)
    with torch.no_grad():
        terms = row_terms(
            labels,
            options,
            classes=layout.classes,
            dtype=dtype,
            class_weight=class_weight,
            token_weight=None if token_weight is None else token_weight.reshape(-1),
        )
    # The same on every process, and for every number of processes that share the layout.
    chunk = chunk_rows or _chunk_rows(rows, layout, dtype)
    grad = torch.is_grad_enabled()
    need = tuple(grad and tensor is not None and tensor.requires_grad for tensor in (rows, weight, bias))
    call = ShardCall(options, layout, process_group, min(chunk, max(1, len(rows))), need)
    losses = _Loss.apply(call, terms, rows, weight, bias)
    return losses.view(target.shape) if options.reduction == "none" else losses


def _check_group(group: Any, layout: VocabLayout | None) -> None:
    if layout is not None and not isinstance(layout, VocabLayout):
        raise TypeError(f"layout must be a VocabLayout; got {shown(layout)}; make one with even_layout")
    if group is not None and not (dist.is_available() and isinstance(group, dist.ProcessGroup)):
        raise TypeError(f"process_group must be a group of torch.distributed; got {shown(group)}")


def _check(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None,
    class_weight: Tensor | None,
    token_weight: Tensor | None,
    layout: VocabLayout,
    group: Any,
) -> None:
    if input.dtype not in DTYPES:
        raise TypeError(f"input must be float32, bfloat16, float16 or float64, got {input.dtype}")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor.dtype != input.dtype:
            raise TypeError(f"{name} is {tensor.dtype}, input {input.dtype}; convert one of them, or use autocast")
    if target.dtype != torch.int64:
        raise TypeError(f"target must be int64 class indices, got {target.dtype}; use target.long()")
    if weight.dim() != 2 or input.dim() == 0 or weight.shape[1] != input.shape[-1] or weight.shape[1] == 0:
        raise ValueError(
            f"input {tuple(input.shape)} and weight {tuple(weight.shape)} do not fit: want (..., D), (classes here, D)"
        )
    if input.device.type not in ("cpu", "cuda"):
        raise ValueError(f"the loss runs on cpu and cuda, not on {input.device.type}; move the tensors")
    processes = 1 if group is None else dist.get_world_size(group)
    rank = 0 if group is None else dist.get_rank(group)
    if (len(layout.counts), layout.rank) != (processes, rank) or layout.local_classes != weight.shape[0]:
        raise ValueError(
            f"the layout has {layout.local_classes} classes on process {layout.rank} of {len(layout.counts)}; here is "
            f"process {rank} of {processes} with {weight.shape[0]} rows of weight"
        )
    for name, tensor, shape in (
        ("target", target, input.shape[:-1]),
        ("bias", bias, weight.shape[:1]),
        ("class_weight", class_weight, (layout.classes,)),
        ("token_weight", token_weight, target.shape),
    ):
        if tensor is not None and tuple(tensor.shape) != tuple(shape):
            raise ValueError(f"{name} must have shape {tuple(shape)}, got {tuple(tensor.shape)}")
    for name, tensor in (
        ("weight", weight),
        ("target", target),
        ("bias", bias),
        ("class_weight", class_weight),
        ("token_weight", token_weight),
    ):
        if tensor is not None and tensor.device != input.device:
            raise ValueError(f"{name} is on {tensor.device}, input on {input.device}; move one of them")
    for name, tensor in (("class_weight", class_weight), ("token_weight", token_weight)):
        if tensor is not None and not tensor.is_floating_point():
            raise TypeError(f"{name} must be floating point, got {tensor.dtype}")
        if tensor is not None and tensor.requires_grad and torch.is_grad_enabled():
            raise ValueError(f"{name} is a constant of the loss; pass {name}.detach()")


class _Loss(torch.autograd.Function):
    """A mean or a sum brings its gradients along; single rows compute them in backward, at weights known by then."""

    @staticmethod
    def forward(
        ctx: Any, call: ShardCall, terms: RowTerms, input: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        late = call.options.reduction == "none"
        need = (False,) * 3 if late else call.need
        losses, *gradients = _run(call, terms, input, weight, bias, terms.scale.expand(len(input)), need)
        ctx.call, ctx.terms, ctx.gradients = call, terms, gradients
        ctx.save_for_backward(input, weight, bias)
        if late:
            return losses
        return losses.sum() if terms.divisor is None else losses.sum() / terms.divisor

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        call, sources = ctx.call, ctx.saved_tensors
        with torch.no_grad():
            if call.options.reduction == "none":
                x, weight, bias = sources
                gradients = _run(call, ctx.terms, x, weight, bias, upstream.contiguous(), call.need)[1:]
            else:
                x, weight, bias = (None if g is None else scaled(g, upstream) for g in ctx.gradients)
                gradients = x, weight, bias
        return None, None, *differentiable_once(gradients, (*sources, upstream))


def _run(
    call: ShardCall,
    terms: RowTerms,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    upstream: Tensor,
    need: tuple[bool, ...],
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The loss of every row, and the gradients of sum_i upstream_i l_i that are needed."""
    with torch.autocast(input.device.type, enabled=False):
        layout, dtype = call.layout, upstream.dtype
        losses = torch.empty(len(input), dtype=dtype, device=input.device)
        shards, factor = _shards(call, terms, input, weight, bias, need), None
        if any(need) and on_card(input):
            from ..cuda_task import normalised

            factor = normalised(upstream * terms.row_weight, None, None, input.dtype).factor
            upstream = upstream if factor is None else upstream / factor
        grad_input = torch.empty_like(input) if need[0] else None
        for start in range(0, len(input), call.chunk_rows):
            chunk = slice(start, start + call.chunk_rows)
            x = input[chunk].contiguous()
            row_numbers = x.new_empty(len(shards), 4, len(x), dtype=dtype)
            for shard, numbers in zip(shards, row_numbers, strict=True):
                shard.exponentials(x, chunk, numbers)
            row = ShardedRows.of(gather_shards(row_numbers, layout, call.group), terms, call.options, chunk)
            losses[chunk] = row.loss
            if not any(need):
                continue
            parts = x.new_empty(len(shards), *x.shape, dtype=dtype)
            for shard, part in zip(shards, parts, strict=True):
                shard.add_gradients(x, chunk, row, upstream[chunk], part)
            if grad_input is not None:
                summed = reduce_shards(parts, layout, call.group)
                grad_input[chunk] = summed if factor is None else summed.mul_(factor)
        made: list[Tensor | None] = []
        for wanted, like, name in ((need[1], weight, "grad_weight"), (need[2], bias, "grad_bias")):
            if not wanted or like is None:
                made.append(None)
                continue
            gradients = [getattr(shard, name) for shard in shards]
            joined = gradients[0] if len(gradients) == 1 else torch.cat([like[:0].to(dtype), *gradients])
            made.append((joined if factor is None else joined.mul_(factor)).to(like.dtype))
        return losses, grad_input, made[0], made[1]


def _chunk_rows(input: Tensor, layout: VocabLayout, dtype: torch.dtype) -> int:
    largest = max(layout.sizes)
    if on_card(input):
        from ..cuda_plan import block_rows

        return block_rows("chunked", len(input), largest, input.element_size())
    return max(MIN_ROWS, CHUNK_BYTES // (largest * torch.finfo(dtype).bits // 8))


def on_card(input: Tensor) -> bool:
    """Whether kernels serve the shards; PyTorch's operations do elsewhere and for float64."""
    return input.is_cuda and input.dtype != torch.float64


def _shards(
    call: ShardCall, terms: RowTerms, input: Tensor, weight: Tensor, bias: Tensor | None, need: tuple[bool, ...]
) -> Sequence[Shard]:
    """The shards here; those on a card know the targets' logits, which one of all shards has."""
    pieces, first = [], 0
    for index in call.layout.local:
        rows = slice(first, first + call.layout.sizes[index])
        pieces.append((call, terms, weight[rows], None if bias is None else bias[rows], index, need))
        first = rows.stop
    if not on_card(input):
        return [PlainShard(*piece) for piece in pieces]
    from .card_shard import CardShard

    cards = [CardShard(*piece) for piece in pieces]
    here = input.new_empty(len(cards), len(input), dtype=torch.float32)
    for card, logits in zip(cards, here, strict=True):
        card.target_logits(input, logits)
    exact = sum_shards(gather_shards(here, call.layout, call.group))
    for card in cards:
        card.exact = exact
    return cards
