"""The theory's answers for one graph as the plain dictionary that `fiedler theory --json` prints."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import TiedOptimum, UntiedOptimum, early_modes, spectrum, tied_optimum, untied_optimum

from .tasks import Task

LAPLACIAN = "symmetrized-random-walk"


def describe_optimum(optimum: TiedOptimum | UntiedOptimum) -> dict[str, Any]:
    """Optimum and certificate: see ``theory.optimum`` and ``theory.untied`` for what each number means.

    ``eigenvalues``: of the centred Gram matrix (tied); singular values of the logits (untied).
    """
    tied = isinstance(optimum, TiedOptimum)
    return {
        "attained": optimum.attained,
        "loss_per_node": optimum.loss_per_node,
        "eigenvalues": optimum.eigenvalues if isinstance(optimum, TiedOptimum) else optimum.singular_values,
        "eigenvalues_of": "centred Gram matrix" if tied else "logits (singular values)",
        "rank": optimum.rank,
        "diverging_directions": optimum.diverging if isinstance(optimum, TiedOptimum) else None,
        "certificate": {
            "max_violation": optimum.certificate.max_violation,
            "duality_gap": optimum.certificate.duality_gap,
        },
        "method": optimum.method,
    }


def describe_theory(
    task: Task, *, tied: bool = True, weight_decay: float = 0.0, init_scale: float = 0.01, laplacian: str = LAPLACIAN
) -> dict[str, Any]:
    """Spectrum, optimum with certificate and early-phase mode times of Node2Vec on ``task``.

    ``mode_times``: for each distinct positive growth rate s_k (``growth_rates``, descending, with multiplicity),
    t_k = ln(1/s^2) / (2 s_k) with s = ``init_scale``, in units of step_size * steps.
    """
    eigenvalues, multiplicities = spectrum(task.graph, laplacian)
    modes = early_modes(task.target, tied=tied, weight_decay=weight_decay)
    times = modes.mode_times(init_scale)  # first: it refuses a bad scale before the solver runs
    solver = tied_optimum if tied else untied_optimum
    optimum = solver(task.target, weight_decay=weight_decay)
    growing = np.isfinite(times)
    rates, counts = _group(modes.rates[growing])
    return {
        **task.describe(),
        "components": task.graph.component_count,
        "model": "tied" if tied else "untied",
        "weight_decay": weight_decay,
        "laplacian": laplacian,
        "spectrum": [
            {"eigenvalue": float(value), "multiplicity": int(count)}
            for value, count in zip(eigenvalues, multiplicities, strict=True)
        ],
        "optimum": describe_optimum(optimum),
        "init_scale": init_scale,
        "growth_rates": [
            {"rate": float(rate), "multiplicity": int(count)} for rate, count in zip(rates, counts, strict=True)
        ],
        "mode_times": [float(np.log(1 / init_scale**2) / (2 * rate)) for rate in rates],
    }


def _group(descending: NDArray[np.float64]) -> tuple[list[float], list[int]]:
    """Distinct values (means of runs closer than 1e-8 of the largest) and how often each occurs."""
    if len(descending) == 0:
        return [], []
    cuts = np.flatnonzero(-np.diff(descending) > 1e-8 * max(1.0, float(descending[0]))) + 1
    groups = np.split(descending, cuts)
    return [float(g.mean()) for g in groups], [len(g) for g in groups]
