"""Linear nets beyond Node2Vec: limits by depth, and whether a geometry that is reached is kept."""

from __future__ import annotations

import numpy as np

from fiedler.theory import centre_rows, graph_symmetry, ladder_limit, parse

from ...compare.ladder.retention import first_share, retention
from ...tasks.task import Task
from ..cell import At
from .training import train


def limit(at: At, graph: str, layers: int, steps: int) -> dict[str, float]:
    """A residual linear net by plain descent from a small start: its leading Gram eigenvalue over the root k of
    k (1 + k/2)^(L/2) = mu*, mu* the tied optimum's; and mu of its own logits over mu*."""
    task = Task(parse(graph))
    word = f"linear:optimiser=sgd,learning_rate=0.01,width=32,init_std=0.02,layers={layers},steps={steps}"
    run = train(at, task, word)
    values = np.linalg.svd(centre_rows(np.asarray(run.final.embedding, np.float64)), compute_uv=False) ** 2
    symmetry = graph_symmetry(parse(graph))
    assert symmetry is not None
    predicted = ladder_limit(symmetry.algebra, symmetry.target(), layers)
    z = np.asarray(run.final.logits, np.float64)
    z = z - z.mean(axis=1, keepdims=True)
    z = z - z.mean(axis=0, keepdims=True)
    tied = ladder_limit(symmetry.algebra, symmetry.target(), 0)
    return {
        "gram": float(values[0] / predicted.gram[0]),
        "logits": float(np.linalg.eigvalsh((z + z.T) / 2)[-1] / tied.gram[0]),
        "leading": float(values[0]),
    }


def peak(at: At, graph: str, model: str) -> dict[str, float]:
    """The share of the centred energy in the first eigenspace over the run: its ``peak``, its ``end``, and ``lost``."""
    run = train(at, Task(parse(graph)), model)
    found = retention(run.modes.steps.astype(np.float64), first_share(run.modes.centred_energy))
    return {"peak": found.peak, "peak_step": found.peak_time, "end": found.end, "lost": found.peak - found.end}
