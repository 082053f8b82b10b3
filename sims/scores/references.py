"""What scores of an embedding lie between: those of the certified optimum, and of random vectors of the same size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import TiedOptimum, tied_equation

from ..tasks.task import DENSE_NODES, Task
from .embedding import score_embedding

OPTIMUM, RANDOM = "optimum", "random"
SEED = 0  # of the random vectors


def loss_of_embedding(embedding: NDArray[np.floating], task: Task) -> float | None:
    """Cross-entropy a node, in nats, of the logits VV' of an embedding (n, m); None for more than DENSE_NODES nodes."""
    if task.graph.n > DENSE_NODES:
        return None
    v = np.asarray(embedding, dtype=np.float64)
    return float(tied_equation(task.target, v, row_weight=task.row_weight).loss(v)) / task.total_weight


def reference_scores(
    embedding: NDArray[np.floating], task: Task, optimum: TiedOptimum | None, *, weight_decay: float = 0.0
) -> dict[str, dict[str, Any]]:
    """``loss_per_node``, of the optimum its certified infimum, and the single numbers of ``score_embedding``: for the
    optimum, where there is one that is not zero, and for Gaussian vectors of the shape and Frobenius norm of
    ``embedding``. Empty for more than DENSE_NODES nodes."""
    if task.graph.n > DENSE_NODES:
        return {}
    noise = np.random.default_rng(SEED).standard_normal(embedding.shape)
    noise *= float(np.linalg.norm(embedding)) / float(np.linalg.norm(noise))
    vectors = {RANDOM: noise}
    if optimum is not None and optimum.rank:
        vectors = {OPTIMUM: optimum.embedding(), **vectors}
    found = {}
    for name, v in vectors.items():
        scores = score_embedding(v, task, optimum, weight_decay=weight_decay)
        single = {key: value for key, value in scores.items() if np.isscalar(value)}
        loss = optimum.loss_per_node if optimum is not None and name == OPTIMUM else loss_of_embedding(v, task)
        found[name] = {"loss_per_node": loss, **single}
    return found
