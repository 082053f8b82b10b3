"""Every score of what a run ended in: its embedding, its logits and, of a one-layer net, its inner weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from fiedler.theory import TiedOptimum, edge_margin, geometric_margin

from .scores import score_embedding, score_logits
from .tasks import Task
from .training import Final


def score_final(final: Final, task: Task, optimum: TiedOptimum) -> dict[str, Any]:
    """``score_embedding`` and ``score_logits``; for a one-layer net Z = E W E' the geometric margin through W, too.

    ``geometric_margin`` and its top-1 accuracy are then those of E W' E', W' the part of W that is diagonal in the
    right singular basis of E. ``bilinear_margin``: of E W E', the logits without a bias. ``transposed_margin``: of
    E W E' transposed, which is what E W E' gives with the weight of a ``torch.nn.Linear``, stored the other way round;
    the public release of arXiv 2510.26745 prints numbers of its sign and size as "original margin" where the two differ
    (embeddings N(0,1), learning rate 0.1).
    """
    scores = {**score_embedding(final.embedding, task, optimum), **score_logits(final.logits, task)}
    if final.inner is None:
        return scores
    e, w = np.asarray(final.embedding, dtype=np.float64), np.asarray(final.inner, dtype=np.float64)
    margin, top1 = geometric_margin(e, task.graph, inner=w, direction=task.edges)
    bilinear = e @ w @ e.T
    return {
        **scores,
        "geometric_margin": margin,
        "geometric_margin_top1": top1,
        "bilinear_margin": edge_margin(bilinear, task.graph, direction=task.edges)[0],
        "transposed_margin": edge_margin(bilinear.T, task.graph, direction=task.edges)[0],
    }
