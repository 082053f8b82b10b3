"""One recorder for every model: mode energies of the embedding over log-spaced steps.

The energy of eigenspace k is ||Pi_k V||_F^2, Pi_k the projector on the k-th eigenspace of the graph's Laplacian. Only
energies are kept, not the embeddings: k numbers a recorded step instead of n x m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Eigenspaces, centre_rows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

POINTS_PER_RUN = 120  # recorded steps of a run: about 30 a decade over the four decades of a 10,000-step run


def log_spaced_steps(steps: int, points: int = POINTS_PER_RUN) -> Integers:
    """0, then about ``points`` distinct integers spaced evenly in log from 1 to ``steps``, ``steps`` included."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1; got {steps}")
    grid = np.unique(np.round(np.geomspace(1, steps, points)).astype(np.int64))
    return np.concatenate([[0], grid])


@dataclass(frozen=True, eq=False)
class Modes:
    """What one run recorded. ``steps`` (k,); ``energy`` and ``centred_energy`` (k, number of eigenspaces): with and
    without the mean row of V; ``loss`` (k,), the mean cross-entropy per node (natural logarithm)."""

    steps: Integers
    energy: Floats
    centred_energy: Floats
    loss: Floats


class Recorder:
    """Collects ``Modes``: call ``record`` at each step of ``steps``, in order, then ``finish``."""

    def __init__(self, spaces: Eigenspaces, steps: Integers) -> None:
        self.spaces, self.steps = spaces, steps
        self._rows: list[tuple[Floats, Floats, float]] = []

    def wants(self, step: int) -> bool:
        """Whether ``step`` is the next one to record."""
        return len(self._rows) < len(self.steps) and int(self.steps[len(self._rows)]) == step

    def record(self, embedding: NDArray[np.floating], loss: float) -> None:
        """Add the embedding (n, m) at the next of ``steps``; any rotation of it gives the same energies."""
        v = np.asarray(embedding, dtype=np.float64)
        self._rows.append((self._energy(v), self._energy(centre_rows(v)), float(loss)))

    def finish(self) -> Modes:
        """The record so far; raises RuntimeError if a step is missing."""
        if len(self._rows) != len(self.steps):
            raise RuntimeError(f"recorded {len(self._rows)} of {len(self.steps)} steps")
        energy, centred, loss = (np.array(column) for column in zip(*self._rows, strict=True))
        return Modes(self.steps, energy, centred, loss)

    def _energy(self, v: Floats) -> Floats:
        # Written out here rather than taken from theory: a measurement shares only the graph with the prediction.
        coordinates = self.spaces.basis.T @ v
        return np.bincount(self.spaces.labels, weights=(coordinates**2).sum(axis=1)).astype(np.float64)
