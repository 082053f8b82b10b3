"""Networks that read a node and give logits over the vocabulary: three nets, and a causal language model in a frame.

All share one interface: ``forward(input_ids (b, 1 or 2)) -> logits (b, vocabulary)`` of the token after [EDGE] u or u
alone, ``hidden`` (b, width), whose product with the output embedding they are where nothing else is done to them, and
the two embeddings.
Rows 0 .. n-1 of the embeddings are the nodes, row n is [EDGE].
"""

from __future__ import annotations

import inspect
import json

import torch
from torch import Tensor, nn

from .ablation import position_tables
from .architectures import build_causal_lm, mamba_sizes
from .neural_settings import NeuralSettings

CONTEXT = 2  # tokens of [EDGE] u


class NodeNet(nn.Module):
    """logits_uv = f(e_u) . e_v of the rows of an embedding E, with layers f that the nets below choose.

    With ``tied`` False the second E is a matrix of its own; with ``position_std`` one vector, frozen where E is, is
    added to e_u. Dropout falls on the output of the layers.
    """

    def __init__(self, vocabulary: int, settings: NeuralSettings) -> None:
        super().__init__()
        width, std = settings.width, settings.first_embedding_std
        self.embedding = nn.Parameter(std * torch.randn(vocabulary, width))
        # Drawn by every net, so that all start from the same head and position with the same seed.
        self._take_matrix(settings.init_std * torch.randn(width, width), settings)
        self.head = None if settings.tied else nn.Parameter(std * torch.randn(vocabulary, width))
        position = settings.position_std * torch.randn(width) if settings.position_std else None
        self.position = None if position is None else nn.Parameter(position)
        self.dropout = nn.Dropout(settings.dropout)
        if settings.frozen:
            for part in (self.embedding, self.head, self.position):
                if part is not None:
                    part.requires_grad_(False)

    def _take_matrix(self, matrix: Tensor, settings: NeuralSettings) -> None:
        """What a net does with the matrix (width, width) drawn between its embeddings: nothing, but for OneLayer."""

    def hidden(self, input_ids: Tensor) -> Tensor:
        """(b, width): what is read out."""
        raise NotImplementedError

    def forward(self, input_ids: Tensor) -> Tensor:
        """(b, vocabulary)."""
        return self.hidden(input_ids) @ self.output_embedding.T

    def _read(self, input_ids: Tensor) -> Tensor:
        read = self.embedding[input_ids[:, -1]]
        return read if self.position is None else read + self.position

    @property
    def input_embedding(self) -> nn.Parameter:
        """(vocabulary, width)."""
        return self.embedding

    @property
    def output_embedding(self) -> nn.Parameter:
        """(vocabulary, width)."""
        return self.embedding if self.head is None else self.head


class OneLayer(NodeNet):
    """Z = E W E': logits_uv = (e_u W + b) . e_v, the bias b where asked for."""

    inner: nn.Parameter
    bias: nn.Parameter | None

    def _take_matrix(self, matrix: Tensor, settings: NeuralSettings) -> None:
        self.inner = nn.Parameter(matrix)
        self.bias = nn.Parameter(torch.zeros(settings.width)) if settings.bias else None

    def hidden(self, input_ids: Tensor) -> Tensor:
        """(b, width): what is read out."""
        read = self._read(input_ids) @ self.inner
        return self.dropout(read if self.bias is None else read + self.bias)


class Linear(NodeNet):
    """Z = E B_1 ... B_L E' with B_l = I + W_l, or W_l without residuals: ``theory.ladder``'s nets."""

    matrices: nn.Parameter
    residual: bool

    def _take_matrix(self, matrix: Tensor, settings: NeuralSettings) -> None:
        others = [settings.init_std * torch.randn_like(matrix) for _ in range(settings.layers - 1)]
        self.matrices = nn.Parameter(torch.stack([matrix, *others]))
        self.residual = settings.residual

    def hidden(self, input_ids: Tensor) -> Tensor:
        """(b, width): what is read out."""
        read = self._read(input_ids)
        for matrix in self.matrices:
            read = read + read @ matrix if self.residual else read @ matrix
        return self.dropout(read)


class Perceptron(NodeNet):
    """``layers`` blocks e <- gelu(e W1 + b1) W2 + b2, four times as wide inside; no residuals."""

    RATIO = 4

    def __init__(self, vocabulary: int, settings: NeuralSettings) -> None:
        super().__init__(vocabulary, settings)
        width, blocks = settings.width, []
        for _ in range(settings.layers):
            pair = [
                nn.Linear(width, self.RATIO * width, settings.bias),
                nn.Linear(self.RATIO * width, width, settings.bias),
            ]
            for layer in pair:
                nn.init.normal_(layer.weight, std=settings.init_std)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            blocks += [pair[0], nn.GELU(), pair[1]]
        self.blocks = nn.Sequential(*blocks)

    def hidden(self, input_ids: Tensor) -> Tensor:
        """(b, width): what is read out."""
        return self.dropout(self.blocks(self._read(input_ids)))


class LanguageModel(nn.Module):
    """A causal LM of transformers, of which only the logits at the last token are wanted."""

    def __init__(self, vocabulary: int, settings: NeuralSettings) -> None:
        super().__init__()
        self.lm = build_causal_lm(
            json.loads(settings.config) if settings.config else settings.arch,
            vocabulary=vocabulary,
            positions=CONTEXT,
            width=settings.width,
            layers=settings.layers,
            heads=settings.heads,
            init_std=settings.init_std,
            dropout=settings.dropout,
            switches=settings.switches,
            activation=settings.activation,
            **mamba_sizes(settings.arch, settings.state_size, settings.expand),
        )
        if settings.embedding_std:
            with torch.no_grad():
                for weight in {id(w): w for w in (self.input_embedding, self.output_embedding)}.values():
                    weight.mul_(settings.embedding_std / settings.init_std)
        if settings.position_std:
            tables = position_tables(self.lm)
            if not tables:
                raise ValueError(f"{settings.arch} has no learned positions; leave out position_std")
            with torch.no_grad():
                for table in tables:
                    table.weight.mul_(settings.position_std / settings.init_std)
        keeps = "logits_to_keep" in inspect.signature(self.lm.forward).parameters
        self._options = {"use_cache": False, **({"logits_to_keep": 1} if keeps else {})}

    def hidden(self, input_ids: Tensor) -> Tensor:
        """(b, width): the trunk's last hidden state at the last token."""
        return self.lm.base_model(input_ids=input_ids, use_cache=False).last_hidden_state[:, -1]

    def forward(self, input_ids: Tensor) -> Tensor:
        """(b, vocabulary)."""
        return self.lm(input_ids=input_ids, **self._options).logits[:, -1]

    @property
    def input_embedding(self) -> nn.Parameter:
        """(vocabulary, width)."""
        weight: nn.Parameter = self.lm.get_input_embeddings().weight
        return weight

    @property
    def output_embedding(self) -> nn.Parameter:
        """(vocabulary, width)."""
        weight: nn.Parameter = self.lm.get_output_embeddings().weight
        return weight


Network = NodeNet | LanguageModel


def build_network(n: int, settings: NeuralSettings) -> Network:
    """The untrained network for n nodes, weights from torch's current random state."""
    vocabulary = n + settings.other_tokens
    nets: dict[str, type[Network]] = {"one-layer": OneLayer, "linear": Linear, "mlp": Perceptron}
    return nets.get(settings.arch, LanguageModel)(vocabulary, settings)


def edge_inputs(n: int, settings: NeuralSettings) -> Tensor:
    """Token ids (n, 2) of [EDGE] u for every node u, or (n, 1) of u alone; nets read only the last, so theirs may lack
    [EDGE]."""
    nodes = torch.arange(n)
    if not settings.edge_token:
        return nodes[:, None]
    first = torch.full_like(nodes, n) if settings.other_tokens else torch.zeros_like(nodes)
    return torch.stack([first, nodes], dim=1)
