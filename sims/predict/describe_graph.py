"""Laplacian spectra as `fiedler theory --json` prints them: distinct eigenvalues with multiplicities."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import (
    Graph,
    associative_bits,
    cycle_storage,
    geometric_norm_bound,
    laplacian_eigenpairs,
    path_star_storage,
)


def describe_spectrum(eigenvalues: NDArray[np.float64], multiplicities: NDArray[np.int64]) -> list[dict[str, Any]]:
    """One entry a distinct eigenvalue, in the order given."""
    return [
        {"eigenvalue": float(value), "multiplicity": int(count)}
        for value, count in zip(eigenvalues, multiplicities, strict=True)
    ]


def describe_modes(graph: Graph, count: int, laplacian: str, *, top: bool = False) -> dict[str, Any]:
    """``spectrum``: the ``count`` lowest (or highest) eigenvalues and those that share an eigenspace with them, and
    ``spectrum_proof``: the method, whether it is proved that no copy is missing, and the inertia counts that say so."""
    pairs = laplacian_eigenpairs(graph, count, laplacian, "top" if top else "bottom", vectors=False)
    return {
        "spectrum": describe_spectrum(pairs.eigenvalues, pairs.multiplicities),
        "spectrum_proof": {
            "end": "top" if top else "bottom",
            "method": pairs.method,
            "complete": pairs.complete,
            "inertia": [{"shift": shift, "below": below} for shift, below in pairs.inertia or ()],
            "note": pairs.note,
        },
    }


def describe_storage(graph: Graph, *, tied: bool) -> dict[str, Any]:
    """Bits and norms of associative and geometric memory, both directions of every edge stored (arXiv 2510.26745,
    propositions 1-3, with the geometric norm bound by matchings of ``theory.memory``).

    Loops and weights do not count. ``geometric_bits`` is None for graphs other than path-stars and cycles, for which
    no code is known. Raises ValueError for a graph without an edge between two nodes.
    """
    support = graph.adjacency.tocoo()
    edges = int(np.count_nonzero(support.row < support.col))
    if edges == 0:
        raise ValueError(f"{graph.name} has no edge between two nodes, so there is nothing to store")
    code = None
    if graph.family == "path-star":
        code = path_star_storage(*graph.parameters, both_directions=True, tied=tied)
    elif graph.family == "cycle":
        code = cycle_storage(graph.n, both_directions=True, tied=tied)
    return {
        "stored_pairs": 2 * edges,
        "associative_bits": associative_bits(graph.n, edges, both_directions=True),
        "geometric_bits": None if code is None else code.geometric_bits,
        "associative_norm": sqrt(2 * edges),
        "geometric_norm_at_least": geometric_norm_bound(graph, tied=tied),
    }
