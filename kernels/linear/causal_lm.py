"""The training loss of a Hugging Face causal language model without its logits.

Runs the model's trunk, takes weight and bias of its output embedding, and computes the next-token cross-entropy from
the hidden states. Knows models by their interface only; nothing of ``transformers`` is imported.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..checks import LARGEST_INTEGER, check_flag, check_integer, check_optional_tensor, check_tensor, shown
from .cross_entropy import LinearCrossEntropyOutput, linear_cross_entropy
from .heads import hidden_states, output_head, text_config
from .own_loss import verify_head
from .wrapped_models import check_gathered, check_wrapping


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

    But for the trial the model's own forward does not run, nor do hooks on it. Among several processes
    (DistributedDataParallel, FSDP, ZeRO-3) compute this loss in the forward of a module that holds the model, and wrap
    that module:

        class Training(torch.nn.Module):
            def __init__(self, model):
                super().__init__()
                self.model = model

            def forward(self, input_ids, labels):
                return causal_lm_loss(self.model, input_ids, labels)

    Raises TypeError or ValueError for a model whose head cannot be honoured (``output_head``; with ``verify`` the
    model's own forward is tried on four tokens), whose loss has further terms, that is in a wrapper or held by
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
    if getattr(text_config(model), "output_router_logits", False):
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
    target = labels[:, 1:].to(hidden.device, torch.int64)
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
