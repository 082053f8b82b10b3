"""Rival predictions for the same task, on the axes of the certified optimum: their Gram matrices and how far off they
are, from the optimum and from trained embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import (
    TiedOptimum,
    centred_support,
    gram_distance,
    laplacian_coordinates,
    positive_factors,
    qwem_matrix,
    second_order_chain,
    shifted_pmi,
    singular_factors,
)

from ..tasks.task import Task

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rival:
    """A prediction V (n, r) of another theory: r is the optimum's rank, widened to whole eigenspaces, or what there
    is where the theory predicts fewer directions."""

    name: str
    title: str
    embedding: Floats


def rival_predictions(task: Task, rank: int) -> tuple[Rival, ...]:
    """What four other theories predict for ``task`` at the given rank >= 1 (see ``theory.rivals``).

    ``laplacian``: the bottom non-trivial Laplacian eigenvectors, equally long. ``pmi``: positive eigenpairs of the
    positive PMI matrix. ``qwem``: positive eigenpairs of the QWEM matrix. ``support``: left singular factors of the
    centred support of the target. Label smoothing, of which they know nothing, is left out of the target. Raises
    ValueError for a task of one direction.
    """
    if task.directed:
        raise ValueError(
            f"the rivals are theories of undirected graphs; got the {task.edges} edges: take both directions"
        )
    law = _row_law(task)
    target, most = replace(task, label_smoothing=0.0).target, min(rank, task.graph.n - 1)
    pmi = shifted_pmi(target, row_law=law, truncation="positive")
    return (
        Rival("laplacian", "Laplacian eigenvectors", laplacian_coordinates(task.graph, most).coordinates),
        Rival("pmi", "positive PMI", positive_factors((pmi + pmi.T) / 2, most).left),
        Rival("qwem", "QWEM", positive_factors(qwem_matrix(target, row_law=law), most).left),
        Rival("support", "support SVD", singular_factors(centred_support(target), most).left),
    )


def describe_rivals(task: Task, optimum: TiedOptimum, embeddings: Sequence[Floats] = ()) -> list[dict[str, Any]]:
    """Per rival: name, title, rank, ``gram_error_of_optimum`` (distance of the certified optimum's centred Gram matrix
    from the rival's after the best scale) and ``gram_error`` of every embedding. Empty where the optimum is zero, and
    for one direction of the edges, of which the rivals, theories of undirected graphs, say nothing."""
    if optimum.rank == 0 or task.directed:
        return []
    best = optimum.embedding()
    return [
        {
            "name": rival.name,
            "title": rival.title,
            "rank": rival.embedding.shape[1],
            "gram_error_of_optimum": gram_distance(best, rival.embedding),
            "gram_error": [gram_distance(v, rival.embedding) for v in embeddings],
        }
        for rival in rival_predictions(task, optimum.rank)
    ]


def _row_law(task: Task) -> Floats:
    """The walk's own law of centres, under which the joint law of an undirected graph is symmetric."""
    if task.p == task.q == 1.0:
        return np.asarray(task.graph.degrees + (1.0 if task.self_edges else 0.0))
    return second_order_chain(task.graph, task.p, task.q, self_edges=task.self_edges).node_law
