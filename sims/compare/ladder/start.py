"""The net that a model is before anything is trained, as the theory knows it, read from its own initial weights.

Nothing of a run is seen: the model is built again from its settings and seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fiedler.theory import LinearNet, PreNormNet, Sublayer
from fiedler.theory.ladder.pre_norm import ACTIVATIONS

from ...models.nets import LanguageModel, Linear, NodeNet, OneLayer
from ...models.neural import NeuralTraining
from ...models.neural_settings import NeuralSettings
from ...models.node2vec import Node2VecSettings
from ...models.protocol import Training
from ...models.registry import Model
from ...tasks.task import Task

Floats = NDArray[np.float64]

OTHER_BLOCKS = "blocks that are not GPT-2's"


@dataclass(frozen=True, eq=False)
class StartingNet:
    """``net``: what of the model the theory has a flow for, at step 0 and in float64; ``parts``: what the model has
    beyond."""

    net: LinearNet | PreNormNet
    parts: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the net is the model, so that the flow is its own."""
        return not self.parts


def starting_net(task: Task, model: Model, settings: Any, seed: int) -> StartingNet:
    """Of the run of ``settings`` with ``seed``: a linear net, or GPT-2's sublayers on one token with their norms and
    units. Of an architecture with other blocks the embeddings alone are left, as Node2Vec has them."""
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
        return StartingNet(LinearNet(embedding, layers, context, residual), _beyond_linear_net(network, settings))
    if isinstance(network, LanguageModel) and settings.arch == "gpt2" and settings.residual:
        return _gpt2(network.lm, settings, embedding, context)
    rest = OTHER_BLOCKS if isinstance(network, LanguageModel) else "layers of units"
    parts = (rest, "Adam") if settings.time_per_step is None else (rest,)
    return StartingNet(LinearNet(embedding, (), context), parts)


def _node2vec(training: Training) -> StartingNet:
    final = training.finals()[0]
    embedding = np.asarray(final.embedding, dtype=np.float64)
    context = None if final.context is None else np.asarray(final.context, dtype=np.float64)
    return StartingNet(LinearNet(embedding, (), context))


def _gpt2(lm: nn.Module, settings: NeuralSettings, embedding: Floats, context: Floats | None) -> StartingNet:
    parts = _beyond_one_token(settings)
    sublayers = _sublayers(lm, settings)
    if not settings.layer_norm and all(one.activation == "identity" for one in sublayers):
        layers = tuple((one.read, one.write) for one in sublayers)
        return StartingNet(LinearNet(embedding, layers, context, True), parts)
    if context is not None:
        parts = (*parts, "an output embedding of its own")
    norm = "layer" if settings.layer_norm else "none"
    return StartingNet(PreNormNet(embedding, sublayers, norm=norm, epsilon=_epsilon(lm)), parts)


def _sublayers(lm: nn.Module, settings: NeuralSettings) -> tuple[Sublayer, ...]:
    """Attention over one token, (values, output projection), and perceptron of each block; weights act on rows."""
    found = []
    for block in lm.base_model.h:  # type: ignore[union-attr]
        if settings.attention:
            width = block.attn.c_proj.weight.shape[0]
            found.append(Sublayer(_array(block.attn.c_attn.weight)[:, 2 * width :], _array(block.attn.c_proj.weight)))
        if settings.perceptron:
            units = settings.activation if settings.activation in ACTIVATIONS else "gelu"
            found.append(Sublayer(_array(block.mlp.c_fc.weight), _array(block.mlp.c_proj.weight), units))
    return tuple(found)


def _epsilon(lm: Any) -> float:
    return float(lm.config.layer_norm_epsilon)


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


def _beyond_one_token(settings: NeuralSettings) -> tuple[str, ...]:
    """What a language model has beyond sublayers, norms and units on one token."""
    found = {
        "the [EDGE] token": settings.edge_token or settings.other_tokens > 0,
        "positions": settings.positions,
        "biases": settings.biases,
        "GELU by tanh": settings.perceptron and settings.activation == "",
        f"units {settings.activation}": settings.perceptron and settings.activation not in ("", *ACTIVATIONS),
        "frozen embeddings": settings.frozen,
        "dropout": settings.dropout > 0,
        "weight decay": settings.weight_decay > 0,
        "Adam": settings.time_per_step is None,
    }
    return tuple(name for name, has in found.items() if has)


def _array(weight: Tensor) -> Floats:
    return weight.detach().numpy().astype(np.float64)
