"""How far a run has memorised its training lines, cheap enough to be recorded all along it."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fiedler.theory import one_way_arcs

from ..tasks.task import Task

MOST_NODES = 512  # up to here logits of all nodes are made only to be recorded
ROWS = 512  # of logits that are ranked together: all at once would fill the memory several times


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
    return leading_share(logits, _lines(task).neighbour, itself=False)


def leading_share(scores: NDArray[np.floating], wanted: sp.csr_array, *, itself: bool = True) -> float:
    """The share of the ``wanted`` pairs (u, v), a boolean (n, n), with v among the largest ``scores`` of row u, as many
    as u wants; u itself is left out of the ranking without ``itself``. NaN where nothing is wanted."""
    if not wanted.nnz:
        return float("nan")
    hits = 0
    for start in range(0, len(scores), ROWS):
        z = np.array(scores[start : start + ROWS], dtype=np.float64)
        if not itself:
            here = np.arange(len(z))
            z[here, start + here] = -np.inf
        rows = wanted[start : start + ROWS].toarray()
        ranks = np.argsort(np.argsort(-z, axis=1, kind="stable"), axis=1)
        hits += int((rows & (ranks < rows.sum(axis=1, keepdims=True))).sum())
    return hits / wanted.nnz


class _Lines(NamedTuple):
    neighbour: sp.csr_array  # boolean (n, n), without the diagonal
    first: NDArray[np.integer]
    second: NDArray[np.integer]


@lru_cache(maxsize=16)  # tasks are compared by identity
def _lines(task: Task) -> _Lines:
    arcs = one_way_arcs(task.graph, task.edges)
    u, v = arcs.tocoo().coords
    apart = (u != v) & (arcs.tocoo().data > 0)
    neighbour = sp.csr_array((np.ones(apart.sum(), dtype=bool), (u[apart], v[apart])), shape=arcs.shape)
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
