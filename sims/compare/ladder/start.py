"""The linear net that a model is before anything is trained, read from its own initial weights.

Nothing of a run is seen: the model is built again from its settings and seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fiedler.theory import LinearNet

from ...models.nets import LanguageModel, Linear, NodeNet, OneLayer
from ...models.neural import NeuralTraining
from ...models.neural_settings import NeuralSettings
from ...models.node2vec import Node2VecSettings
from ...models.protocol import Training
from ...models.registry import Model
from ...tasks.task import Task

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StartingNet:
    """``net``: the model's embedding and linear layers at step 0, in float64. ``exact``: whether the model is that net
    and nothing more, so that the net's flow is the model's own; ``parts``: what it has beyond, else."""

    net: LinearNet
    exact: bool
    parts: tuple[str, ...] = ()


def starting_net(task: Task, model: Model, settings: Any, seed: int) -> StartingNet:
    """Of the run of ``settings`` with ``seed``. A language model with parts that are not linear is left its embeddings
    alone, as Node2Vec has them, or with its attention where that sees one token."""
    training = model.start(task, settings, [seed])
    if isinstance(settings, Node2VecSettings):
        return _node2vec(training)
    assert isinstance(training, NeuralTraining)
    network, n = training.network, task.graph.n
    embedding = _array(network.input_embedding)[:n]
    context = None if settings.tied else _array(network.output_embedding)[:n]
    if isinstance(network, (Linear, OneLayer)):
        matrices = network.matrices if isinstance(network, Linear) else network.inner[None]
        layers = tuple((_array(matrix),) for matrix in matrices)
        residual = isinstance(network, Linear) and network.residual
        parts = _beyond_linear_net(network, settings)
        return StartingNet(LinearNet(embedding, layers, context, residual), not parts, parts)
    parts = _beyond_attention(settings) if isinstance(network, LanguageModel) else ("units",)
    if not parts and isinstance(network, LanguageModel):
        return StartingNet(LinearNet(embedding, _attentions(network.lm), context, True), True)
    return StartingNet(LinearNet(embedding, (), context), False, parts)


def _node2vec(training: Training) -> StartingNet:
    final = training.finals()[0]
    embedding = np.asarray(final.embedding, dtype=np.float64)
    context = None if final.context is None else np.asarray(final.context, dtype=np.float64)
    return StartingNet(LinearNet(embedding, (), context), True)


def _beyond_linear_net(network: NodeNet, settings: NeuralSettings) -> tuple[str, ...]:
    found = {
        "a bias": settings.bias,
        "a position": network.position is not None,
        "dropout": settings.dropout > 0,
        "Adam": settings.time_per_step is None,
        "other tokens": settings.other_tokens > 0,
        "frozen embeddings": settings.frozen,
    }
    return tuple(name for name, has in found.items() if has)


def _beyond_attention(settings: NeuralSettings) -> tuple[str, ...]:
    """What a language model has beyond linear attention over one token on embeddings."""
    found = {
        "layer norm": settings.layer_norm,
        "a perceptron": settings.perceptron,
        "the [EDGE] token": settings.edge_token or settings.other_tokens > 0,
        "positions": settings.positions,
        "biases": settings.biases,
        "no residuals": not settings.residual,
        "frozen embeddings": settings.frozen,
        "dropout": settings.dropout > 0,
        "Adam": settings.time_per_step is None,
        f"the blocks of {settings.arch}": settings.arch != "gpt2",
    }
    return tuple(name for name, has in found.items() if has)


def _attentions(lm: nn.Module) -> tuple[tuple[Floats, Floats], ...]:
    """(values, output projection) of each block of GPT-2, whose maps act on rows: x + x A C."""
    blocks: Any = lm.base_model.h  # type: ignore[union-attr]
    found = []
    for block in blocks:
        width = block.attn.c_proj.weight.shape[0]
        found.append((_array(block.attn.c_attn.weight)[:, 2 * width :], _array(block.attn.c_proj.weight)))
    return tuple(found)


def _array(weight: Tensor) -> Floats:
    return weight.detach().numpy().astype(np.float64)
