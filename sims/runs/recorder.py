"""One recorder for every model: mode energies of the embedding over log-spaced steps.

The energy of eigenspace k is ||Pi_k V||_F^2, Pi_k the projector on the k-th eigenspace of the graph's Laplacian. Of
most steps only energies are kept, k numbers instead of n x m; of some the embedding as well (``snapshots``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Eigenspaces

from .snapshots import SnapshotPlan

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
    without the mean row of V; ``loss`` (k,), the mean cross-entropy per node (natural logarithm); ``edge_recall`` and
    ``geometric_level`` (k,), see ``scores.line_scores``, None where logits were not recorded. ``snapshots`` (f, n,
    columns) float32 at ``snapshot_steps`` (f,): embeddings on the way, or their leading principal coordinates
    (``snapshots.SnapshotPlan``), as ``snapshot_whole`` says; None of a graph too large for any."""

    steps: Integers
    energy: Floats
    centred_energy: Floats
    loss: Floats
    edge_recall: Floats | None = None
    geometric_level: Floats | None = None
    snapshot_steps: Integers | None = None
    snapshots: NDArray[np.float32] | None = None
    snapshot_whole: NDArray[np.bool_] | None = None


class Recorder:
    """Collects ``Modes``: call ``record`` at each step of ``steps``, in order, then ``finish``."""

    def __init__(self, spaces: Eigenspaces, steps: Integers) -> None:
        self.spaces, self.steps = spaces, steps
        self._rows: list[tuple[Floats, Floats, float]] = []
        self._lines: list[tuple[float, float]] = []
        self._shots: dict[int, NDArray[np.float32]] = {}
        self._plan: SnapshotPlan | None = None
        self._sums = spaces.basis.sum(axis=0)

    @property
    def count(self) -> int:
        """How many steps are recorded."""
        return len(self._rows)

    @property
    def next_step(self) -> int | None:
        """The step to record next, None after the last."""
        return int(self.steps[self.count]) if self.count < len(self.steps) else None

    @property
    def takes_lines(self) -> bool:
        """Whether ``lines`` may still be recorded: at the start, or where every step so far has them."""
        return len(self._lines) == self.count

    def record(self, embedding: NDArray[np.floating], loss: float, lines: tuple[float, float] | None = None) -> None:
        """Add the embedding (n, m) at ``next_step``; any rotation of it gives the same energies. ``lines``: recall and
        level, at every step or at none."""
        v = np.asarray(embedding, dtype=np.float64)
        # Written out here rather than taken from theory: a measurement shares only the graph with the prediction.
        if self._plan is None:
            self._plan = SnapshotPlan.of(len(self.steps), *v.shape)
        if self.count in self._plan.records:
            self._shots[int(self.steps[self.count])] = self._plan.keep(v)
        coordinates = self.spaces.basis.T @ v
        centred = coordinates - np.outer(self._sums, v.mean(axis=0))
        self._rows.append((self._energy(coordinates), self._energy(centred), float(loss)))
        if lines is not None:
            self._lines.append((float(lines[0]), float(lines[1])))

    def state(self) -> dict[str, NDArray[Any]]:
        """What is recorded so far, for ``restore``."""
        energy, centred, loss = self._columns()
        found = {"energy": energy, "centred_energy": centred, "loss": loss}
        if self._lines:
            found["lines"] = np.array(self._lines)
        if self._plan is not None:
            found["snapshot_shape"] = np.array([len(self.spaces.basis), self._plan.width])
        return {**found, **self.snapshots()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take the place of the recorder whose ``state`` it is."""
        columns = (state["energy"], state["centred_energy"], state["loss"])
        self._rows = [(energy, centred, float(loss)) for energy, centred, loss in zip(*columns, strict=True)]
        self._lines = [(float(recall), float(level)) for recall, level in state.get("lines", [])]
        # Checkpoints of earlier versions hold no snapshots; those of later steps are kept all the same.
        kept = zip(state.get("snapshot_steps", []), state.get("snapshots", []), strict=True)
        self._shots = {int(step): shot for step, shot in kept}
        self._plan = SnapshotPlan.of(len(self.steps), *state["snapshot_shape"]) if "snapshot_shape" in state else None

    def finish(self) -> Modes:
        """The record; raises RuntimeError if a step is missing."""
        if self.count != len(self.steps):
            raise RuntimeError(f"recorded {self.count} of {len(self.steps)} steps")
        lines = np.array(self._lines, dtype=np.float64).T if self._lines else (None, None)
        return Modes(self.steps, *self._columns(), *lines, **self.snapshots())

    def snapshots(self) -> dict[str, NDArray[Any]]:
        """The fields of ``Modes`` that are about snapshots, empty without any."""
        if not self._shots or self._plan is None:
            return {}
        return {
            "snapshot_steps": np.array(list(self._shots), dtype=np.int64),
            "snapshots": np.array(list(self._shots.values())),
            "snapshot_whole": np.array(self._plan.whole),
        }

    def _columns(self) -> tuple[Floats, Floats, Floats]:
        shape = (self.count, len(self.spaces.eigenvalues))
        energy = np.array([row[0] for row in self._rows], dtype=np.float64).reshape(shape)
        centred = np.array([row[1] for row in self._rows], dtype=np.float64).reshape(shape)
        return energy, centred, np.array([row[2] for row in self._rows], dtype=np.float64)

    def _energy(self, coordinates: Floats) -> Floats:
        return np.bincount(self.spaces.labels, weights=(coordinates**2).sum(axis=1)).astype(np.float64)
