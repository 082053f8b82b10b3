"""What a net ends as: effective ranks of its embedding and its logits, and whether the embedding is a geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import effective_rank, geometric_margin
from fiedler.theory.alignment import rank_of_energies

from ...tasks.task import Task

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranks:
    """exp of the Shannon entropy of the shares (Roy and Vetterli 2007): ``embedding``, of the centred Gram matrix's
    eigenvalues; ``logits``, of the singular values of the logits less each row's mean, which the softmax does not see.
    ``stable``: the stable rank ||Z||_F^2 / ||Z||_2^2 of the same logits. ``margin``: the geometric margin of VV'
    (``theory.geometric_margin``), above zero where neighbours are nearer than others, below in a lookup."""

    embedding: float
    logits: float
    stable: float
    margin: float

    @staticmethod
    def of(task: Task, embedding: NDArray[np.floating], logits: NDArray[np.floating]) -> Ranks:
        """Of an embedding (n, m) and its logits (n, n) on the graph of ``task``; NaN for logits that no folder kept."""
        z, v = np.asarray(logits, dtype=np.float64), np.asarray(embedding, dtype=np.float64)
        of_logits = stable = float("nan")
        if np.isfinite(z).all():
            values = np.asarray(np.linalg.svd(z - z.mean(axis=1, keepdims=True), compute_uv=False))
            of_logits = rank_of_energies(values, np.ones(len(values)))
            stable = float((values**2).sum() / values[0] ** 2) if values[0] > 0 else 0.0
        margin = geometric_margin(v, task.graph, direction=task.edges)[0]
        return Ranks(effective_rank(v, components=task.graph.component_labels), of_logits, stable, margin)
