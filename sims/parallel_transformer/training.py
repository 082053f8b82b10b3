"""A neural model of ``models.neural.py`` with its batch spread over processes by ``accelerate``.

Every process has the whole model and the rows r of the full batch; the gradient of the mean over all n nodes is the
average over the p processes (``DistributedDataParallel``) of those of p/n times each one's sum of losses. AdamW then
takes the same step everywhere: the trajectory of one process, up to the rounding of sums in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from fiedler.kernels import csr_target, graph_cross_entropy
from fiedler.kernels.sharded.ring import ALIKE, Ring

from ..models.nets import Network, build_network, edge_inputs
from ..models.neural_settings import NeuralSettings
from ..models.protocol import Diverged
from ..models.torch_state import learned_state, load_learned_state
from ..sharded.row_shards import row_range


@dataclass(frozen=True, eq=False)
class ParallelState:
    """The model at one step: ``embedding`` (n, width) float32 of the nodes and ``loss``, the mean cross-entropy per
    node over the whole vocabulary, alike on every process; ``logits`` (n_r, n) over the nodes, of the rows here."""

    step: int
    embedding: NDArray[np.float32]
    loss: float
    logits: NDArray[np.float32]


class _RowLoss(torch.nn.Module):
    """Sum of losses of some rows, and their hidden states: what DistributedDataParallel has to see as one forward."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: torch.Tensor, target: Any) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.model.hidden(inputs)
        return graph_cross_entropy(hidden, self.model.output_embedding, target), hidden


class ParallelTransformerTraining:
    """One run at one ``step``, this process's part; every process makes one and calls the same methods.

    ``target``: the whole sparse row-stochastic (n, n), of which each process keeps its rows. float32; initial weights
    are those of ``NeuralTraining`` with the same seed. Make it inside ``cli.processes.joined``, or alone.

    Raises RuntimeError where ``accelerate`` is not installed; ValueError, on every process, for more processes than
    nodes and for dropout, whose random numbers would depend on who holds which rows.
    """

    def __init__(self, target: sp.csr_array, settings: NeuralSettings, seed: int, *, device: str = "cpu") -> None:
        accelerator = _accelerator(device)
        self.ring, self.n, self.step = Ring.of(), target.shape[0], 0
        if settings.geometry != "none":
            raise _alike(ValueError(f"geometry={settings.geometry} is for one process (fiedler train); leave it out"))
        if settings.dropout:
            raise _alike(ValueError("dropout is for one process (fiedler train); set it to 0 to spread a batch"))
        if self.ring.world > self.n:
            raise _alike(
                ValueError(f"{self.ring.world} processes have no node each of {self.n}; start at most {self.n}")
            )
        here = row_range(self.n, self.ring.world, self.ring.rank)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = _RowLoss(build_network(self.n, settings))
        self.model = module.model
        optimiser = torch.optim.AdamW(
            module.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._optimiser = optimiser
        self._module, self._stepper = accelerator.prepare(module, optimiser)
        self._accelerator, self.device = accelerator, accelerator.device
        self.settings = settings
        self._all_inputs = edge_inputs(self.n, settings)
        self._inputs = self._all_inputs[here.start : here.stop].to(self.device)
        columns = self.n + settings.other_tokens
        self._rows = csr_target(target[here.start : here.stop], columns=columns, device=self.device)

    def advance(self) -> None:
        """Take a step. Raises Diverged (a FloatingPointError), on every process, where the loss is not finite."""
        self._module.train()
        self._stepper.zero_grad(set_to_none=True)
        loss, _ = self._module(self._inputs, self._rows)
        self._mean(loss)
        self._accelerator.backward(loss * (self.ring.world / self.n))
        self._stepper.step()
        self.step += 1

    def current(self) -> ParallelState:
        """The state now. Raises Diverged, on every process."""
        self._module.eval()
        with torch.no_grad():
            loss, hidden = self._module(self._inputs, self._rows)
            embedding = self.model.output_embedding[: self.n]
            logits = (hidden @ embedding.T).cpu().numpy()
        return ParallelState(self.step, embedding.detach().cpu().numpy().copy(), self._mean(loss), logits)

    def all_logits(self) -> NDArray[np.float32]:
        """(n, n) over the nodes, of every row, made by this process alone."""
        self.model.eval()
        with torch.no_grad():
            hidden = self.model.hidden(self._all_inputs.to(self.device))
            return (hidden @ self.model.output_embedding[: self.n].T).cpu().numpy()

    def state(self) -> dict[str, NDArray[Any]]:
        """Weights and moments, alike on every process, for ``restore``."""
        return learned_state(dict(self.model.named_parameters()), self._optimiser)

    def restore(self, step: int, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from ``state()`` of ``step``."""
        load_learned_state(dict(self.model.named_parameters()), self._optimiser, state)
        self.step = step

    def _mean(self, loss: torch.Tensor) -> float:
        value = float(self.ring.gather(loss.detach().double()).sum()) / self.n
        if not np.isfinite(value):
            raise _alike(Diverged(f"training diverged before step {self.step}", "lower the learning rate", self.step))
        return value


def train_parallel_transformer(
    target: sp.csr_array,
    settings: NeuralSettings,
    seed: int,
    record_steps: Sequence[int] | NDArray[np.int64],
    *,
    device: str = "cpu",
) -> Iterator[ParallelState]:
    """Yield the state at each of the ascending ``record_steps`` (<= settings.steps), on every process of the world; see
    ParallelTransformerTraining for the arguments and errors. Raises Diverged, too, naming the step."""
    training = ParallelTransformerTraining(target, settings, seed, device=device)
    for record in record_steps:
        while training.step < record:
            training.advance()
        yield training.current()


def _accelerator(device: str) -> Any:
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise RuntimeError('accelerate is not installed; pip install "fiedler[distributed]"') from error
    return Accelerator(cpu=device == "cpu", mixed_precision="no")


def _alike(error: Exception) -> Exception:
    error.add_note(ALIKE)
    return error
