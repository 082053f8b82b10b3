"""The associative memory: it is expressible, it is learnable, and it is found in a step or two."""

from __future__ import annotations

from ...compare.presets.published import GRAPHS
from ..claim import Cell, Claim
from ..criterion import Check, Criterion

DECAY = dict(zip(GRAPHS, (0.0, 0.0, 0.001, 0.001), strict=True))


def fast(graph: str) -> Cell:
    """Frozen embeddings of width 512, rate 0.1, ten steps: the set-up of the paper's lookup."""
    word = (
        "one-layer:bias=true,other_tokens=9,width=512,learning_rate=0.1,steps=10,frozen=true,"
        f"weight_decay={DECAY[graph]}"
    )
    return Cell(f"{graph}, frozen", {"measure": "associative.recall_steps", "graph": graph, "model": word,
                                     "weights": "line"})  # fmt: skip


def geometry(graph: str) -> Cell:
    """Node2Vec as in the paper, for a tenth of its steps."""
    return Cell(f"{graph}, Node2Vec", {"measure": "associative.recall_steps", "graph": graph,
                                       "model": "node2vec:steps=1000"})  # fmt: skip


FAST, SLOW = tuple(map(fast, GRAPHS)), tuple(map(geometry, GRAPHS))

CLAIMS = (
    Claim(
        "A.obs3c",
        "A lookup is found in two steps",
        "section 3 of version 2 (refutation by optimisation), associative-fast runs of the release",
        "With frozen random embeddings of width 512 a few full-batch steps on the inner weights store every edge, "
        "while a geometry takes about a hundred.",
        "all edges recalled within 2 steps on all four tiny graphs; Node2Vec needs 50 steps or more to nine tenths of "
        "its level",
        "a lookup later than that, or a geometry as soon",
        (*FAST, *SLOW),
        Criterion(
            (
                Check("step of full recall", tuple(cell.name for cell in FAST), "first", most=2),
                Check("edges recalled", tuple(cell.name for cell in FAST), "recall", least=1),
                Check("step of 0.9 of the level", tuple(cell.name for cell in SLOW), "level_step", least=50),
            )
        ),
        40,
    ),
    Claim(
        "A.obs3a",
        "An associative memory is learnable",
        "section 3.1, observation 3a (hypothesis of capacity pressure refuted)",
        "Trained inner weights between frozen random embeddings memorise all edges, with no geometry in the "
        "embeddings.",
        "full recall, and neighbours' cosines within 0.1 of zero, on all four tiny graphs",
        "edges that are not recalled",
        FAST,
        Criterion(
            (
                Check("edges recalled", tuple(cell.name for cell in FAST), "recall", least=1),
                Check("mean cosine of neighbours", tuple(cell.name for cell in FAST), "level", -0.1, 0.1),
            )
        ),
        15,
    ),
)
