"""A causal language model that answers questions about facts, with what the analysis of it looks at: subject
embeddings that can be replaced, the codes of attributes, and the neurons of its perceptrons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoConfig

from fiedler.kernels.linear.heads import output_head, trunk
from fiedler.kernels.linear.own_loss import verify_head

from ..models.ablation import PERCEPTRON_NAMES
from ..models.architectures import ACTIVATIONS, build_causal_lm, read_config
from ..models.switches import Switches
from .data import RecallVocabulary
from .settings import RecallSettings

NEURON_SIZES = ("n_inner", "intermediate_size")
ACTIVATION_MODULES = ("act", "act_fn")  # of a perceptron, by the names the architectures use


class RecallModel:
    """``lm``: the model of ``settings`` over ``vocabulary``, with weights from torch's current random state.

    Input and output embeddings are separate. Raises ValueError for an architecture that is unknown, refuses the sizes
    or has logits that are not the product of a hidden state and the output embedding.
    """

    def __init__(self, settings: RecallSettings, vocabulary: RecallVocabulary, longest: int) -> None:
        self.vocabulary = vocabulary
        self.lm = _build(settings, vocabulary.size, longest)
        head = output_head(self.lm)
        if head.scale != 1.0 or head.logit_softcap is not None or head.bias is not None:
            raise ValueError(f"{settings.arch} changes its logits; use gpt2, gpt-neox or llama")

    @property
    def embedding(self) -> nn.Parameter:
        """(vocabulary, width): the input embedding."""
        weight: nn.Parameter = self.lm.get_input_embeddings().weight
        return weight

    @property
    def unembedding(self) -> Tensor:
        """(vocabulary, width): the output embedding."""
        return output_head(self.lm).weight

    @property
    def subjects(self) -> Tensor:
        """(N, width): the embeddings of the subjects, without gradient; writing into it changes the model."""
        return self.embedding.detach()[: self.vocabulary.subjects]

    def codes(self, relation: int) -> Tensor:
        """(A, width): output embeddings of the attributes that answer ``relation``, without gradient."""
        attributes = np.arange(self.vocabulary.attributes)
        return self.unembedding.detach()[self.vocabulary.answer(np.full_like(attributes, relation), attributes)]

    def hidden(self, tokens: Tensor) -> Tensor:
        """(n, T, width): the last hidden states of inputs (n, T)."""
        found: Tensor = trunk(self.lm)(input_ids=tokens).last_hidden_state
        return found

    def logits(self, tokens: Tensor) -> Tensor:
        """(n, vocabulary): of the token after inputs (n, T)."""
        return self.hidden(tokens)[:, -1] @ self.unembedding.T

    def answers(self, subject_embeddings: Tensor, relations: Tensor) -> Tensor:
        """(n, vocabulary): logits of the answer to s r where s has the embedding given, (n, width), r (n,) numbers."""
        relation = self.embedding[self.vocabulary.subjects + relations]
        embedded = torch.stack([subject_embeddings, relation], dim=1)
        found: Tensor = trunk(self.lm)(inputs_embeds=embedded).last_hidden_state
        return found[:, -1] @ self.unembedding.T

    @contextmanager
    def neurons(self) -> Iterator[list[Tensor]]:
        """Within the context every forward pass adds each perceptron's activations at the last token, (n, neurons),
        to the list. It stays empty for architectures whose perceptrons show no activation of their own."""
        seen: list[Tensor] = []
        hooks = [module.register_forward_hook(_keep(seen)) for module in _activations(self.lm)]
        try:
            yield seen
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def silenced(self, neurons: Tensor) -> Iterator[None]:
        """Within the context the marked ``neurons``, bool over those of all layers in the order ``neurons()`` shows
        them, (sum of neurons,), are zero at every position."""
        modules = _activations(self.lm)
        parts = neurons.to(self.embedding.device).reshape(len(modules), -1)
        hooks = [module.register_forward_hook(_silence(part)) for module, part in zip(modules, parts, strict=True)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def check(self, tokens: Tensor) -> None:
        """Raises ValueError where the loss computed from hidden states is not the model's own; see ``verify_head``."""
        verify_head(self.lm, tokens)


def _keep(seen: list[Tensor]) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        seen.append(output[:, -1])

    return hook


def _silence(neurons: Tensor) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return output.masked_fill(neurons, 0.0)

    return hook


def _activations(lm: nn.Module) -> list[nn.Module]:
    perceptrons = [module for name, module in lm.named_modules() if name.rpartition(".")[2] in PERCEPTRON_NAMES]
    found = []
    for perceptron in perceptrons:
        found += [module for name, module in perceptron.named_children() if name in ACTIVATION_MODULES]
    return found


def _build(settings: RecallSettings, vocabulary: int, longest: int) -> Any:
    plain = AutoConfig.for_model(read_config(settings.arch)["model_type"])
    names = [next((n for n in NEURON_SIZES if hasattr(plain, n)), None),
             next((n for n in ACTIVATIONS if hasattr(plain, n)), None)]  # fmt: skip
    if None in names or "mamba" in settings.arch:
        raise ValueError(f"{settings.arch} has no perceptron of its own; use gpt2, gpt-neox, llama, ...")
    neurons: dict[str, Any] = {str(names[0]): settings.neurons, str(names[1]): "relu"}
    return build_causal_lm(
        settings.arch,
        vocabulary=vocabulary,
        positions=longest,
        width=settings.width,
        layers=settings.layers,
        heads=settings.heads,
        init_std=settings.init_std,
        dropout=0.0,
        switches=Switches(layer_norm=settings.layer_norm, attention=settings.attention, tied=False),
        **neurons,
    )
