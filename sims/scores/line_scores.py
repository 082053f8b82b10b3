"""How far a run has memorised its training lines, cheap enough to be recorded all along it."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import one_way_arcs

from ..tasks.task import Task

MOST_NODES = 512  # up to here logits of all nodes are made only to be recorded


class LineScores(NamedTuple):
    """``edge_recall`` and ``geometric_level``, each NaN where it is not defined."""

    edge_recall: float
    geometric_level: float


def line_scores(task: Task, embedding: NDArray[np.floating], logits: NDArray[np.floating]) -> LineScores:
    """Of an embedding (n, m), up to a rotation, and the logits (n, n) of one step."""
    return LineScores(edge_recall(task, logits), _level(task, np.asarray(embedding, dtype=np.float64)))


def edge_recall(task: Task, logits: NDArray[np.floating]) -> float:
    """The fraction of the directed edges (u, v), u != v, of the task's direction with v among the largest logits of row
    u, as many as u has such edges, u itself left out; NaN where there is no such edge."""
    lines = _lines(task)
    if not lines.neighbour.any():
        return float("nan")
    z = np.array(logits, dtype=np.float64)
    np.fill_diagonal(z, -np.inf)
    ranks = np.argsort(np.argsort(-z, axis=1, kind="stable"), axis=1)
    hit = lines.neighbour & (ranks < lines.neighbour.sum(axis=1, keepdims=True))
    return float(hit.sum() / lines.neighbour.sum())


class _Lines(NamedTuple):
    neighbour: NDArray[np.bool_]  # (n, n), without the diagonal
    first: NDArray[np.integer]
    second: NDArray[np.integer]


@lru_cache(maxsize=16)  # tasks are compared by identity
def _lines(task: Task) -> _Lines:
    arcs = one_way_arcs(task.graph, task.edges)
    neighbour = arcs.toarray() > 0
    np.fill_diagonal(neighbour, False)
    u, v = arcs.tocoo().coords
    if task.self_edges:
        loops = np.arange(task.graph.n)
        keep = u != v
        u, v = np.concatenate([u[keep], loops]), np.concatenate([v[keep], loops])
    return _Lines(neighbour, u, v)


def _level(task: Task, v: NDArray[np.float64]) -> float:
    """Mean cosine over the training lines, self-edges included, as ``theory.geometric_level``."""
    lines = _lines(task)
    norms = np.linalg.norm(v, axis=1)
    if len(lines.first) == 0 or (norms[lines.first] == 0).any():
        return float("nan")
    unit = v / np.where(norms == 0, 1.0, norms)[:, None]
    return float((unit[lines.first] * unit[lines.second]).sum(axis=1).mean())
