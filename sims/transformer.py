"""A one-layer Transformer trained on a graph's edges: Hugging Face's GPT-2 architecture, random initialisation.

The sequence of node u is [EDGE] u; the model predicts a neighbour at u's position. Every epoch is one full batch of all
nodes with their soft targets T_u over the nodes, which has the gradient of the mean over the edge lines of each node.
The vocabulary is the n nodes (ids 0 .. n-1, in row order) and the [EDGE] token (id n); input and output embeddings are
tied. Optimiser: AdamW with a constant learning rate. Source of the set-up: the tiny-graph runs of arXiv 2510.26745
(one layer, one head, width 32, learning rate 0.01, no weight decay).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from fiedler.kernels import csr_target, graph_cross_entropy


@dataclass(frozen=True)
class TransformerSettings:
    """Hyper-parameters; ``init_std`` is GPT-2's initialisation of every weight, embeddings included."""

    steps: int = 1000
    learning_rate: float = 0.01
    width: int = 32
    heads: int = 1
    layers: int = 1
    init_std: float = 0.02
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if min(self.steps, self.width, self.heads, self.layers) < 1:
            raise ValueError("steps, width, heads and layers must be at least 1")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be a positive number; got {self.learning_rate}")
        if not (np.isfinite(self.init_std) and self.init_std > 0):
            raise ValueError(f"init_std must be a positive number; got {self.init_std}")
        if not (np.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be >= 0; got {self.weight_decay}")


@dataclass(frozen=True, eq=False)
class TransformerState:
    """The model at one step: ``embedding`` (n, width) float32 token embeddings of the nodes, ``loss`` the mean
    cross-entropy per node over the whole vocabulary, ``logits`` (n, n) next-token logits over the nodes."""

    step: int
    embedding: NDArray[np.float32]
    loss: float
    logits: NDArray[np.float32]


def build_transformer(n: int, settings: TransformerSettings) -> Any:
    """The untrained ``transformers.GPT2LMHeadModel`` for n nodes, weights from torch's current random state."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=n + 1,
        n_positions=2,
        n_embd=settings.width,
        n_layer=settings.layers,
        n_head=settings.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        initializer_range=settings.init_std,
        tie_word_embeddings=True,
        bos_token_id=n,
        eos_token_id=n,
        use_cache=False,
    )
    return GPT2LMHeadModel(config)


def edge_inputs(n: int) -> torch.Tensor:
    """Token ids (n, 2): [EDGE] u for every node u."""
    nodes = torch.arange(n)
    return torch.stack([torch.full_like(nodes, n), nodes], dim=1)


def train_transformer(
    target: sp.csr_array, settings: TransformerSettings, seed: int, record_steps: Sequence[int] | NDArray[np.int64]
) -> Iterator[TransformerState]:
    """Yield the state at each of the ascending ``record_steps`` (<= settings.steps).

    ``target``: sparse row-stochastic (n, n). Runs on one CPU thread (a second one only slows models this small down)
    in float32, and leaves torch's own random state as it was. Raises FloatingPointError when the loss is not finite.
    """
    n = target.shape[0]
    with _seeded(seed):  # nothing but the initial weights is random
        model = build_transformer(n, settings)
    model.train()
    inputs, wanted = edge_inputs(n), csr_target(target, columns=n + 1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)

    def forward() -> tuple[torch.Tensor, torch.Tensor]:
        hidden = model.transformer(input_ids=inputs).last_hidden_state[:, -1]
        return graph_cross_entropy(hidden, model.lm_head.weight, wanted) / n, hidden

    done = 0
    for step in record_steps:
        with _one_thread():  # not around the yield: the caller's code keeps its own threads
            while done < step:
                optimiser.zero_grad(set_to_none=True)
                loss, _ = forward()
                loss.backward()
                optimiser.step()
                done += 1
            with torch.no_grad():
                loss, hidden = forward()
                weight = model.lm_head.weight[:n]
                if not bool(torch.isfinite(loss)):
                    raise FloatingPointError(f"training diverged before step {done}: lower the learning rate")
                logits = (hidden @ weight.T).numpy()
        yield TransformerState(int(step), weight.detach().numpy().copy(), float(loss), logits)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
