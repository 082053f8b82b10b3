"""How a Hugging Face causal language model turns hidden states into logits: output embedding, scale and soft cap.

Models are known by their interface only; nothing of ``transformers`` is imported.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .wrapped_heads import called_head, check_plain

# Names in configs by which models multiply or divide their logits (Cohere, Falcon H1; Granite), and cap them (Gemma 2
# and 3; Recurrent Gemma).
SCALE_NAMES, DIVISOR_NAMES = ("logit_scale", "lm_head_multiplier"), ("logits_scaling",)
CAP_NAMES = ("final_logit_softcapping", "logits_soft_cap")


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
    config = text_config(model)
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


def text_config(model: torch.nn.Module) -> Any:
    """The config of the language model, also where it is a part of a larger one."""
    config = getattr(model, "config", None)
    inner = getattr(config, "get_text_config", None)
    return inner() if callable(inner) else config


def _number(config: Any, name: str) -> float | None:
    value = getattr(config, name, None)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
