"""Node2Vec against its certified optimum, and the statements about its gradient step and its spectra."""

from __future__ import annotations

import numpy as np

from fiedler.theory import (
    centre_rows,
    coefficient_norms,
    cross_entropy,
    effective_rank,
    fiedler_score,
    graph_optimum,
    mode_energy,
    parse,
    residual,
    row_softmax,
    tied_optimum,
)

from ...tasks.task import Task
from ..cell import At
from .training import train

STEP = 1e-4  # of the central difference: its error is of order STEP^2, its rounding 1e-16 / STEP
ACTIVE = 1e-2  # of the largest eigenvalue of the centred Gram matrix: what is drawn as a direction
KERNEL = 1e-2  # |eig C| below which a direction counts as still, of eigenvalues of order one


def gradient_step(at: At, graph: str, width: int = 8) -> dict[str, float]:
    """The largest relative error, over ten random directions D, of <C V, D>, C = (T - P) + (T - P)', against minus the
    central difference of the loss along D."""
    rng = np.random.default_rng(at.seed)
    target = Task(parse(graph)).target
    v = rng.standard_normal((len(target), width))
    r = residual(v @ v.T, target, np.ones(len(target)))
    step = (r + r.T) @ v
    errors = []
    for _ in range(10):
        d = rng.standard_normal(v.shape)
        ahead, behind = (
            float(cross_entropy(x @ x.T, target, np.ones(len(target)))) for x in (v + STEP * d, v - STEP * d)
        )
        slope = -(ahead - behind) / (2 * STEP)
        errors.append(abs(float((step * d).sum()) - slope) / (np.linalg.norm(step) * np.linalg.norm(d)))
    return {"error": float(max(errors))}


def limit(at: At, graph: str, steps: int = 10_000, width: int = 100) -> dict[str, float]:
    """A run of Node2Vec as in the paper (N(0, 1), width 100, 10,000 steps of 0.01) at its end, against the optimum.

    ``kernel``: ||C V|| / (||C|| ||V||); ``largest``: the largest eigenvalue of C; ``span``: share of the centred V in
    the predicted column space; ``first_spaces``: share in as many of the top eigenvectors of -L, whole eigenspaces
    after the first; ``directions``: eigenvalues of the centred Gram matrix above ACTIVE of the largest;
    ``level``: mean cosine of neighbours is in the scores of `fiedler train`.
    """
    task = Task(parse(graph))
    run = train(at, task, "node2vec", steps=steps, width=width)
    v = np.asarray(run.final.embedding, dtype=np.float64)
    optimum = tied_optimum(task.target)
    r = residual(v @ v.T, task.target, np.ones(task.graph.n))
    c = r + r.T
    values = np.linalg.svd(centre_rows(v, optimum.components), compute_uv=False) ** 2
    energy = mode_energy(centre_rows(v), task.spaces)
    sizes = np.cumsum(task.spaces.multiplicities)
    first = int(np.searchsorted(sizes, optimum.column_space.shape[1] + 1)) + 1
    constant = float(mode_energy(centre_rows(v), task.spaces)[0])
    return {
        "kernel": float(np.linalg.norm(c @ v) / (np.linalg.norm(c, 2) * np.linalg.norm(v))),
        "largest": float(np.linalg.eigvalsh(c)[-1]),
        "still": int((np.abs(np.linalg.eigvalsh(c)) < KERNEL).sum()),
        "span": fiedler_score(v, optimum),
        "first_spaces": float((energy[:first].sum() - constant) / max(energy.sum() - constant, 1e-300)),
        "directions": int((values > ACTIVE * values[0]).sum()),
        "effective_rank": effective_rank(v, components=optimum.components),
        "on_fiedler": float(coefficient_norms(v, task.target, task.spaces.basis[:, 1:2])[0]),
        "loss_above_optimum": float(run.modes.loss[-1] - optimum.loss_per_node),
    }


def optimum_rank(at: At, graph: str) -> dict[str, float]:
    """The certified optimum: the range that is proved of its rank, duality gap and KKT violation."""
    found = graph_optimum(parse(graph))
    return {
        "rank": found.rank,
        "rank_least": found.rank_range.low,
        "rank_most": found.rank_range.high,
        "violation": found.certificate.max_violation,
        "gap": found.relative_gap,
    }


def shared_eigenvectors(at: At, graph: str) -> dict[str, float]:
    """At the optimum: ||[P + P', K]||_F / (||P + P'||_2 ||K||_F), zero where the two share their eigenvectors; and the
    extreme eigenvalues of P, of P + P' and of T + T'."""
    task = Task(parse(graph))
    optimum = tied_optimum(task.target)
    k = optimum.gram
    p = row_softmax(k + optimum.bias)
    s, t = p + p.T, task.target + task.target.T
    eigenvalues = np.linalg.eigvals(p)
    return {
        "commutator": float(np.linalg.norm(s @ k - k @ s) / (np.linalg.norm(s, 2) * np.linalg.norm(k))),
        "p_least": float(eigenvalues.real.min()),
        "p_most": float(eigenvalues.real.max()),
        "p_imaginary": float(np.abs(eigenvalues.imag).max()),
        "sum_least": float(np.linalg.eigvalsh(s)[0]),
        "sum_most": float(np.linalg.eigvalsh(s)[-1]),
        "target_least": float(np.linalg.eigvalsh(t)[0]),
        "target_most": float(np.linalg.eigvalsh(t)[-1]),
    }
