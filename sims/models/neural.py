"""Neural models trained on a graph's edges: the sequence of node u is [EDGE] u, the model predicts a neighbour there.

Every step is one full batch of all nodes with their soft targets T_u over the nodes, which has the gradient of the mean
over the edge lines of each node; the softmax runs over the whole vocabulary. Seeds are trained together as one stack of
parameters through ``torch.func`` (the cost of a tiny model is the number of operations, not their size), one seed alone
by the model's own forward pass. float32 on the CPU.

Where a run is cut into chunks changes no bit of it; which seeds share its stack does, in the last bits (the layout of
the stack decides how sums are vectorised).
Source of the set-ups: the tiny-graph runs of arXiv 2510.26745.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from fiedler.kernels import CsrTarget, csr_target, graph_cross_entropy
from fiedler.kernels.linear.heads import output_head

from .guidance import Guidance
from .nets import LanguageModel, Network, build_network, edge_inputs
from .neural_settings import NeuralSettings
from .protocol import Diverged, Final, Snapshot
from .torch_state import learned_state, load_learned_state, one_thread

# Up to so many nodes the logits of all of them are kept; beyond, the fused cross-entropy makes them tile by tile.
DENSE_NODES = 512
# Numbers in the activations of a stack of seeds, at most: more seeds than fit are trained after one another.
STACK_NUMBERS = 1 << 23


def seeds_together(n: int, settings: NeuralSettings) -> int:
    """How many seeds are worth training as one stack."""
    if settings.dropout > 0 or n > DENSE_NODES:  # dropout draws from one stream a seed
        return 1
    inner = settings.expand * settings.state_size if settings.arch.startswith("mamba") else 8
    each = 2 * n * max(n, inner * settings.width * (settings.layers + 1))
    return max(1, STACK_NUMBERS // each)


class NeuralTraining:
    """``seeds`` in training at one ``step``, on the sparse row-stochastic ``target`` (n, n) with the weights
    ``row_weight`` (n,) of its rows, ones when None.

    Leaves torch's own random state as it was: initial weights and dropout draw from a state of the training's own,
    which ``state`` holds. ``guidance`` moves the embeddings of the nodes while they train (None for ``settings`` with
    geometry "none"); recorded losses are without its penalty. ``chunk``: the most steps ``advance`` takes at once.
    Raises ValueError for several seeds with dropout or on more than DENSE_NODES nodes, and for sizes the architecture
    refuses.
    """

    chunk = 1

    def __init__(
        self,
        target: sp.csr_array,
        settings: NeuralSettings,
        seeds: Sequence[int],
        row_weight: NDArray[np.float64] | None = None,
        *,
        guidance: Guidance | None = None,
    ) -> None:
        n = target.shape[0]
        if len(seeds) > 1 and (settings.dropout > 0 or n > DENSE_NODES):
            raise ValueError(
                f"{len(seeds)} seeds cannot be stacked with dropout or on {n} nodes: train them one by one"
            )
        self.settings, self.seeds, self.step, self._n = settings, tuple(seeds), 0, n
        networks = []
        with torch.random.fork_rng(devices=[]):
            for seed in seeds:
                torch.manual_seed(seed)
                networks.append(build_network(n, settings))
                if guidance is not None:
                    _start_guided(networks[-1], guidance, n)
            self._random = torch.get_rng_state()
        self.network = networks[0]
        self._names = _embedding_names(self.network)
        self._guidance = guidance
        self._inputs = edge_inputs(n, settings)
        weights = np.ones(n) if row_weight is None else np.asarray(row_weight, dtype=np.float64)
        self._loss = _Loss(target, n + settings.other_tokens, weights, self.network)
        self._weights: dict[str, Tensor] = dict(self.network.named_parameters())
        self._buffers: dict[str, Tensor] = {}
        if len(seeds) > 1:
            stacked, self._buffers = stack_module_state(networks)
            self._weights = {
                name: value.detach().requires_grad_(self._weights[name].requires_grad)
                for name, value in stacked.items()
            }
        self._optimiser = _optimiser(self._weights, settings)

    def threads(self) -> AbstractContextManager[object]:
        """One thread for the time of the context where a second one only slows down: on small graphs."""
        return one_thread() if self._n <= DENSE_NODES else nullcontext()

    def advance(self, count: int) -> None:
        """Take ``count`` steps. Raises Diverged where a loss is not finite."""
        self.network.train()
        scale = self._loss.total if self.settings.optimiser == "sgd" else 1.0
        with self._own_random():
            for _ in range(count):
                for group in self._optimiser.param_groups:
                    group["lr"] = self.settings.rate(self.step)
                self._optimiser.zero_grad(set_to_none=True)
                losses = self._losses(guided=True)
                if not bool(torch.isfinite(losses).all()):
                    raise Diverged(f"training diverged at step {self.step}", "lower the learning rate", self.step)
                (scale * losses.sum()).backward()
                self._optimiser.step()
                self.step += 1

    def snapshots(self) -> list[Snapshot]:
        """Every seed's token embeddings of the nodes and loss now, without dropout. Raises Diverged."""
        logits = self._all_logits() if self._n <= DENSE_NODES else None
        losses = self._current_losses(logits)
        if not bool(torch.isfinite(losses).all()):
            raise Diverged(f"training diverged before step {self.step}", "lower the learning rate", self.step)
        return [
            Snapshot(
                seed,
                self.step,
                self._rows(i, self._names[0]),
                float(losses[i]),
                None if logits is None else logits[i, :, : self._n].numpy(),
            )
            for i, seed in enumerate(self.seeds)
        ]

    def finals(self) -> list[Final]:
        """Every seed's embedding (and output embedding when untied), logits over the nodes, W of a one-layer net."""
        logits = self._all_logits()
        return [
            Final(
                self._rows(i, self._names[0]),
                self._rows(i, self._names[1]) if self._names[1] != self._names[0] else None,
                logits[i, :, : self._n].numpy(),
                self._of(i, "inner").detach().numpy().copy() if "inner" in self._weights else None,
            )
            for i in range(len(self.seeds))
        ]

    def state(self) -> list[dict[str, NDArray[Any]]]:
        """For each seed, what ``restore`` needs: weights, the optimiser's moments and, alone, the random state."""
        kept = learned_state(self._weights, self._optimiser)
        if len(self.seeds) == 1:
            return [{**kept, "random": self._random.numpy()}]
        return [
            {name: value if value.ndim == 0 else value[i] for name, value in kept.items()}
            for i in range(len(self.seeds))
        ]

    def restore(self, step: int, states: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """Go on from ``state()`` of ``step``."""
        kept = states[0]
        if len(states) > 1:
            kept = {
                name: value if np.ndim(value) == 0 else np.stack([state[name] for state in states])
                for name, value in states[0].items()
            }
        else:
            self._random = torch.from_numpy(np.array(kept["random"]))
        load_learned_state(self._weights, self._optimiser, kept)
        self.step = step

    def _losses(self, *, guided: bool = False) -> Tensor:
        """Every seed's weighted mean loss, (seeds,); with the penalty of the guidance where ``guided``."""
        if len(self.seeds) == 1:
            losses = self._loss(self.network, self._inputs)[None]
        else:
            losses = self._each(lambda *state: self._loss.dense(self._logits(*state)))
        return losses + self._penalties(self._guidance) if guided and self._guidance is not None else losses

    def _penalties(self, guidance: Guidance) -> Tensor:
        if not guidance.adds_loss:
            return torch.zeros(len(self.seeds))
        rows = self._weights[self._names[0]]
        if len(self.seeds) == 1:
            return guidance.penalty(rows[: self._n])[None]
        found: Tensor = vmap(lambda one: guidance.penalty(one[: self._n]))(rows)
        return found

    def _each(self, function: Any) -> Tensor:
        if len(self.seeds) == 1:
            return function(self._weights, {})
        found: Tensor = vmap(function)(self._weights, self._buffers)
        return found

    def _logits(self, weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        found: Tensor = functional_call(self.network, (weights, buffers), (self._inputs,))
        return found

    def _all_logits(self) -> Tensor:
        """(seeds, n, vocabulary), without dropout."""
        self.network.eval()
        with torch.no_grad():
            return self._each(self._logits).reshape(len(self.seeds), self._n, -1)

    def _current_losses(self, logits: Tensor | None) -> Tensor:
        """Every seed's loss without dropout, (seeds,), from all its logits where they are at hand."""
        self.network.eval()
        with torch.no_grad():
            if logits is None:
                return self._losses()
            found: Tensor = vmap(self._loss.dense)(logits) if len(logits) > 1 else self._loss.dense(logits[0])[None]
            return found

    def _of(self, i: int, name: str) -> Tensor:
        return self._weights[name] if len(self.seeds) == 1 else self._weights[name][i]

    def _rows(self, i: int, name: str) -> NDArray[np.float32]:
        return self._of(i, name)[: self._n].detach().numpy().copy()

    @contextmanager
    def _own_random(self) -> Iterator[None]:
        if self.settings.dropout == 0.0:  # nothing is drawn
            yield
            return
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._random)
            yield
            self._random = torch.get_rng_state()


class _Loss:
    """sum_i w_i [lse(Z_i) - T_i . Z_i] / sum_i w_i over rows that are nodes and columns that are the vocabulary."""

    def __init__(self, target: sp.csr_array, vocabulary: int, weights: NDArray[np.float64], network: Network) -> None:
        n = target.shape[0]
        self.total = float(weights.sum())
        self._weights = torch.tensor(weights, dtype=torch.float32)
        self._sparse: CsrTarget | None = None
        if n > DENSE_NODES and _plain_head(network):
            self._sparse = csr_target(target, columns=vocabulary)
        else:
            self._dense = torch.zeros(n, vocabulary)
            self._dense[:, :n] = torch.from_numpy(target.toarray()).float()

    def __call__(self, network: Network, inputs: Tensor) -> Tensor:
        """Of one network, its logits never stored for large graphs."""
        if self._sparse is None:
            return self.dense(network(inputs))
        hidden = network.hidden(inputs)
        loss = graph_cross_entropy(hidden, network.output_embedding, self._sparse, row_weight=self._weights)
        return loss / self.total

    def dense(self, logits: Tensor) -> Tensor:
        """Of logits (n, vocabulary)."""
        each = torch.logsumexp(logits, dim=-1) - (self._dense * logits).sum(dim=-1)
        return (self._weights * each).sum() / self.total


def _plain_head(network: Network) -> bool:
    """Whether the logits are the product of ``hidden`` and the output embedding and nothing else."""
    if not isinstance(network, LanguageModel):
        return True
    head = output_head(network.lm)
    return head.bias is None and head.scale == 1.0 and head.logit_softcap is None


def _embedding_names(network: Network) -> tuple[str, str]:
    names = {id(value): name for name, value in network.named_parameters()}
    return names[id(network.input_embedding)], names[id(network.output_embedding)]


def _start_guided(network: Network, guidance: Guidance, n: int) -> None:
    with torch.no_grad():
        rows = network.input_embedding[:n]
        rows.copy_(guidance.start(rows))


def _optimiser(weights: Mapping[str, Tensor], settings: NeuralSettings) -> torch.optim.Optimizer:
    trained = [value for value in weights.values() if value.requires_grad]
    if not trained:
        raise ValueError("nothing is left to train: unfreeze the embeddings or use a model with other weights")
    if settings.optimiser == "sgd":
        return torch.optim.SGD(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    # One call for all weights: the step of a tiny model is otherwise mostly the optimiser's loop over them.
    return torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
