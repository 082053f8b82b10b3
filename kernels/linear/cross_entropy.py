"""Cross-entropy of a linear layer's outputs, without the N x V array of logits.

    z = x W' + b            (soft cap c: z <- c tanh(z / c))
    lse_i = log sum_j exp(z_ij)
    ce_i = (1 - e) w_y (lse_i - z_iy) + (e / V) sum_c w_c (lse_i - z_ic)
    l_i = t_i [ ce_i + z_loss lse_i^2 ]

with label smoothing e, class weights w, token weights t (0 for ignored rows), y the target of row i, V classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..checks import as_autocast, check_chunk_rows, check_flag, check_optional_tensor, check_tensor
from . import cpu as linear_cpu
from .autograd import (
    Call,
    LinearCrossEntropyFunction,
    arguments_of,
    implementation,
    linear_cross_entropy_op,
    make_terms,
    reduce_outputs,
    run_forward,
)
from .dtensors import PLAIN_TENSORS, is_dtensor, local_parameter, local_rows
from .options import Options, Plan, check_path
from .reference import linear_cross_entropy_reference
from .row_terms import check_targets

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


class LinearCrossEntropyOutput(NamedTuple):
    """``loss``; ``lse`` and ``entropy`` per token in the shape of the targets, ``accuracy`` a float32 scalar: None
    where not asked for."""

    loss: Tensor
    lse: Tensor | None
    entropy: Tensor | None
    accuracy: Tensor | None


def linear_cross_entropy(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    bias: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    logit_softcap: float | None = None,
    z_loss: float = 0.0,
    class_weight: Tensor | None = None,
    token_weight: Tensor | None = None,
    return_lse: bool = False,
    return_entropy: bool = False,
    return_accuracy: bool = False,
    path: str = "auto",
    chunk_rows: int | None = None,
    vocab_parallel: bool = False,
) -> Tensor | LinearCrossEntropyOutput:
    """The loss of the module's formula; every option works with every other.

    Shapes: ``input`` (..., D), ``weight`` (V, D), ``target`` (...) int64, ``bias`` and ``class_weight`` (V,),
    ``token_weight`` (...), of any strides. Dtypes: input, weight and bias share one of float32, bfloat16, float16 and
    float64; logits, sums and the weight's gradient are kept in float32 (float64 for float64), and so are the loss and
    what else is returned, whatever the input's dtype. Under ``torch.autocast`` input, weight and bias are cast as
    ``torch.nn.functional.linear`` casts them, float64 ones not at all.

    Reductions: "mean" divides sum_i l_i by sum_i t_i w_y over the rows that are not ignored, "sum" does not, "none"
    returns l_i in the shape of the targets. If nothing counts, the mean is NaN and its gradients are zero.

    Returns the loss, or a ``LinearCrossEntropyOutput`` if any ``return_*`` is set: ``lse`` and ``entropy`` are
    differentiable; ``accuracy`` is the fraction of rows not ignored whose target no other logit exceeds.

    Gradients of input, weight and bias are computed with a mean or a sum, three matrix products in all; for "none", for
    float16 (whose range the upstream factor must reach first), with ``path="recompute"``, in a second backward, and
    for gradients into lse or entropy, backward computes the logits anew: a fourth product. ``class_weight`` and
    ``token_weight`` are constants. Differentiating twice needs ``path="reference"``, which stores the logits.

    ``path`` and ``chunk_rows`` choose how it is computed, never what: see ``linear_cross_entropy_plan``.

    Each process computes the loss of its own rows. DTensors in ``Replicate`` are taken as plain tensors; the gradient
    of a weight or bias is then averaged over its mesh in backward, unless the input is a replicated DTensor too. With
    ``vocab_parallel=True`` weight and bias are DTensors in ``Shard(0)`` whose processes all hold the same input, and
    ``vocab_parallel_linear_cross_entropy``, which has one path and no ``return_*``, computes the one loss of all.

    Raises TypeError or ValueError naming the argument for dtypes, shapes, devices, options and placements that do not
    fit (a layer sharded by FSDP outside its forward among them), and on the CPU for a target that is neither a class
    nor ``ignore_index``. On a GPU targets are not read back: a row with such a target has loss NaN there
    (``check_targets`` looks, and waits for the device).

    >>> import torch
    >>> from fiedler.kernels import linear_cross_entropy
    >>> hidden, weight = torch.eye(3), torch.zeros(5, 3, requires_grad=True)  # three tokens, a vocabulary of five
    >>> loss = linear_cross_entropy(hidden, weight, torch.tensor([0, 4, -100]))
    >>> round(loss.item(), 4)  # log 5, over the two tokens that count
    1.6094
    >>> loss.backward()
    >>> weight.grad[:, 2].abs().sum().item()  # nothing from the ignored one
    0.0
    """
    options = Options(
        label_smoothing=label_smoothing,
        logit_softcap=logit_softcap,
        z_loss=z_loss,
        ignore_index=ignore_index,
        reduction=reduction,
        return_lse=return_lse,
        return_entropy=return_entropy,
        return_accuracy=return_accuracy,
    )
    return loss_with_options(
        input,
        weight,
        target,
        options,
        bias=bias,
        class_weight=class_weight,
        token_weight=token_weight,
        path=path,
        chunk_rows=chunk_rows,
        vocab_parallel=vocab_parallel,
    )


def loss_with_options(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    options: Options,
    *,
    bias: Tensor | None,
    class_weight: Tensor | None,
    token_weight: Tensor | None,
    path: str,
    chunk_rows: int | None,
    vocab_parallel: bool = False,
) -> Tensor | LinearCrossEntropyOutput:
    """``linear_cross_entropy``, its options in one value. Raises what that raises."""
    check_path(path)
    check_chunk_rows(chunk_rows)
    for name, tensor in (("input", input), ("weight", weight), ("target", target)):
        check_tensor(tensor, name)
    for name, extra in (("bias", bias), ("class_weight", class_weight), ("token_weight", token_weight)):
        check_optional_tensor(extra, name)
    check_flag(vocab_parallel, "vocab_parallel")
    if vocab_parallel:
        return _over_shards(
            input, weight, target, options, bias, class_weight, token_weight, path=path, chunk_rows=chunk_rows
        )
    same_input = is_dtensor(input)
    input, target = local_rows(input, "input"), local_rows(target, "target")
    weight = local_parameter(weight, "weight", same_input=same_input)
    bias = bias if bias is None else local_parameter(bias, "bias", same_input=same_input)
    class_weight = class_weight if class_weight is None else local_rows(class_weight, "class_weight")
    token_weight = token_weight if token_weight is None else local_rows(token_weight, "token_weight")
    input, weight, bias = as_autocast(input, weight, bias)
    check_tensors(input, weight, target, bias, class_weight, token_weight)
    shape = target.shape
    rows = input.reshape(-1, input.shape[-1])
    target = target.reshape(-1)
    token_weight = None if token_weight is None else token_weight.reshape(-1)
    outputs: tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]
    if path == "reference":
        outputs = _reference(rows, weight, bias, target, class_weight, token_weight, options)
    else:
        outputs = _fused(rows, weight, bias, target, class_weight, token_weight, options, path, chunk_rows)
    loss, lse, entropy, accuracy = outputs
    if options.reduction == "none":
        loss = loss.reshape(shape)
    if not options.returns_statistics:
        return loss
    return LinearCrossEntropyOutput(
        loss,
        lse.reshape(shape) if options.return_lse and lse is not None else None,
        entropy.reshape(shape) if options.return_entropy and entropy is not None else None,
        accuracy if options.return_accuracy else None,
    )


def linear_cross_entropy_plan(
    input: Tensor,
    weight: Tensor,
    *,
    path: str = "auto",
    chunk_rows: int | None = None,
    **options: Any,
) -> Plan:
    """Which way ``linear_cross_entropy`` would go for these shapes, dtypes and device; nothing is computed.

    ``options`` are the fields of ``Options`` (reduction, label_smoothing and so on).

    On the CPU the paths are "chunked" (gradients with the loss), "recompute" (gradients in backward, less memory held
    between) and "reference" (full logits); "sweep", "exponential" and "flash" are CUDA's. Raises ValueError for a path
    that the device does not have.
    """
    chosen = Options(**options)
    check_path(path)
    check_chunk_rows(chunk_rows)
    check_tensor(input, "input"), check_tensor(weight, "weight")
    input, weight = as_autocast(input, weight)
    _check_pair(input, weight)
    rows, width, classes = input.numel() // max(input.shape[-1], 1), input.shape[-1], weight.shape[0]
    if path == "reference":
        wide = max(input.dtype.itemsize, 4)
        return Plan(path, max(rows, 1), 3 * rows * classes * wide, "asked for: full logits and autograd")
    if input.device.type == "cuda":
        plan: Plan = implementation(input.device).plan(input, weight, chosen, path=path, chunk_rows=chunk_rows)
        return plan
    implementation(input.device)
    _check_cpu_path(path)
    rows_each = min(chunk_rows or linear_cpu.default_chunk_rows(rows, width, classes), max(rows, 1))
    memory = linear_cpu.workspace_bytes(rows, width, classes, input.dtype, rows_each)
    if path != "auto":
        return Plan(path, rows_each, memory, "asked for")
    reason = _why_deferred(chosen, input.dtype)
    if reason is not None:
        return Plan("recompute", rows_each, memory, reason)
    return Plan("chunked", rows_each, memory, "gradients in the pass that computes the loss: three matrix products")


def _why_deferred(options: Options, dtype: torch.dtype) -> str | None:
    """Why path "auto" leaves the gradients to backward, or None if it does not."""
    if options.reduction == "none":
        return 'reduction "none": the gradient of each row is known only in backward'
    if dtype == torch.float16:
        return "float16: the upstream factor (loss scaling) has to come in before rounding"
    return None


def _check_cpu_path(path: str) -> None:
    if path in ("sweep", "exponential", "flash"):
        raise ValueError(f'path="{path}" runs on CUDA only; on the CPU use "auto", "chunked", "recompute", "reference"')


def check_tensors(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None,
    class_weight: Tensor | None,
    token_weight: Tensor | None,
) -> None:
    """Shapes, dtypes and devices; the values are not read."""
    if target.dtype != torch.int64:
        raise TypeError(f"target must be int64 class indices, got {target.dtype}; use target.long()")
    _check_pair(input, weight)
    if target.shape != input.shape[:-1]:
        raise ValueError(
            f"target has shape {tuple(target.shape)}; input {tuple(input.shape)} wants {tuple(input.shape[:-1])}"
        )
    device = input.device
    for name, tensor, shape, same in (
        ("target", target, None, False),
        ("bias", bias, weight.shape[:1], True),
        ("class_weight", class_weight, weight.shape[:1], False),
        ("token_weight", token_weight, target.shape, False),
    ):
        if tensor is None:
            continue
        if tensor.device != device:
            raise ValueError(f"{name} is on {tensor.device}, input on {device}; move one of them")
        if same and tensor.dtype != input.dtype:
            raise TypeError(f"{name} is {tensor.dtype}, input {input.dtype}; convert one of them, or use autocast")
        if shape is None:
            continue
        if tensor.shape != shape:
            raise ValueError(f"{name} must have shape {tuple(shape)}, got {tuple(tensor.shape)}")
        if not same:
            if not tensor.is_floating_point():
                raise TypeError(f"{name} must be floating point, got {tensor.dtype}")
            if tensor.requires_grad and torch.is_grad_enabled():
                raise ValueError(f"{name} is a constant of the loss; pass {name}.detach()")


def _check_pair(input: Tensor, weight: Tensor) -> None:
    if input.dtype not in DTYPES:
        raise TypeError(f"input must be float32, bfloat16, float16 or float64, got {input.dtype}")
    if weight.dim() != 2 or input.dim() == 0 or weight.shape[1] != input.shape[-1] or 0 in weight.shape:
        raise ValueError(
            f"input {tuple(input.shape)} and weight {tuple(weight.shape)} do not fit: want (..., D) and (V, D), "
            "D and V at least 1"
        )
    if weight.device != input.device:
        raise ValueError(f"weight is on {weight.device}, input on {input.device}; move one of them")
    if weight.dtype != input.dtype:
        raise TypeError(f"weight is {weight.dtype}, input {input.dtype}; convert one of them, or use autocast")


def _fused(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    class_weight: Tensor | None,
    token_weight: Tensor | None,
    options: Options,
    path: str,
    chunk_rows: int | None,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    if input.device.type == "cpu":
        _check_cpu_path(path)
    differentiate = torch.is_grad_enabled()
    need = (
        differentiate and input.requires_grad,
        differentiate and weight.requires_grad,
        differentiate and bias is not None and bias.requires_grad,
    )
    defer = path == "recompute" or options.reduction == "none"
    defer = defer or (path == "auto" and _why_deferred(options, input.dtype) is not None)
    call = Call(options, need, defer, path, chunk_rows)
    if torch.compiler.is_compiling() or not (type(input) in PLAIN_TENSORS and type(weight) in PLAIN_TENSORS):
        loss, lse, entropy, accuracy, *_ = linear_cross_entropy_op(
            input, weight, bias, target, class_weight, token_weight, *arguments_of(call)
        )
        return loss, lse, entropy, accuracy
    if any(need):
        return LinearCrossEntropyFunction.apply(call, target, class_weight, token_weight, input, weight, bias)
    terms = make_terms(call, target, input, weight, class_weight, token_weight)
    return reduce_outputs(call, run_forward(call, input, weight, bias, terms), terms, target)


def _over_shards(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    options: Options,
    bias: Tensor | None,
    class_weight: Tensor | None,
    token_weight: Tensor | None,
    *,
    path: str,
    chunk_rows: int | None,
) -> Tensor:
    if not is_dtensor(weight):
        raise ValueError(
            "vocab_parallel=True wants a weight that is a DTensor in Shard(0), got a plain tensor: for plain rows "
            "of the weight call vocab_parallel_linear_cross_entropy with their process_group"
        )
    if options.returns_statistics or path != "auto":
        raise ValueError(
            'vocab_parallel=True has path="auto" only and no return_lse, return_entropy or return_accuracy: leave '
            "them out"
        )
    from .vocabulary.parallel import vocab_parallel_loss

    return vocab_parallel_loss(
        input,
        weight,
        target,
        options,
        process_group=None,
        layout=None,
        bias=bias,
        class_weight=class_weight,
        token_weight=token_weight,
        chunk_rows=chunk_rows,
    )


def _reference(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    class_weight: Tensor | None,
    token_weight: Tensor | None,
    options: Options,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if not torch.compiler.is_compiling():
        check_targets(target, options, weight.shape[0])
    with torch.autocast(input.device.type, enabled=False):
        result = linear_cross_entropy_reference(
            input, weight, target, options, bias=bias, class_weight=class_weight, token_weight=token_weight
        )
    counted = target != options.ignore_index
    accuracy = (result.correct & counted).sum().float() / counted.sum()
    return result.loss, result.lse, result.entropy, accuracy
