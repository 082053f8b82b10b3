"""What the engine asks of a model in training, and what a model answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Diverged(FloatingPointError):
    """Training whose numbers are no longer finite. ``message``: what and where; ``hint``: what to change; ``step``: the
    last step known to be finite."""

    def __init__(self, message: str, hint: str, step: int) -> None:
        super().__init__(f"{message}: {hint}")
        self.message, self.hint, self.step = message, hint, step


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One seed at one step: its embedding (n, m) up to rotation, its loss per node and, where the graph is small enough
    to make them at every record, its logits (n, n)."""

    seed: int
    step: int
    embedding: NDArray[np.floating]
    loss: float
    logits: NDArray[np.floating] | None = None


@dataclass(frozen=True, eq=False)
class Final:
    """What a finished run leaves: ``embedding`` V (n, m), ``context`` U (n, m) where it is another matrix, and the
    logits (n, n) of every node as the next one; ``inner`` W (m, m) of a one-layer net, whose logits are E W E'."""

    embedding: NDArray[np.floating]
    context: NDArray[np.floating] | None
    logits: NDArray[np.floating]
    inner: NDArray[np.floating] | None = None


class Training(Protocol):
    """Some seeds in training, always between two steps.

    ``chunk``: the most steps of one ``advance``, between which a run can be saved and stopped. Going on from a
    ``state`` gives the same bits as never having stopped: it holds everything later steps depend on, random numbers
    included.
    """

    @property
    def seeds(self) -> tuple[int, ...]: ...

    @property
    def step(self) -> int: ...

    @property
    def chunk(self) -> int: ...

    def threads(self) -> AbstractContextManager[object]:
        """Sets the threads that suit the model, for the time of the context."""

    def advance(self, count: int) -> None:
        """Take ``count`` <= ``chunk`` steps. Raises Diverged."""

    def snapshots(self) -> list[Snapshot]:
        """Every seed now. Raises Diverged."""

    def finals(self) -> list[Final]:
        """Every seed's results, at the last step."""

    def state(self) -> list[dict[str, NDArray[Any]]]:
        """For each seed, arrays that ``restore`` takes."""

    def restore(self, step: int, states: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """Go on from ``state()`` of ``step``."""
