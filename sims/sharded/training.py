"""Node2Vec by full-batch gradient descent with the embedding's rows spread over the processes of a group.

The run of ``models.node2vec.py``, seed for seed: the same initial numbers, the same step

    tied:    V <- (1 - 2 eta l) V - eta dL/dV,      untied: V <- (1 - eta l) V - eta dL/dV, and the same for U,

with L the loss summed over all nodes, and so the same trajectory up to rounding. A process holds its rows of V (and U),
of the target and of the gradient; what the others have goes past it a block at a time (``sharded_loss``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from fiedler.kernels.sharded.cross_entropy import ShardedLoss, sharded_loss
from fiedler.kernels.sharded.ring import ALIKE, Ring
from fiedler.kernels.sharded.target import sharded_target

from ..models.node2vec import Node2VecSettings
from ..models.protocol import Diverged
from ..runs.recorder import log_spaced_steps
from ..suggest import choose
from .row_shards import initial_rows

DTYPES = {"float64": torch.float64, "float32": torch.float32}


@dataclass(frozen=True, eq=False)
class ShardedState:
    """A step: ``embedding`` and, untied, ``context`` (n_r, m), the rows here; ``loss``, the mean cross-entropy per node
    of all, the same number on every process."""

    step: int
    embedding: NDArray[np.floating]
    context: NDArray[np.floating] | None
    loss: float


class ShardedTraining:
    """One run at one ``step``, this process's part; every process makes one and calls the same methods.

    ``rows``: the target's rows here, SciPy sparse (n_r, n) with n_r as ``row_sizes`` says or any other, in rank order.
    ``dtype``: "float64" or "float32", of the embedding and of every sum.
    """

    def __init__(
        self,
        rows: sp.csr_array,
        settings: Node2VecSettings,
        seed: int,
        *,
        process_group: Any = None,
        dtype: str = "float64",
        device: torch.device | str = "cpu",
    ) -> None:
        ring, error = Ring.of(process_group), None
        if dtype not in DTYPES:
            error = ValueError(f"unknown dtype {dtype!r}; {choose(dtype, DTYPES)}")
        elif settings.init != "gaussian":
            error = ValueError(f"init {settings.init!r} needs the whole matrix on one process; use gaussian for shards")
        facts = {"settings": repr(settings), "seed": seed}
        ring.agree(facts, error, device, same=tuple(facts))
        kind = DTYPES[dtype]
        self.settings, self.step = settings, 0
        self.target = sharded_target(rows, tied=settings.tied, process_group=process_group, dtype=kind, device=device)
        self.n = sum(self.target.row_sizes)
        first = self.target.column_starts[self.ring.rank]
        here = range(first, first + self.target.rows)
        embedding, context = initial_rows(self.n, settings, seed, here, np.dtype(dtype))
        self.embedding = torch.from_numpy(embedding).to(device)
        self.context = None if context is None else torch.from_numpy(context).to(device)
        self._found: ShardedLoss | None = None

    @property
    def ring(self) -> Ring:
        return self.target.ring

    def loss(self) -> float:
        """The mean cross-entropy per node now. Raises Diverged, on every process, where it is not finite."""
        # Nothing will ask for the gradients of the last step.
        loss = float(self._evaluate(gradients=self.step < self.settings.steps).total) / self.n
        if not math.isfinite(loss):
            error = Diverged(f"training diverged before step {self.step}", "lower the learning rate", self.step)
            error.add_note(ALIKE)
            raise error
        return loss

    def advance(self) -> None:
        """Take a step. Raises Diverged, on every process, with the state as it was."""
        self.loss()
        found, eta = self._evaluate(gradients=True), self.settings.learning_rate
        keep = 1 - eta * self.settings.weight_decay * (2 if self.settings.tied else 1)
        for part, slope in ((self.embedding, found.embedding), (self.context, found.context)):
            if part is not None:
                assert slope is not None
                part.mul_(keep).sub_(slope, alpha=eta)
        self._found = None
        self.step += 1

    def _evaluate(self, *, gradients: bool) -> ShardedLoss:
        if self._found is None or (gradients and self._found.embedding is None):
            need = (gradients, gradients and self.context is not None)
            self._found = sharded_loss(self.embedding, self.context, self.target, need=need)
        return self._found

    def current(self) -> ShardedState:
        """The state now, copied. Raises Diverged, on every process."""
        loss, arrays = self.loss(), self.state()
        copies = {name: array.copy() for name, array in arrays.items()}
        return ShardedState(self.step, copies["embedding"], copies.get("context"), loss)

    def state(self) -> dict[str, NDArray[np.floating]]:
        """The rows here, for ``restore``; on the CPU no copies."""
        parts = {"embedding": self.embedding, "context": self.context}
        return {name: part.cpu().numpy() for name, part in parts.items() if part is not None}

    def restore(self, step: int, state: dict[str, NDArray[np.floating]]) -> None:
        """Go on from ``state()`` of ``step``, of this process in a world of as many."""
        self._found, self.step = None, step
        for part, array in ((self.embedding, state["embedding"]), (self.context, state.get("context"))):
            if part is not None:
                part.copy_(torch.from_numpy(np.array(array)))


def train_sharded(
    rows: sp.csr_array,
    settings: Node2VecSettings,
    seed: int,
    record_steps: Sequence[int] | NDArray[np.int64] | None = None,
    *,
    process_group: Any = None,
    dtype: str = "float64",
    device: torch.device | str = "cpu",
) -> Iterator[ShardedState]:
    """Yield the rows here and the loss per node at each of the ascending ``record_steps`` (<= settings.steps), of
    ``log_spaced_steps`` when None.

    ``rows`` (n_r, n): this process's rows of the row-stochastic target, after those of the process before, perhaps
    none; no process needs the whole. ``process_group``: the default group when None, this process alone if there is
    none. The same world gives the same bits every time; ``train_node2vec`` gives the same up to rounding.

    Raises, on every process alike, ValueError and TypeError for rows and settings that do not fit together, and
    Diverged (a FloatingPointError) where the loss is no longer finite, naming the step.
    """
    training = ShardedTraining(rows, settings, seed, process_group=process_group, dtype=dtype, device=device)
    for step in log_spaced_steps(settings.steps) if record_steps is None else record_steps:
        while training.step < step:
            training.advance()
        yield training.current()
