"""Effective ranks of an embedding and of its logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import effective_rank
from fiedler.theory.alignment import rank_of_energies

from ...tasks.task import Task

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranks:
    """exp of the entropy of the shares: ``embedding``, of the eigenvalues of the centred Gram matrix; ``logits``, of
    the singular values of the logits less each row's mean, which the softmax does not see."""

    embedding: float
    logits: float

    @staticmethod
    def of(task: Task, embedding: NDArray[np.floating], logits: NDArray[np.floating]) -> Ranks:
        """Of an embedding (n, m) and its logits (n, n) on the graph of ``task``; NaN for logits that no folder kept."""
        z, v = np.asarray(logits, dtype=np.float64), np.asarray(embedding, dtype=np.float64)
        of_logits = float("nan")
        if np.isfinite(z).all():
            values = np.linalg.svd(z - z.mean(axis=1, keepdims=True), compute_uv=False)
            of_logits = rank_of_energies(np.asarray(values), np.ones(len(values)))
        return Ranks(effective_rank(v, components=task.graph.component_labels), of_logits)
