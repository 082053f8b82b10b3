"""Embeddings of a path run on the way: those of the root and of whole arms, at some of the recorded steps.

Whole rows are kept, so that cosines between them are those of the run; where not all nodes fit into SNAPSHOT_BYTES, of
fewer arms, evenly chosen, and only then at fewer steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runs.snapshots import SNAPSHOT_BYTES
from .star import ROOT, StarPaths

FRAMES = 20  # at most, evenly among the recorded steps
LEAST_ARMS = 8  # below it there are fewer frames

FILM = "film"  # before the names of the arrays
NODES, STEPS, ROWS = f"{FILM}_nodes", f"{FILM}_steps", FILM


class Film:
    """Collects the rows of ``nodes`` (k,), the root first, at ``steps``; both empty where not two frames fit."""

    def __init__(self, star: StarPaths, width: int, steps: Sequence[int]) -> None:
        size = len(np.unique(star.paths[star.arms == 0, 1:]))  # of an arm
        room = SNAPSHOT_BYTES // (4 * width)  # rows, of all frames
        frames = min(FRAMES, len(steps), room // (1 + min(LEAST_ARMS, star.arm_count) * size))
        if frames < 2:
            self.steps, self.nodes = frozenset[int](), np.zeros(0, dtype=np.int64)
        else:
            self.steps = frozenset(int(steps[i]) for i in np.linspace(0, len(steps) - 1, frames).round().astype(int))
            self.nodes = _nodes(star, min(star.arm_count, (room // frames - 1) // size))
        self._rows: dict[int, NDArray[np.float32]] = {}

    def take(self, step: int, embedding: NDArray[np.float32]) -> None:
        """Keep the rows of the embedding (n, width) if ``step`` is one of the film's."""
        if step in self.steps:
            self._rows[step] = embedding[self.nodes]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """``film`` (f, k, width) float32 at ``film_steps`` (f,), of ``film_nodes`` (k,); none before two frames."""
        if len(self._rows) < 2:
            return {}
        steps = sorted(self._rows)
        return {ROWS: np.array([self._rows[step] for step in steps]), STEPS: np.array(steps), NODES: self.nodes}

    def state(self) -> dict[str, NDArray[Any]]:
        """What is taken so far, for ``restore``."""
        if not self._rows:
            return {}
        return {ROWS: np.array(list(self._rows.values())), STEPS: np.array(list(self._rows))}

    def restore(self, kept: Mapping[str, NDArray[Any]]) -> None:
        """Go on from ``state()``. A checkpoint of an earlier version has none: then the frames that follow are kept."""
        self._rows = {int(step): rows for step, rows in zip(kept.get(STEPS, ()), kept.get(ROWS, ()), strict=True)}


def _nodes(star: StarPaths, arms: int) -> NDArray[np.int64]:
    chosen = np.linspace(0, star.arm_count - 1, arms).round().astype(int)
    inside = np.unique(star.paths[np.isin(star.arms, chosen), 1:])
    return np.concatenate([[ROOT], inside]).astype(np.int64)
