"""Linear cross-entropy as an operation of autograd: eagerly, and as ``fiedler::linear_cross_entropy`` for the compiler.

For a mean or a sum the gradients are computed with the loss and handed over in backward; a second backward, or a
gradient that flows into the log-sum-exp or the entropy, computes the logits anew.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..once import differentiable_once
from ..upstream import scale_in_place, scaled
from . import cpu as linear_cpu
from .options import Options
from .row_terms import ForwardResult, RowTerms, accumulation_dtype, check_targets, row_terms


@dataclass(frozen=True)
class Call:
    """What a call asks for besides its tensors. ``need``: gradients of input, weight, bias; ``defer``: compute them in
    backward only."""

    options: Options
    need: tuple[bool, bool, bool]
    defer: bool
    path: str
    chunk_rows: int | None


Outputs = tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]


def implementation(device: torch.device) -> ModuleType:
    """The module that runs on a device."""
    if device.type == "cpu":
        return linear_cpu
    if device.type == "cuda":
        from . import cuda as linear_triton

        return linear_triton
    raise ValueError(
        f'linear_cross_entropy runs on cpu and cuda, not on {device.type}; path="reference" runs on any device'
    )


def make_terms(
    call: Call, target: Tensor, input: Tensor, weight: Tensor, class_weight: Tensor | None, token_weight: Tensor | None
) -> RowTerms:
    """The terms of a call's rows; on the CPU ValueError for a target that is neither a class nor ignored."""
    classes = weight.shape[0]
    all_count = target.device.type == "cpu" and check_targets(target, call.options, classes)
    return row_terms(
        target,
        call.options,
        classes=classes,
        dtype=accumulation_dtype(input.dtype),
        class_weight=class_weight,
        token_weight=token_weight,
        all_count=all_count,
    )


def run_forward(call: Call, input: Tensor, weight: Tensor, bias: Tensor | None, terms: RowTerms) -> ForwardResult:
    """What the device's implementation computes, without gradients where they are deferred."""
    need = (False, False, False) if call.defer else call.need
    result: ForwardResult = implementation(input.device).forward(
        input,
        weight,
        bias,
        terms,
        call.options,
        need_input=need[0],
        need_weight=need[1],
        need_bias=need[2],
        chunk_rows=call.chunk_rows,
        path=call.path,
    )
    return result


def reduce_outputs(call: Call, result: ForwardResult, terms: RowTerms, target: Tensor) -> Outputs:
    """Loss as asked, lse, entropy and accuracy or None."""
    options = call.options
    if options.reduction == "none":
        loss = result.loss_rows
    else:
        loss = result.loss_rows.sum(dtype=torch.float64)
        if terms.divisor is not None:
            loss = loss / terms.divisor
        loss = loss.to(result.loss_rows.dtype)
    accuracy = None
    if result.correct is not None and options.return_accuracy:
        counted = target != options.ignore_index
        accuracy = (result.correct & counted).sum().float() / counted.sum()
    return loss, result.lse if options.return_lse else None, result.entropy, accuracy


def run_backward(
    call: Call,
    tensors: tuple[Tensor, Tensor, Tensor | None],
    terms: RowTerms,
    row_sums: Tensor | None,
    upstream: tuple[Tensor | None, Tensor | None, Tensor | None],
) -> Gradients:
    """Gradients by computing the logits anew; ``upstream`` of loss, lse and entropy as they were returned."""
    input, weight, bias = tensors
    grad_loss, grad_lse, grad_entropy = upstream
    if grad_loss is not None and call.options.reduction != "none":
        grad_loss = (grad_loss.to(terms.scale.dtype) * terms.scale).expand(input.shape[0])
    gradients: Gradients = implementation(input.device).backward(
        input,
        weight,
        bias,
        terms,
        call.options,
        row_sums,
        grad_loss,
        grad_lse,
        grad_entropy,
        need_input=call.need[0],
        need_weight=call.need[1],
        need_bias=call.need[2],
        chunk_rows=call.chunk_rows,
        path=call.path,
    )
    return gradients


class LinearCrossEntropyFunction(torch.autograd.Function):
    """(call, target, class_weight, token_weight, input, weight, bias) -> loss, lse, entropy, accuracy."""

    @staticmethod
    def forward(
        ctx: Any,
        call: Call,
        target: Tensor,
        class_weight: Tensor | None,
        token_weight: Tensor | None,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
    ) -> Outputs:
        """The outputs, and the gradients into them where they are not deferred."""
        terms = make_terms(call, target, input, weight, class_weight, token_weight)
        result = run_forward(call, input, weight, bias, terms)
        outputs = reduce_outputs(call, result, terms, target)
        ctx.set_materialize_grads(False)
        ctx.call, ctx.terms = call, terms
        # Held here rather than saved, so that backward can give the gradients away without a copy.
        ctx.gradients = None if call.defer else (result.grad_input, result.grad_weight, result.grad_bias)
        ctx.save_for_backward(input, weight, bias, result.row_sums)
        if outputs[3] is not None:
            ctx.mark_non_differentiable(outputs[3])
        return outputs

    @staticmethod
    def backward(
        ctx: Any, grad_loss: Tensor | None, grad_lse: Tensor | None, grad_entropy: Tensor | None, _: Any
    ) -> Any:
        """The stored gradients, given away at the first call, or new ones."""
        upstream = (grad_loss, grad_lse, grad_entropy)
        if all(g is None for g in upstream):
            return (None,) * 7
        with torch.no_grad():
            gradients, ctx.gradients = ctx.gradients, None
            if gradients is not None and grad_loss is not None and grad_lse is None and grad_entropy is None:
                gradients = tuple(None if g is None else scale_in_place(g, grad_loss) for g in gradients)
            else:
                gradients = None  # those of forward, if any, go before new ones are made
                input, weight, bias, row_sums = ctx.saved_tensors
                gradients = run_backward(ctx.call, (input, weight, bias), ctx.terms, row_sums, upstream)
        if torch.is_grad_enabled():  # create_graph=True: else the saved tensors are not asked for
            gradients = differentiable_once(gradients, (*ctx.saved_tensors, *upstream))
        return None, None, None, None, *gradients


_TENSORS = "Tensor input, Tensor weight, Tensor? bias, Tensor target, Tensor? class_weight, Tensor? token_weight"
_ARGUMENTS = (
    "SymInt ignore_index, str reduction, float label_smoothing, float? logit_softcap, float z_loss, bool return_lse, "
    "bool return_entropy, bool return_accuracy, bool[] need, bool defer, str path, SymInt? chunk_rows"
)


class Arguments(NamedTuple):
    """A call in the plain values that an operator's schema knows, in the schema's order."""

    ignore_index: int
    reduction: str
    label_smoothing: float
    logit_softcap: float | None
    z_loss: float
    return_lse: bool
    return_entropy: bool
    return_accuracy: bool
    need: list[bool]
    defer: bool
    path: str
    chunk_rows: int | None

    def call(self) -> Call:
        """The call that ``arguments_of`` took apart."""
        options = Options(**{field.name: getattr(self, field.name) for field in fields(Options)})
        return Call(options, (self.need[0], self.need[1], self.need[2]), self.defer, self.path, self.chunk_rows)


def arguments_of(call: Call) -> Arguments:
    """The arguments of the operator for ``call``, after its tensors."""
    o = call.options
    cap = None if o.logit_softcap is None else float(o.logit_softcap)
    return Arguments(
        o.ignore_index, o.reduction, float(o.label_smoothing), cap, float(o.z_loss), o.return_lse,
        o.return_entropy, o.return_accuracy, list(call.need), call.defer, call.path, call.chunk_rows,
    )  # fmt: skip


def _keeps_sums(call: Call | Arguments, input: Tensor) -> bool:
    """Whether the operator hands ``row_sums`` on: of a path that is chosen later the compiler cannot know the shape."""
    return call.path == "recompute" and input.device.type == "cuda"


def _or_empty(tensor: Tensor | None, like: Tensor) -> Tensor:
    return like.new_empty(0) if tensor is None else tensor.contiguous()


@torch.library.custom_op(
    "fiedler::linear_cross_entropy",
    mutates_args=(),
    schema=f"({_TENSORS}, {_ARGUMENTS}) -> ({', '.join(['Tensor'] * 8)})",
)
def linear_cross_entropy_op(
    input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, class_weight: Tensor | None,
    token_weight: Tensor | None, *arguments: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Loss, lse (always), entropy, accuracy, what ``recompute`` keeps for its backward, and the gradients of input,
    weight, bias; empty where there is none."""
    call = Arguments(*arguments).call()
    terms = make_terms(call, target, input, weight, class_weight, token_weight)
    result = run_forward(call, input, weight, bias, terms)
    loss, _, entropy, accuracy = reduce_outputs(call, result, terms, target)
    return (
        loss,
        result.lse.contiguous(),
        _or_empty(entropy, loss),
        _or_empty(accuracy, loss),
        _or_empty(result.row_sums if _keeps_sums(call, input) else None, loss),
        _or_empty(result.grad_input, input),
        _or_empty(result.grad_weight, weight),
        _or_empty(result.grad_bias, input),
    )


@linear_cross_entropy_op.register_fake
def _(input: Tensor, weight: Tensor, bias: Tensor | None, *rest: Any) -> tuple[Tensor, ...]:
    arguments = Arguments(*rest[3:])  # as they are: the compiler may stand symbols for numbers
    need = arguments.need
    wide = accumulation_dtype(input.dtype)
    rows = (input.shape[0],)

    def gradient(of: Tensor | None, needed: bool) -> Tensor:
        if of is None or not needed or arguments.defer:
            return (weight if of is weight else input).new_empty(0)
        return of.new_empty(of.shape)

    return (
        input.new_empty(rows if arguments.reduction == "none" else (), dtype=wide),
        input.new_empty(rows, dtype=wide),
        input.new_empty(rows if arguments.return_entropy else (0,), dtype=wide),
        input.new_empty((), dtype=torch.float32) if arguments.return_accuracy else input.new_empty(0, dtype=wide),
        input.new_empty((*rows, 2) if _keeps_sums(arguments, input) else (0,), dtype=wide),
        gradient(input, need[0]),
        gradient(weight, need[1]),
        gradient(bias, need[2]),
    )


@torch.library.custom_op(
    "fiedler::linear_cross_entropy_backward",
    mutates_args=(),
    schema=f"({_TENSORS}, Tensor row_sums, Tensor? grad_loss, Tensor? grad_lse, Tensor? grad_entropy, {_ARGUMENTS}) -> "
    "(Tensor, Tensor, Tensor)",
)
def linear_cross_entropy_backward_op(
    input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, class_weight: Tensor | None,
    token_weight: Tensor | None, row_sums: Tensor, grad_loss: Tensor | None, grad_lse: Tensor | None,
    grad_entropy: Tensor | None, *arguments: Any,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of input, weight and bias, the logits computed anew; empty where none is needed."""
    call = Arguments(*arguments).call()
    terms = make_terms(call, target, input, weight, class_weight, token_weight)
    known = row_sums if _keeps_sums(call, input) else None
    gradients = run_backward(call, (input, weight, bias), terms, known, (grad_loss, grad_lse, grad_entropy))
    return _or_empty(gradients[0], input), _or_empty(gradients[1], weight), _or_empty(gradients[2], input)


@linear_cross_entropy_backward_op.register_fake
def _(input: Tensor, weight: Tensor, bias: Tensor | None, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    need = Arguments(*rest[7:]).need
    return (
        input.new_empty(input.shape if need[0] else (0,)),
        weight.new_empty(weight.shape if need[1] else (0,)),
        input.new_empty(0) if bias is None or not need[2] else bias.new_empty(bias.shape),
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.arguments = Arguments(*inputs[6:])
    ctx.set_materialize_grads(False)
    asked = (True, ctx.arguments.return_lse, ctx.arguments.return_entropy)  # an empty output has no gradient
    ctx.mark_non_differentiable(*(out for out, on in zip(output, asked, strict=False) if not on), *output[3:])
    ctx.save_for_backward(*inputs[:6], *output[4:])


def _backward(ctx: Any, grad_loss: Tensor | None, grad_lse: Tensor | None, grad_entropy: Tensor | None, *_: Any) -> Any:
    *inputs, row_sums, grad_input, grad_weight, grad_bias = ctx.saved_tensors
    need, defer = ctx.arguments.need, ctx.arguments.defer
    gradients: Any
    if grad_loss is None and grad_lse is None and grad_entropy is None:
        gradients = (None, None, None)
    elif grad_loss is not None and grad_lse is None and grad_entropy is None and not defer:
        stored = (grad_input, grad_weight, grad_bias)
        gradients = (scaled(g, grad_loss) if n else None for g, n in zip(stored, need, strict=True))
    else:
        computed = linear_cross_entropy_backward_op(
            *inputs, row_sums, grad_loss, grad_lse, grad_entropy, *ctx.arguments
        )
        gradients = (g if n else None for g, n in zip(computed, need, strict=True))
    return (*gradients, *(None,) * (len(inputs) - 3 + len(ctx.arguments)))


linear_cross_entropy_op.register_autograd(_backward, setup_context=_setup_context)
