"""A one-layer Transformer trained on a graph's edges: Hugging Face's GPT-2 architecture, random initialisation.

The sequence of node u is [EDGE] u; the model predicts a neighbour at u's position. Every epoch is one full batch of all
nodes with their soft targets T_u over the nodes, which has the gradient of the mean over the edge lines of each node.
The vocabulary is the n nodes (ids 0 .. n-1, in row order) and the [EDGE] token (id n); input and output embeddings are
tied. Optimiser: AdamW with a constant learning rate. Source of the set-up: the tiny-graph runs of arXiv 2510.26745
(one layer, one head, width 32, learning rate 0.01, no weight decay).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from fiedler.kernels import csr_target, graph_cross_entropy

from .training import Diverged, Final, Snapshot


@dataclass(frozen=True)
class TransformerSettings:
    """Hyper-parameters; ``init_std`` is GPT-2's initialisation of every weight, embeddings included. ``dropout``: of
    embeddings, attention and residual branches, in training only; recorded losses are without it."""

    steps: int = 1000
    learning_rate: float = 0.01
    width: int = 32
    heads: int = 1
    layers: int = 1
    init_std: float = 0.02
    weight_decay: float = 0.0
    dropout: float = 0.0

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
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1); got {self.dropout}")


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
        resid_pdrop=settings.dropout,
        embd_pdrop=settings.dropout,
        attn_pdrop=settings.dropout,
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


class TransformerTraining:
    """One seed in training at one ``step``, on the sparse row-stochastic ``target`` (n, n), in float32 on the CPU.

    Leaves torch's own random state as it was: initial weights and dropout draw from a state of the training's own,
    which ``state`` holds. ``chunk``: the most steps ``advance`` takes at once.
    """

    chunk = 1

    def __init__(self, target: sp.csr_array, settings: TransformerSettings, seed: int) -> None:
        n = target.shape[0]
        self.settings, self.seeds = settings, (seed,)
        self.step = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = build_transformer(n, settings)
            self._random = torch.get_rng_state()
        self._inputs, self._target, self._n = edge_inputs(n), csr_target(target, columns=n + 1), n
        self._optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    def threads(self) -> AbstractContextManager[object]:
        """One thread for the time of the context: a second one only slows models this small down."""
        return _one_thread()

    def advance(self, count: int) -> None:
        """Take ``count`` steps. Raises Diverged where the loss is not finite."""
        self.model.train()
        with self._own_random():
            for _ in range(count):
                self._optimiser.zero_grad(set_to_none=True)
                loss, _ = self._forward()
                if not bool(torch.isfinite(loss)):
                    raise Diverged(f"training diverged at step {self.step}", "lower the learning rate", self.step)
                loss.backward()
                self._optimiser.step()
                self.step += 1

    def current(self) -> TransformerState:
        """The state now, without dropout. Raises Diverged where the loss is not finite."""
        self.model.eval()
        with torch.no_grad():
            loss, hidden = self._forward()
            weight = self.model.lm_head.weight[: self._n]
            if not bool(torch.isfinite(loss)):
                raise Diverged(f"training diverged before step {self.step}", "lower the learning rate", self.step)
            logits = (hidden @ weight.T).numpy()
        return TransformerState(self.step, weight.detach().numpy().copy(), float(loss), logits)

    def snapshots(self) -> list[Snapshot]:
        """The seed's token embeddings and loss now. Raises Diverged."""
        now = self.current()
        return [Snapshot(self.seeds[0], self.step, now.embedding, now.loss)]

    def finals(self) -> list[Final]:
        """The seed's token embeddings and logits."""
        now = self.current()
        return [Final(now.embedding, None, now.logits)]

    def state(self) -> list[dict[str, NDArray[Any]]]:
        """What ``restore`` needs: weights, the optimiser's moments and the random state."""
        return [{**learned_state(self.model, self._optimiser), "random": self._random.numpy()}]

    def restore(self, step: int, states: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """Go on from ``state()`` of ``step``."""
        (kept,) = states
        load_learned_state(self.model, self._optimiser, kept)
        self._random = torch.from_numpy(np.array(kept["random"]))
        self.step = step

    def _forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.model.transformer(input_ids=self._inputs).last_hidden_state[:, -1]
        return graph_cross_entropy(hidden, self.model.lm_head.weight, self._target) / self._n, hidden

    @contextmanager
    def _own_random(self) -> Iterator[None]:
        if self.settings.dropout == 0.0:  # nothing is drawn
            yield
            return
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._random)
            yield
            self._random = torch.get_rng_state()


def learned_state(model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, NDArray[Any]]:
    """Every weight once, and the optimiser's moments, as arrays for ``load_learned_state``."""
    kept = {f"weight/{name}": value.detach().cpu().numpy() for name, value in model.named_parameters()}
    for index, moments in optimiser.state_dict()["state"].items():
        kept |= {f"optimiser/{index}/{name}": value.cpu().numpy() for name, value in moments.items()}
    return kept


def load_learned_state(
    model: torch.nn.Module, optimiser: torch.optim.Optimizer, kept: Mapping[str, NDArray[Any]]
) -> None:
    """Put ``learned_state`` back; other entries of ``kept`` are left alone."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(torch.from_numpy(np.array(kept[f"weight/{name}"])))
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in kept.items():
        kind, _, rest = name.partition("/")
        if kind == "optimiser":
            index, _, moment = rest.partition("/")
            moments.setdefault(int(index), {})[moment] = torch.from_numpy(np.array(array))
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})


def train_transformer(
    target: sp.csr_array, settings: TransformerSettings, seed: int, record_steps: Sequence[int] | NDArray[np.int64]
) -> Iterator[TransformerState]:
    """Yield the state at each of the ascending ``record_steps`` (<= settings.steps).

    ``target``: sparse row-stochastic (n, n). Runs on one CPU thread (a second one only slows models this small down)
    in float32, and leaves torch's own random state as it was. Raises FloatingPointError when the loss is not finite.
    """
    training = TransformerTraining(target, settings, seed)
    for step in record_steps:
        with training.threads():  # not around the yield: the caller's code keeps its own threads
            while training.step < step:
                training.advance(1)
            state = training.current()
        yield state


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
