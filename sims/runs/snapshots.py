"""Which embeddings of a run are kept as they were on the way, and how much of each.

A run keeps up to FRAMES of them, evenly among its recorded steps, which are evenly spaced in log. Where whole
embeddings would take more than SNAPSHOT_BYTES only their leading principal coordinates are kept, and of very large
graphs fewer frames, or none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAMES = 40
SNAPSHOT_BYTES = 4 * 2**20  # a run, in float32
LARGEST = float(np.finfo(np.float32).max)
FEWEST_COLUMNS = 4  # three to draw, and one for the mean row, which is often the largest direction


@dataclass(frozen=True)
class SnapshotPlan:
    """``records``: indices of the recorded steps that are kept, ascending, the first and last among them;
    ``columns``: how many of the embedding's ``width`` columns."""

    records: tuple[int, ...]
    columns: int
    width: int

    @staticmethod
    def of(records: int, n: int, width: int) -> SnapshotPlan:
        """The plan for an (n, width) embedding recorded ``records`` times."""
        room = SNAPSHOT_BYTES // (4 * n)
        frames = min(FRAMES, records, room // min(width, FEWEST_COLUMNS))
        if frames < 2:
            return SnapshotPlan((), 0, width)
        chosen = np.unique(np.round(np.linspace(0, records - 1, frames)).astype(int))
        return SnapshotPlan(tuple(int(i) for i in chosen), min(width, room // len(chosen)), width)

    @property
    def whole(self) -> bool:
        """Whether embeddings are kept as they are, all in one orientation."""
        return self.columns == self.width

    def keep(self, embedding: NDArray[np.floating]) -> NDArray[np.float32]:
        """(n, columns): V itself, or U_r S_r of its singular value decomposition V = U S W', the best such matrix up to
        a rotation."""
        embedding = np.clip(embedding, -LARGEST, LARGEST)  # of runs on their way to divergence
        if self.whole and embedding.shape[1] == self.width:
            return np.array(embedding, dtype=np.float32)
        left, values, _ = np.linalg.svd(np.asarray(embedding, dtype=np.float64), full_matrices=False)
        kept = (left * values)[:, : self.columns]
        return np.pad(kept, ((0, 0), (0, self.columns - kept.shape[1]))).astype(np.float32)
