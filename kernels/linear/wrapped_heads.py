"""Output embeddings in wrappers of PEFT, known by their interface; nothing of ``peft`` is imported.

A head in ``modules_to_save`` is in a wrapper that hands its call on to one of several linear layers: the model's own or
the copy that an adapter trains. Any other wrapper (LoRA on the head, trainable tokens of a tied embedding) adds to the
product of the head, and is none of what this package can compute.
"""

from __future__ import annotations

from typing import Any

import torch


def called_head(embedding: Any) -> Any:
    """The layer that a call of the output embedding goes to: itself, unless adapters have copies of it."""
    saved = getattr(embedding, "modules_to_save", None)
    if not isinstance(saved, torch.nn.ModuleDict):
        return embedding
    active = embedding.active_adapters
    if embedding.disable_adapters or not active or any(name not in saved for name in active):
        return embedding.original_module
    return saved[active[0]]


def every_head(embedding: Any) -> list[Any]:
    """The plain linear layers that calls of the output embedding go to, with one adapter or another."""
    saved = getattr(embedding, "modules_to_save", None)
    if not isinstance(saved, torch.nn.ModuleDict):
        return [embedding]
    return [layer for layer in (embedding.original_module, *saved.values()) if is_plain(layer)]


def is_plain(layer: Any) -> bool:
    """Whether a call of the layer is that of ``torch.nn.Linear``; that of a patched head wraps it."""
    forward = getattr(type(layer), "forward", None)
    return getattr(forward, "__wrapped__", forward) is torch.nn.Linear.forward


def check_plain(layer: Any, name: str) -> None:
    """TypeError unless the output embedding of the model ``name`` is a plain linear layer."""
    if is_plain(layer):
        return
    kind, remedy = type(layer).__name__, "merge adapters and dequantise it first"
    if type(layer).__module__.partition(".")[0] == "peft":
        kind += " of PEFT"
        remedy = (
            "an adapter on the head (by target_modules, or by trainable_token_indices where it is tied) is not fused: "
            "leave it out, train the head whole by modules_to_save, or merge the adapter"
        )
    raise TypeError(f"the output embedding of {name} is {kind}, not a plain torch.nn.Linear; {remedy}")
