"""Tiny graphs: every architecture's geometry, untying, self-edges, edge directions, a one-layer net's knobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..claim import Cell, Claim
from ..criterion import Check, Criterion

STAR, GRID, CYCLE = "path-star:4x5", "grid:4x4", "cycle:15"
NET = "one-layer:bias=true,other_tokens=9"
GPT = "transformer:position_std=1,other_tokens=9,learning_rate=0.01"
MODELS = {
    "Node2Vec": {"model": "node2vec"},
    "Transformer": {"model": f"{GPT},steps=500", "weights": "line"},
    "one-layer net": {"model": f"{NET},width=32,learning_rate=0.01,steps=500,schedule=cosine", "weights": "line"},
    "Mamba": {"model": "mamba:width=16,learning_rate=0.01,steps=500,other_tokens=9", "weights": "line"},
    "frozen": {"model": f"{NET},width=32,learning_rate=0.2,steps=500,frozen=true,schedule=cosine", "weights": "line"},
}


def run(name: str, graph: str, model: Mapping[str, Any], **task: Any) -> Cell:
    """A run of `fiedler train` with its scores."""
    return Cell(name, {"graph": graph, **model, **task})


def on(graph: str) -> tuple[Cell, ...]:
    """All models of one graph."""
    return tuple(run(f"{name}, {graph}", graph, model) for name, model in MODELS.items())


def modes(name: str, graph: str, model: str, **task: Any) -> Cell:
    """A run and the eigenspaces its embedding uses."""
    return Cell(name, {"measure": "tiny.modes", "graph": graph, "model": model, **task})


STARRED, GRIDDED = on(STAR), on(GRID)
TRAINED = tuple(name for name in MODELS if name != "frozen")
WIDE = f"{NET},width=512,steps=10000"
KNOBS = (
    run("small start", CYCLE, {"model": f"{WIDE},learning_rate=0.0001", "weights": "line"}),
    run("large start", CYCLE, {"model": f"{WIDE},learning_rate=0.0001,embedding_std=1", "weights": "line"}),
    run("large start, decay 10", CYCLE,
        {"model": f"{WIDE},learning_rate=0.0001,embedding_std=1,weight_decay=10", "weights": "line"}),
)  # fmt: skip
UNTIED = "node2vec-untied:width=50,init_std=0.02,steps=3000"
TIED = "node2vec:width=50,init_std=0.02,steps=3000"
APART = tuple(modes(f"untied, {graph}", graph, UNTIED) for graph in (STAR, GRID, CYCLE))
TOGETHER = tuple(modes(f"tied, {graph}", graph, TIED) for graph in (STAR, GRID, CYCLE))
LOOPS = tuple(modes(f"untied with u -> u, {graph}", graph, UNTIED, self_edges=True) for graph in (STAR, GRID, CYCLE))
ONE_LAYER = f"{NET},width=32,learning_rate=0.01,steps=500,schedule=cosine"
SELF = tuple(
    run(f"{name}, {graph}", graph, {"model": ONE_LAYER, "weights": "line"}, self_edges=extra)
    for graph in (STAR, GRID)
    for name, extra in (("without", False), ("with u -> u", True))
)
FORWARD = (
    run("forward, star", STAR, {"model": f"{GPT},width=32,steps=500", "weights": "line"}, edges="forward"),
    run("forward, cycle", CYCLE, {"model": f"{GPT},width=32,steps=700", "weights": "line"}, edges="forward"),
)


def names(cells: tuple[Cell, ...]) -> tuple[str, ...]:
    """Of cells."""
    return tuple(cell.name for cell in cells)


CLAIMS = (
    Claim(
        "A.obs5",
        "Every architecture arrives at a geometry",
        "appendix C.3, observation 5; figures 1, 12 to 15",
        "On tiny graphs Node2Vec, a Transformer, a one-layer net and Mamba arrive at embeddings along the graph's "
        "eigenvectors without path supervision; frozen embeddings remain a lookup.",
        "each model's energy in the predicted column space lies 0.05 or more above that of frozen embeddings, seed by "
        "seed, on star and grid; all recall every edge",
        "no more energy there than frozen embeddings have",
        (*STARRED, *GRIDDED),
        Criterion(
            (
                *(
                    Check(
                        f"energy in the predicted space above frozen, {graph}",
                        tuple(f"{name}, {graph}" for name in TRAINED),
                        "fiedler_score",
                        least=0.05,
                        minus=f"frozen, {graph}",
                    )
                    for graph in (STAR, GRID)
                ),
                Check("edges recalled", names((*STARRED, *GRIDDED)), "edge_recall", least=0.99),
            )
        ),
        200,
    ),
    Claim(
        "A.cleanest",
        "Node2Vec's geometry is the cleanest",
        "section 4 (stated headroom) and figure 1",
        "Node2Vec's geometry is cleaner than a Transformer's, so that Transformer memories could be more geometric.",
        "a Gram error lower by 0.2 or more than the Transformer's, on star and grid",
        "a Transformer as close to the optimum",
        (*STARRED[:2], *GRIDDED[:2]),
        Criterion(
            tuple(
                Check("Gram error of the Transformer above Node2Vec's", (f"Transformer, {graph}",), "gram_error",
                      least=0.2, minus=f"Node2Vec, {graph}")
                for graph in (STAR, GRID)
            )
        ),
        90,
    ),
    Claim(
        "A.untied",
        "Untying brings in negative eigendirections",
        "section 4.4 of version 2; figures 10, 11, 33, 34 there",
        "Untied embeddings use eigendirections of both signs, a zig-zag: neighbours point apart; tied ones use the top "
        "alone.",
        "0.2 of the untied energy on negative eigenvalues and at most 0.05 of the tied, on star, grid and cycle; "
        "centred "
        "cosine of neighbours below 0.2 untied, above 0.5 tied",
        "untied embeddings without negative directions",
        (*APART, *TOGETHER),
        Criterion(
            (
                Check("energy on negative eigenvalues", names(APART), "negative", least=0.2),
                Check("the same, tied", names(TOGETHER), "negative", most=0.05),
                Check("centred cosine of neighbours", names(APART), "neighbours", most=0.2),
                Check("the same, tied", names(TOGETHER), "neighbours", least=0.5),
            )
        ),
        40,
    ),
    Claim(
        "A.self-edges",
        "Self-edges take the zig-zag away",
        "section 4.4 of version 2, self-edge figures",
        "With every node among its own targets neighbours lie together instead of opposite.",
        "untied: less energy on negative eigenvalues, by 0.2; one-layer net: mean cosine of neighbours higher by 0.2",
        "no change",
        (*APART, *LOOPS, *SELF),
        Criterion(
            tuple(
                Check("energy on negative eigenvalues, change", (f"untied with u -> u, {graph}",), "negative",
                      most=-0.2, minus=f"untied, {graph}")
                for graph in (STAR, GRID, CYCLE)
            )
            + tuple(
                Check("one-layer net: cosine of neighbours, change", (f"with u -> u, {graph}",),
                      "geometric_level_neighbours", least=0.2, minus=f"without, {graph}")
                for graph in (STAR, GRID)
            )
        ),
        60,
    ),
    Claim(
        "A.fig21",
        "One direction of every edge is enough on tiny graphs",
        "figure 21 and observation 5",
        "Trained on forward edges alone a Transformer has a geometry on tiny graphs, a weaker one.",
        "mean cosine of neighbours of at least 0.2, and every edge recalled",
        "cosines about zero",
        FORWARD,
        Criterion(
            (
                Check("mean cosine of neighbours", names(FORWARD), "geometric_level", least=0.2),
                Check("edges recalled", names(FORWARD), "edge_recall", least=0.99),
            )
        ),
        60,
    ),
    Claim(
        "A.knobs",
        "Initial size, rate and decay switch between the memories",
        "the ablation of initialisation, rate, decay and dropout of version 2",
        "A one-layer net of width 512 on the 15-cycle is geometric from a small start, a lookup from a large one with "
        "a "
        "small rate, and geometric from a large one with strong weight decay.",
        "geometric margins above, below and above zero",
        "another sign",
        KNOBS,
        Criterion(
            (
                Check("geometric margin", ("small start", "large start, decay 10"), "geometric_margin", least=0.0),
                Check("geometric margin", ("large start",), "geometric_margin", most=0.0),
            )
        ),
        400,
    ),
)  # fmt: skip
