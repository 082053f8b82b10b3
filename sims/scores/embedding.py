"""Every alignment measure of one embedding, and how well a run follows its predicted trajectory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import (
    TiedOptimum,
    centre_rows,
    coefficient_norms,
    edge_margin,
    effective_rank,
    fiedler_score,
    geometric_level,
    geometric_margin,
    gram_error,
    gram_scale,
    mode_energy,
    principal_angles,
    vector_energy,
)

from ..tasks.task import DENSE_NODES, Task
from .line_scores import edge_recall

Floats = NDArray[np.float64]

AGAINST_OPTIMUM = ("fiedler_score", "gram_error", "gram_scale", "principal_angles")


def score_embedding(
    embedding: NDArray[np.floating], task: Task, optimum: TiedOptimum | None, *, weight_decay: float = 0.0
) -> dict[str, Any]:
    """The alignment measures of theory.alignment for one embedding (n, m), as a plain dictionary.

    Without an ``optimum`` the scores of AGAINST_OPTIMUM are None; ``weight_decay``: of the objective then, with which
    components have a place relative to each other. With one, ``optimum_relative_gap`` is its relative duality gap, and
    what that leaves open in those scores stands beside them (``describe_gap``). On graphs of
    more than DENSE_NODES nodes ``coefficient_norms``, of all pairs of nodes, is None and lists are of the lowest
    eigenspaces (``Task.spaces``).

    Lists are per eigenspace of the Laplacian in ascending eigenvalue (``energy``, ``centred_energy``) or per basis
    vector in that order (``vector_energy`` = ||V'e_i||, ``coefficient_norms`` = ||C e_i||). Edges are those of the
    task's direction; the self-edges of the task are in the geometric level, not in ``geometric_level_neighbours``.

    >>> from fiedler.sims import Task, score_embedding
    >>> from fiedler.theory import parse, tied_optimum
    >>> task = Task(parse("cycle:15"))
    >>> optimum = tied_optimum(task.target)
    >>> scores = score_embedding(optimum.embedding(), task, optimum)
    >>> [round(scores[name], 4) for name in ("fiedler_score", "gram_error", "effective_rank")]
    [1.0, 0.0, 2.0]
    """
    v = np.asarray(embedding, dtype=np.float64)
    margin, margin_top1 = geometric_margin(v, task.graph, direction=task.edges)
    lines: dict[str, Any] = {"self_edges": task.self_edges, "direction": task.edges}
    apart = task.graph.component_labels if weight_decay == 0 else np.zeros(task.graph.n, dtype=np.int64)
    pairs = task.graph.n <= DENSE_NODES
    return {
        "energy": mode_energy(v, task.spaces),
        "centred_energy": mode_energy(v, task.spaces, centred=True),
        "fiedler_score": None if optimum is None else fiedler_score(v, optimum),
        "effective_rank": effective_rank(v, components=apart if optimum is None else optimum.components),
        "gram_error": None if optimum is None else gram_error(v, optimum),
        "gram_scale": None if optimum is None else gram_scale(v, optimum),
        "principal_angles": None if optimum is None else principal_angles(v, optimum),
        **({} if optimum is None else describe_gap(v, optimum)),
        "geometric_level": geometric_level(v, task.graph, **lines),
        "geometric_level_centred": geometric_level(v, task.graph, **lines, centred=True),
        "geometric_level_neighbours": geometric_level(v, task.graph, direction=task.edges),
        "geometric_margin": margin,
        "geometric_margin_top1": margin_top1,
        "vector_energy": vector_energy(v, task.spaces.basis),
        "coefficient_norms": coefficient_norms(v, task.target, task.spaces.basis, task.row_weight) if pairs else None,
    }


def describe_gap(embedding: Floats, optimum: TiedOptimum) -> dict[str, Any]:
    """What the scores against ``optimum`` carry of its duality gap: ``gap_uncertainty`` of gram_error and gram_scale,
    and ``fiedler_score_range``, where the gap leaves its rank open, with the directions that are sure and with all."""
    gap, values = optimum.relative_gap, optimum.eigenvalues
    reach = gap_uncertainty(gap)
    found: dict[str, Any] = {"optimum_relative_gap": gap, "optimum_uncertainty": reach}
    sure = int((values > reach * values[0]).sum()) if len(values) else 0
    if sure < len(values):
        v = centre_rows(embedding, optimum.components)
        energy = ((optimum.column_space.T @ v) ** 2).sum(axis=1) / max(float((v**2).sum()), np.finfo(float).tiny)
        found["fiedler_score_range"] = [float(energy[:sure].sum()), float(energy.sum())]
    return found


def gap_uncertainty(gap: float) -> float:
    """About how far gram_error and gram_scale may be from those against the true optimum, at a relative duality
    ``gap``: its square root, since a loss is quadratic around its minimum. No bound, but more than the Gram matrix was
    off by on every graph and at every gap it was tried at (``tests/sims/scores/test_gap.py``)."""
    return float(np.sqrt(max(gap, 0.0)))


def score_logits(logits: NDArray[np.floating], task: Task) -> dict[str, Any]:
    """Edge margin and recall (``scores.line_scores.edge_recall``) of a model's own logits (n, n)."""
    z = np.array(logits, dtype=np.float64)
    margin, top1 = edge_margin(z, task.graph, direction=task.edges)
    return {"edge_margin": margin, "edge_top1": top1, "edge_recall": edge_recall(task, z)}
