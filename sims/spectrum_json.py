"""Laplacian spectra as `fiedler theory --json` prints them: distinct eigenvalues with multiplicities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Graph, laplacian_eigenpairs


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
