"""The training loss of a Hugging Face causal language model without its logits.

Runs the model's trunk, takes weight and bias of its output embedding, and computes the next-token cross-entropy from
the hidden states. Knows models by their interface only; nothing of ``transformers`` is imported.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..checks import LARGEST_INTEGER, check_flag, check_integer, check_optional_tensor, check_tensor, shown
from .cross_entropy import LinearCrossEntropyOutput, linear_cross_entropy
from .dtensors import is_dtensor
from .wrapped_heads import called_head, check_plain
from .wrapped_models import check_gathered, check_wrapping

# Logits of the model and of ``output_head`` differ by the rounding of one product each; a transformation left out
# differs by far more. In units of the dtype's epsilon times the largest logit.
HEAD_TOLERANCE = 64.0
# Names in configs by which models multiply or divide their logits (Cohere; Granite), and cap them (Gemma 2 and 3).
SCALE_NAMES, DIVISOR_NAMES, CAP_NAMES = ("logit_scale",), ("logits_scaling",), ("final_logit_softcapping",)

_verified: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()


class OutputHead(NamedTuple):
    """How a model turns hidden states h into logits: c tanh(z / c), z = scale * (h W') + b, without the cap if None."""

    weight: Tensor
    bias: Tensor | None
    scale: float
    logit_softcap: float | None


def output_head(model: torch.nn.Module) -> OutputHead:
    """The head of a causal LM from its output embedding and its config.

    Raises TypeError for a model without a trunk and a linear output embedding, and for one whose output embedding does
    more than multiply (adapters, quantised weights); ValueError for a scale together with a bias.
    """
    if not callable(getattr(model, "get_output_embeddings", None)) or trunk(model) is model:
        raise TypeError(
            f"{type(model).__name__} is no Hugging Face causal LM with a head: want get_output_embeddings() and "
            "base_model; pass the model itself, not a wrapper of it"
        )
    embedding = model.get_output_embeddings()  # type: ignore[operator]
    if any(module is embedding for module in trunk(model).modules()):
        raise TypeError(
            f"base_model of {type(model).__name__} holds the output embedding, so it gives logits, not hidden "
            "states; if this is a PEFT model pass model.get_base_model(), which keeps LoRA's layers (but no prompts)"
        )
    embedding = called_head(embedding)
    check_plain(embedding, type(model).__name__)
    config = _text_config(model)
    scale = 1.0
    for name in SCALE_NAMES:
        scale *= float(_number(config, name) or 1.0)
    for name in DIVISOR_NAMES:
        scale /= float(_number(config, name) or 1.0)
    cap = next((float(c) for c in (_number(config, name) for name in CAP_NAMES) if c), None)
    if scale != 1.0 and embedding.bias is not None:
        raise ValueError(f"{type(model).__name__} scales logits that have a bias; scale {scale} cannot be honoured")
    return OutputHead(embedding.weight, embedding.bias, scale, cap)


def trunk(model: torch.nn.Module) -> torch.nn.Module:
    """The model without its head."""
    base = getattr(model, "base_model", model)
    return base if isinstance(base, torch.nn.Module) else model


def hidden_states(model: torch.nn.Module, input_ids: Tensor, **arguments: Any) -> Tensor:
    """The trunk's last hidden states (B, T, D)."""
    output = trunk(model)(input_ids=input_ids, **arguments)
    hidden = getattr(output, "last_hidden_state", None)
    return output[0] if hidden is None else hidden


def verify_head(model: torch.nn.Module, input_ids: Tensor) -> None:
    """Compare the model's own logits on the first two tokens with those of ``output_head``, once a model.

    Raises ValueError if they differ: the model does something to its hidden states or logits that this file does not
    know, and its loss would be silently wrong.
    """
    if model in _verified:
        return
    few, training = input_ids[:1, :2], {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad():
            theirs = model(input_ids=few).logits.double()
            hidden = hidden_states(model, few)
    finally:
        for module, state in training.items():
            module.training = state
    check_logits(model, hidden, theirs)
    _verified.add(model)


def check_logits(model: torch.nn.Module, hidden: Tensor, theirs: Tensor) -> None:
    """ValueError unless ``output_head`` turns the hidden states (B, T, D) into the model's own logits (B, T, V)."""
    head = output_head(model)
    with torch.no_grad():
        whole: list[Any] = [t.full_tensor() if is_dtensor(t) else t for t in head[:2]]  # type: ignore[union-attr]
        ours = torch.nn.functional.linear(hidden * head.scale, *whole).double()
        if head.logit_softcap is not None:
            ours = head.logit_softcap * torch.tanh(ours / head.logit_softcap)
        allowed = HEAD_TOLERANCE * torch.finfo(hidden.dtype).eps * float(theirs.abs().max())
        difference = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else float("inf")
    if not difference <= allowed:
        raise ValueError(
            f"the logits of {type(model).__name__} are not its hidden states times its output embedding: they differ "
            f"by {difference:.3g}, allowed {allowed:.3g}; compute its loss from its own logits"
        )


def causal_lm_loss(
    model: torch.nn.Module,
    input_ids: Tensor,
    labels: Tensor | None = None,
    attention_mask: Tensor | None = None,
    *,
    num_items_in_batch: int | Tensor | None = None,
    ignore_index: int = -100,
    trunk_arguments: dict[str, Any] | None = None,
    verify: bool = True,
    **options: Any,
) -> Tensor | LinearCrossEntropyOutput:
    """The next-token loss that ``model(input_ids, labels=labels).loss`` gives, its logits never stored.

    ``input_ids`` and ``labels`` (B, T) int64; position t predicts label t + 1, labels equal to ``ignore_index`` count
    for nothing. Without labels they are ``input_ids``, padding (zeros of ``attention_mask`` (B, T)) ignored.
    ``num_items_in_batch`` divides the sum in place of the number of labels, as trainers that accumulate gradients ask.
    ``trunk_arguments`` go to the trunk (position ids and the like); ``options`` to ``linear_cross_entropy``: z-loss,
    smoothing, ``return_accuracy`` and so on, with statistics per token (B, T - 1). A soft cap or a scale of the logits
    that the model's config names is applied. Autocast casts as in ``linear_cross_entropy``.

    The model's own forward does not run, nor do hooks on it. Among several processes (DistributedDataParallel, FSDP,
    ZeRO-3) compute this loss in the forward of a module that holds the model, and wrap that module:

        class Training(torch.nn.Module):
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, input_ids, labels):
                return causal_lm_loss(self.model, input_ids, labels)

    Raises TypeError or ValueError for a model whose head cannot be honoured (``output_head``; with ``verify`` the
    model's own logits are compared once, on two tokens), whose loss has further terms, that is in a wrapper or held by
    a DistributedDataParallel whose forward is not running, or whose output embedding is not whole on this process.
    """
    _check_batch(model, input_ids, labels, attention_mask)
    check_integer(ignore_index, "ignore_index", -LARGEST_INTEGER - 1)
    check_flag(verify, "verify")
    if isinstance(num_items_in_batch, Tensor):
        if check_tensor(num_items_in_batch, "num_items_in_batch").numel() != 1 or num_items_in_batch.is_complex():
            raise ValueError(f"num_items_in_batch must be one number; got {shown(num_items_in_batch)}")
    elif num_items_in_batch is not None:
        check_integer(num_items_in_batch, "num_items_in_batch", 1)
    if trunk_arguments is not None and not isinstance(trunk_arguments, dict):
        raise TypeError(f"trunk_arguments must be a dictionary of keywords; got {shown(trunk_arguments)}")
    if getattr(_text_config(model), "output_router_logits", False):
        raise ValueError("this model's loss has a router term; set config.output_router_logits = False, or add it")
    head = output_head(model)
    if options.get("vocab_parallel") is not True:
        check_gathered(head.weight, type(model).__name__)
    if verify and not torch.compiler.is_compiling() and input_ids.numel() > 0:
        verify_head(model, input_ids)
    if "logit_softcap" in options and head.logit_softcap is not None:
        raise ValueError(f"the model's config caps its logits at {head.logit_softcap}; leave logit_softcap out")
    if labels is None:
        labels = input_ids
        if attention_mask is not None:
            labels = labels.masked_fill(attention_mask == 0, ignore_index)
    arguments = dict(trunk_arguments or {})
    if attention_mask is not None:
        arguments["attention_mask"] = attention_mask
    hidden = hidden_states(model, input_ids, **arguments)[:, :-1]
    if head.scale != 1.0:
        hidden = hidden * head.scale
    options.setdefault("logit_softcap", head.logit_softcap)
    if num_items_in_batch is not None and options.setdefault("reduction", "sum") != "sum":
        raise ValueError(f"num_items_in_batch divides a sum; reduction is {options['reduction']!r}, leave it out")
    target = labels[:, 1:].to(hidden.device)
    result = linear_cross_entropy(hidden, head.weight, target, bias=head.bias, ignore_index=ignore_index, **options)
    if num_items_in_batch is None:
        return result
    if isinstance(result, LinearCrossEntropyOutput):
        return result._replace(loss=result.loss / num_items_in_batch)
    return result / num_items_in_batch


def _check_batch(
    model: torch.nn.Module, input_ids: Tensor, labels: Tensor | None, attention_mask: Tensor | None
) -> None:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}; pass the model itself")
    check_wrapping(model)
    check_tensor(input_ids, "input_ids")
    if input_ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"input_ids must be int64 token numbers, got {input_ids.dtype}; use input_ids.long()")
    for name, tensor in (("labels", labels), ("attention_mask", attention_mask)):
        check_optional_tensor(tensor, name)
    labels_shape = None if labels is None else tuple(labels.shape)
    if input_ids.dim() != 2 or (labels is not None and labels.shape != input_ids.shape):
        raise ValueError(f"input_ids and labels must be (B, T), got {tuple(input_ids.shape)} and {labels_shape}")
    if input_ids.shape[1] == 0 or (attention_mask is not None and attention_mask.shape != input_ids.shape):
        mask = None if attention_mask is None else tuple(attention_mask.shape)
        raise ValueError(f"input_ids and attention_mask must be (B, T), T > 0; got {tuple(input_ids.shape)} and {mask}")
    for name, tensor in (("labels", labels), ("attention_mask", attention_mask)):
        if tensor is not None and tensor.is_meta and not input_ids.is_meta:
            raise ValueError(f"{name} is on {tensor.device} and holds no data; give it values")
    find = getattr(model, "get_input_embeddings", None)
    vocabulary = getattr(find() if callable(find) else None, "num_embeddings", None)
    if vocabulary is None or input_ids.device.type != "cpu" or torch.compiler.is_compiling() or not input_ids.numel():
        return  # on a card tokens are not read back
    low, high = (int(bound) for bound in torch.aminmax(input_ids))
    if low < 0 or high >= vocabulary:
        raise ValueError(f"input_ids hold {low if low < 0 else high}, which is no token of the model's {vocabulary}")


def _text_config(model: torch.nn.Module) -> Any:
    config = getattr(model, "config", None)
    inner = getattr(config, "get_text_config", None)
    return inner() if callable(inner) else config


def _number(config: Any, name: str) -> float | None:
    value = getattr(config, name, None)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
