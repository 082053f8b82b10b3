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
RANKS = {"cycle:15": 2, "cycle:50": 2, "path-star:4x5": 3, "path-star:10x5": 9, "path-star:20x5": 19, "grid:4x4": 2}
LIMITS = limits(*TINY)
OPTIMA = optima(*RANKS)
WIDTHS = tuple(
    Cell(f"width {width}", {"measure": "node2vec.limit", "graph": "cycle:15", "width": width, "steps": 10_000})
    for width in (20, 100, 400)
)
SHARED = optima("cycle:15", "hypercube:4", "torus:4x4", "path-star:4x5", "grid:4x4", "karate",
                measure="shared_eigenvectors")  # fmt: skip

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
    Claim(
        "A.obs4",
        "Node2Vec converges to the Laplacian's top eigenvectors",
        "section 4, observation 4; observation 7 in appendix F; figure 7",
        "Tied one-hop Node2Vec ends with its columns in the null space of C, spanned by the top eigenvectors of -L, "
        "with "
        "no limit on the rank, no weight decay and no early stopping.",
        "||C V|| below 0.02 of ||C|| ||V||, and 0.9 of the centred energy in the top eigenspaces, on all four graphs",
        "energy elsewhere, or a C that does not vanish on the columns",
        LIMITS,
        Criterion(
            (
                Check("||C V|| over ||C|| ||V||", TINY, "kernel", most=0.02),
                Check("energy in the top eigenspaces of -L", TINY, "first_spaces", least=0.9),
            )
        ),
        90,
    ),
    Claim(
        "A.obs4-optimum",
        "What it converges to, exactly",
        "the open question of section 4 (answer: ours)",
        "The limit is the certified optimum over Gram matrices: null space, rank and eigenvectors follow from it.",
        "0.95 of the centred energy in the optimum's column space, and a loss within 0.02 of its",
        "another limit",
        LIMITS,
        Criterion(
            (
                Check("energy in the predicted column space", TINY, "span", least=0.95),
                Check("loss per node above the optimum", TINY, "loss_above_optimum", -1e-6, 0.02),
                Check("largest eigenvalue of C", TINY, "largest", most=0.02),
            )
        ),
        90,
        "10,000 steps are t = 100; where the infimum is not attained, as on star and grid, a power of t is left",
    ),
    Claim(
        "A.rank",
        "Two directions for a cycle, d - 1 for a path-star, two for a grid",
        "section 4.1 and figure 7",
        "The embedding has as many directions as the graph needs: 2 on a cycle, d - 1 on a path-star with d arms, 2 "
        "on a "
        "grid.",
        "that rank at the certified optimum, proved",
        "another rank",
        OPTIMA,
        Criterion(
            tuple(
                Check(f"proved rank, {end}", (graph,), f"rank_{end}", float(rank), float(rank))
                for graph, rank in RANKS.items()
                for end in ("least", "most")
            )
        ),
        15,
        "the grid's optimum has a third, weak direction (0.765 against 30.4), which 10,000 steps do not show",
    ),
    Claim(
        "A.pressure",
        "Low rank without pressure",
        "section 4, against bottleneck explanations",
        "The effective rank does not grow with the width: a bottleneck is not what makes it low.",
        "effective rank 2 on the 15-cycle at widths 20, 100 and 400",
        "a rank that grows with the width",
        WIDTHS,
        Criterion((Check("effective rank", tuple(cell.name for cell in WIDTHS), "effective_rank", 1.95, 2.05),)),
        60,
    ),
    Claim(
        "A.obs8",
        "P + P' and V V' share their eigenvectors",
        "appendix F, observation 8, used as an assumption",
        "The eigenvectors of P + P' are about those of the Gram matrix.",
        "a relative commutator below 0.02 at the optimum of six graphs",
        "a commutator above that: it is exact on vertex-transitive graphs and fails on the others",
        SHARED,
        Criterion((Check("relative commutator", tuple(cell.name for cell in SHARED), "commutator", most=0.02),)),
        15,
    ),
)
