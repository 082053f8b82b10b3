"""Tied one-hop Node2Vec: its gradient step, what it converges to, and in how many directions."""

from __future__ import annotations

from ..claim import Cell, Claim
from ..criterion import Check, Criterion

TINY = ("path-star:4x5", "grid:4x4", "cycle:15", "irregular")


def limits(*graphs: str) -> tuple[Cell, ...]:
    """Runs as in the paper: N(0, 1), width 100, 10,000 steps."""
    return tuple(Cell(graph, {"measure": "node2vec.limit", "graph": graph}) for graph in graphs)


def optima(*graphs: str, measure: str = "optimum_rank") -> tuple[Cell, ...]:
    """Certified optima, in which nothing is random."""
    return tuple(Cell(graph, {"measure": f"node2vec.{measure}", "graph": graph}, seeded=False) for graph in graphs)


STEPS = ("path-star:4x5", "grid:4x4", "cycle:15", "karate", "random:50,75,0")

CLAIMS = (
    Claim(
        "A.lemma",
        "The gradient step of Node2Vec",
        "appendix F, lemma",
        "V <- V + eta C V with C = (D^-1 A - P) + (D^-1 A - P)' is gradient ascent on the log-likelihood.",
        "<C V, D> is the slope of the loss along D, to seven digits, on five graphs",
        "another slope",
        tuple(Cell(graph, {"measure": "node2vec.gradient_step", "graph": graph}) for graph in STEPS),
        Criterion((Check("relative error of the slope", STEPS, "error", most=1e-7, every=True),)),
        5,
    ),
)
