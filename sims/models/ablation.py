"""Parts of a Hugging Face causal LM taken out or held fixed: what the ablations of arXiv 2510.26745 switch.

Works on the modules of a built model by their roles (norm, attention, position table or rotary embedding), which are
found by name in GPT-2, GPT-NeoX, Llama and the many architectures that name them alike, and in Mamba.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .switches import Switches

ATTENTION_NAMES = ("attn", "self_attn", "attention")
PERCEPTRON_NAMES = ("mlp",)
POSITION_TABLES = ("wpe", "embed_positions")
# The norm a sublayer reads its input through, by the names the architectures use.
ATTENTION_NORMS = ("ln_1", "input_layernorm")
PERCEPTRON_NORMS = ("ln_2", "post_attention_layernorm")
# Blocks with these also normalise what a sublayer returns, which the sum with the input comes after.
OUTPUT_NORMS = ("pre_feedforward_layernorm", "post_feedforward_layernorm")


def apply_switches(model: nn.Module, switches: Switches) -> None:
    """Change ``model`` in place; ``tied`` is a matter of its config and left to ``build_causal_lm``.

    Raises ValueError for a part the architecture does not have or this does not find in it.
    """
    if not switches.residual:
        _drop_residuals(model)
    if not switches.attention:
        _drop(model, ATTENTION_NAMES, _Zero, "attention")
    if not switches.perceptron:
        _drop(model, PERCEPTRON_NAMES, _ZeroPerceptron, "perceptron")
    if not switches.positions:
        _drop_positions(model)
    if not switches.layer_norm:
        _drop_norms(model)
    if not switches.biases:
        _fix_biases(model)
    if switches.frozen:
        for weight in embedding_weights(model):
            weight.requires_grad_(False)


def embedding_weights(model: Any) -> list[nn.Parameter]:
    """The token embedding and the output embedding: one parameter when tied."""
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return [embedding] if head is embedding else [embedding, head]


def position_tables(model: nn.Module) -> list[Any]:
    """The learned embeddings of positions, of which rotary models have none."""
    return [module for _, name, module in _children(model) if name in POSITION_TABLES]


class _Zero(nn.Module):
    """An attention that adds nothing: (zeros, None), as the blocks expect."""

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        return torch.zeros_like(hidden_states), None


class _ZeroPerceptron(nn.Module):
    """A perceptron that adds nothing."""

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        return torch.zeros_like(hidden_states)


class _NoRotation(nn.Module):
    """A rotary embedding that turns nothing: the wrapped one's shapes with cosine one and sine zero."""

    def __init__(self, rotary: nn.Module) -> None:
        super().__init__()
        self.rotary = rotary

    def forward(self, *arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
        cosine, sine = self.rotary(*arguments, **options)
        return torch.ones_like(cosine), torch.zeros_like(sine)


class _Remembering(nn.Module):
    """A norm that keeps its last input, for the sublayer after it."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.seen: Tensor = torch.empty(0)

    def forward(self, hidden_states: Tensor) -> Tensor:
        self.seen = hidden_states
        return self.norm(hidden_states)

    @property
    def weight(self) -> Any:  # Mamba's block reads the dtype of its norm
        return self.norm.weight


class _Without(nn.Module):
    """A sublayer less the input of the block's norm, so that the block's own sum leaves only what it computes (exact
    but for the rounding of that sum)."""

    def __init__(self, sublayer: nn.Module, norm: _Remembering) -> None:
        super().__init__()
        self.sublayer = sublayer
        self._norm = (norm,)  # in a tuple, so that its weights are not counted twice

    def forward(self, *arguments: Any, **options: Any) -> Any:
        out = self.sublayer(*arguments, **options)
        seen = self._norm[0].seen
        return (out[0] - seen, *out[1:]) if isinstance(out, tuple) else out - seen


def _drop_norms(model: nn.Module) -> None:
    count = 0
    for parent, name, module in list(_children(model)):
        if isinstance(module, nn.LayerNorm) or type(module).__name__.endswith(("RMSNorm", "LayerNorm")):
            setattr(parent, name, _Identity(module))
            count += 1
    if not count:
        raise _missing(model, "norm", "layer_norm")


class _Identity(nn.Module):
    """The identity where a norm was, with its dtype for blocks that ask."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        dtype = next(norm.parameters()).dtype
        self.register_buffer("weight", torch.ones((), dtype=dtype), persistent=False)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return hidden_states


def _drop(model: nn.Module, names: tuple[str, ...], nothing: type[nn.Module], part: str) -> None:
    found = [(parent, name) for parent, name, _ in _children(model) if name in names]
    if not found:
        raise _missing(model, part, part)
    for parent, name in found:
        setattr(parent, name, nothing())


def _fix_biases(model: nn.Module) -> None:
    found = [value for name, value in model.named_parameters() if name.rpartition(".")[2] == "bias"]
    if not found:
        raise _missing(model, "bias", "biases")
    with torch.no_grad():
        for bias in found:
            bias.zero_()
            bias.requires_grad_(False)


def _drop_positions(model: nn.Module) -> None:
    tables = position_tables(model)
    rotaries = [(parent, name, module) for parent, name, module in _children(model) if "rotary_emb" in name]
    if not tables and not rotaries:
        raise _missing(model, "position table or rotary embedding", "positions")
    for table in tables:
        with torch.no_grad():
            table.weight.zero_()
        table.weight.requires_grad_(False)
    for parent, name, rotary in rotaries:
        setattr(parent, name, _NoRotation(rotary))


def _drop_residuals(model: nn.Module) -> None:
    count = 0
    for block in list(model.modules()):
        names = dict(block.named_children())
        norms = [n for n in (*ATTENTION_NORMS, "norm") if n in names]
        attention = [n for n in (*ATTENTION_NAMES, "mixer") if n in names]
        if not norms or not attention or any(name in names for name in OUTPUT_NORMS):
            continue
        _take_out(block, norms[0], attention[0])
        perceptrons = [n for n in PERCEPTRON_NAMES if n in names]
        others = [n for n in PERCEPTRON_NORMS if n in names]
        # A parallel block adds both sublayers and its input once.
        if perceptrons and others and not getattr(block, "use_parallel_residual", False):
            _take_out(block, others[0], perceptrons[0])
        count += 1
    if not count:
        raise _missing(model, "block with a norm before its sublayer", "residual")


def _take_out(block: nn.Module, norm_name: str, name: str) -> None:
    norm = _Remembering(getattr(block, norm_name))
    setattr(block, norm_name, norm)
    setattr(block, name, _Without(getattr(block, name), norm))


def _children(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    for parent in model.modules():
        for name, module in parent.named_children():
            yield parent, name, module


def _missing(model: nn.Module, part: str, switch: str) -> ValueError:
    return ValueError(f"no {part} found in {type(model).__name__} to switch off; leave {switch} on for this model")
