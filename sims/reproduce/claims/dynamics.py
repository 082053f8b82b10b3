"""Propositions 6 to 10 of paper A: the flow filters out low eigenvectors, in order."""

from __future__ import annotations

from ..claim import Cell, Claim
from ..criterion import Check, Criterion

GRAPHS = ("cycle:15", "hypercube:4", "path-star:4x5", "grid:4x4", "karate")
HUB = "path-star:20x2"
FLOWS = tuple(
    Cell(graph, {"measure": "dynamics.coefficients", "graph": graph}, seeded=False) for graph in (*GRAPHS, HUB)
)
EVERY = tuple(cell.name for cell in FLOWS)
DRIFTING = ("path-star:4x5", "grid:4x4", "karate", "florentine")
DRIFTS = tuple(Cell(graph, {"measure": "dynamics.drift", "graph": graph}, seeded=False) for graph in
               (*DRIFTING, "cycle:15"))  # fmt: skip
TINY = ("path-star:4x5", "grid:4x4", "cycle:15")
ORDER = tuple(Cell(graph, {"measure": "tiny.order", "graph": graph, "model": "node2vec:steps=10000"}) for graph in TINY)
NETS = {
    "Transformer": "transformer:steps=700",
    "one-layer net": "one-layer:steps=1000",
    "untied Transformer": "transformer:steps=700,tied=false",
}
NET_ORDER = tuple(
    Cell(name, {"measure": "tiny.order", "graph": "cycle:15", "model": word}) for name, word in NETS.items()
)

CLAIMS = (
    Claim(
        "A.prop6",
        "Eigenvalues of P + P' lie in [0, 2]",
        "appendix F, propositions 6 and 7",
        "Along training the eigenvalues of P + P' lie in [0, 2] and those of D^-1 A + (D^-1 A)' in [-2, 2], about.",
        "both, within 0.1, along the flow of six graphs, a star among them",
        "eigenvalues outside: on graphs with hubs",
        FLOWS,
        Criterion(
            (
                Check("least eigenvalue of P + P'", EVERY, "sum_least", least=-0.1),
                Check("largest eigenvalue of P + P'", EVERY, "sum_most", most=2.1),
                Check("least eigenvalue of T + T'", EVERY, "target_least", least=-2.1),
                Check("largest eigenvalue of T + T'", EVERY, "target_most", most=2.1),
            )
        ),
        15,
        "what holds without assumption is 0 <= eig(P) <= 1, as P is similar to a positive semidefinite matrix",
    ),
    Claim(
        "A.prop7",
        "Eigenvalues of P lie in [0, 1]",
        "ours, in place of the lower bound of proposition 7",
        "P = softmax(V V') has real eigenvalues in [0, 1], at any V and on any graph.",
        "that, to rounding, along the flow of six graphs",
        "an eigenvalue outside",
        FLOWS,
        Criterion(
            (
                Check("least eigenvalue of P", EVERY, "p_least", least=-1e-9),
                Check("largest eigenvalue of P", EVERY, "p_most", most=1 + 1e-9),
            ),
            universal=True,
        ),
        15,
    ),
    Claim(
        "A.prop8",
        "Eigenvalues of C rise to zero, the top ones alone",
        "appendix F, propositions 8 and 9",
        "Centred eigenvalues of C start below zero; those of the directions that survive rise to zero, the others stay "
        "below.",
        "none above 0.1 at the start; at t = 100 within 0.1 of zero on the predicted column space, below -0.001 "
        "outside",
        "a direction outside with a vanishing eigenvalue",
        FLOWS[:5],
        Criterion(
            (
                Check("largest centred eigenvalue of C at the start", GRAPHS, "start", most=0.1),
                Check("least over the column space at t = 100", GRAPHS, "kept", -0.1, 0.1),
                Check("largest outside it at t = 100", GRAPHS, "filtered", most=-0.001),
            )
        ),
        15,
    ),
    Claim(
        "A.prop10",
        "Training filters out low eigenvectors, in order",
        "appendix F, proposition 10; figure 7",
        "Longer training leaves fewer directions: eigenspaces of -L decay from the bottom, at times that the flow "
        "tells.",
        "the predicted order (Somers' D at least 0.9), times within 0.15 decades, energies overlapping by 0.9",
        "another order",
        ORDER,
        Criterion(
            (
                Check("order against the flow, Somers' D", TINY, "tied_order", least=0.9),
                Check("error of the times, decades", TINY, "tied_time_error", most=0.15),
                Check("overlap of final energies", TINY, "tied_overlap", least=0.9),
            )
        ),
        90,
    ),
    Claim(
        "A.collapse",
        "Very long training collapses onto the constant direction",
        "appendix F, remark on the degenerate eigenvector",
        "On graphs that are not regular the near-constant eigenvector has an eigenvalue above zero, so that the "
        "embedding "
        "collapses onto it in the end.",
        "a mean row that grows without bound, and an informative part that vanishes beside the optimum's",
        "an informative part that stays: the mean drifts as t^(1/4), the rest does not decay",
        DRIFTS,
        Criterion(
            (
                Check("exponent of the mean row's growth", DRIFTING, "exponent", 0.2, 0.3),
                Check("exponent on a regular graph", ("cycle:15",), "exponent", -0.01, 0.01),
                Check("centred energy at t = 1e4 over the optimum's", DRIFTING, "kept", most=0.5),
            )
        ),
        40,
    ),
    Claim(
        "A.hyp4",
        "A Transformer follows Node2Vec's spectral bias, adulterated",
        "section 4, hypothesis 4; 4.4 of version 2",
        "A Transformer with tied embeddings filters eigenspaces in the order of tied Node2Vec; a one-layer net and an "
        "untied Transformer, whose weights may be negative, in that of untied embeddings.",
        "Somers' D of at least 0.5 with the named flow, on the 15-cycle",
        "the other flow's order",
        NET_ORDER,
        Criterion(
            (
                Check("order against the tied flow", ("Transformer",), "tied_order", least=0.5),
                Check("order against the untied flow", ("one-layer net", "untied Transformer"), "untied_order",
                      least=0.5),
                Check("order against the tied flow", ("one-layer net", "untied Transformer"), "tied_order", most=0.5),
            )
        ),
        240,
    ),
)  # fmt: skip
