"""Follow-ups: depth and rank, tied and untied on cycles, the identity bridge, crossing and retention."""

from __future__ import annotations

from ..claim import Cell, Claim
from ..criterion import Check, Criterion
from .tiny import CYCLE, GRID, STAR, modes, names

DESCENT = "linear:optimiser=sgd,learning_rate=0.0025,steps=4000"
STARTS = {8: "init_std=0.3", 32: "init_std=0.15"}
NETS = {
    (layers, width): modes(f"{layers} layers, width {width}", GRID,
                           f"{DESCENT},width={width},layers={layers},residual=false,{STARTS[width]}")
    for layers, width in ((1, 8), (1, 32), (3, 32))
}  # fmt: skip
RESIDUAL = tuple(
    Cell(f"{graph}, {layers} layers", {"measure": "ladder.limit", "graph": graph, "layers": layers, "steps": steps})
    for graph, steps in ((CYCLE, 10_000), ("torus:4x4", 2000))
    for layers in (1, 2, 3)
)
LONG = "steps=10000,width=50,init_std=0.02"
CELLS = {
    (kind, smoothing): modes(f"{kind}{' smoothed' if smoothing else ' sparse'}", CYCLE, f"{word}:{LONG}",
                             label_smoothing=smoothing)
    for kind, word in (("tied", "node2vec"), ("untied", "node2vec-untied")) for smoothing in (0.0, 0.15)
}  # fmt: skip
UNTIED = "node2vec-untied:width=50,init_std=0.02,steps=3000"
APART = tuple(modes(f"without, {graph}", graph, UNTIED) for graph in (STAR, GRID, CYCLE))
BRIDGE = tuple(modes(f"with u -> u, {graph}", graph, UNTIED, self_edges=True) for graph in (STAR, GRID, CYCLE))
IDENTITY = "linear:optimiser=sgd,learning_rate=0.005,width=32,init_std=1e-6,embedding_std=0.02,steps=20000"
PEAKS = tuple(
    Cell(graph, {"measure": "ladder.peak", "graph": graph, "model": IDENTITY}) for graph in (STAR, GRID, CYCLE)
)

CLAIMS = (
    Claim(
        "F.depth",
        "Depth lowers the effective rank, width raises it",
        "arXiv 2605.23087",
        "Under unregularised cross-entropy deeper linear nets have logits of lower effective rank, wider ones of "
        "higher.",
        "three layers less than one by 0.2, width 32 above width 8 by 0.2, without residuals, on the grid",
        "the other sign",
        tuple(NETS.values()),
        Criterion(
            (
                Check("effective rank of the logits, 3 layers less 1", (NETS[3, 32].name,), "logit_rank", most=-0.2,
                      minus=NETS[1, 32].name),
                Check("effective rank of the logits, width 32 less 8", (NETS[1, 32].name,), "logit_rank", least=0.2,
                      minus=NETS[1, 8].name),
            )
        ),
        120,
    ),
    Claim(
        "F.residual-depth",
        "With residual layers depth flattens the embedding, not the logits",
        "ours, beside arXiv 2605.23087",
        "On symmetric graphs residual linear nets of any depth converge to the tied optimum's logits; their Gram "
        "eigenvalues solve k (1 + k/2)^(L/2) = mu*.",
        "Gram eigenvalues within 2 % of the root and logits within 3 % of mu*, for one to three layers on two graphs",
        "logits that depend on the depth",
        RESIDUAL,
        Criterion(
            (
                Check("leading Gram eigenvalue over the root", names(RESIDUAL), "gram", 0.98, 1.02),
                Check("leading eigenvalue of the logits over mu*", names(RESIDUAL), "logits", 0.97, 1.03),
            )
        ),
        250,
    ),
    Claim(
        "F.cycles",
        "Tied and untied, sparse and smoothed, on a cycle",
        "OpenReview 2xbulaghSN",
        "On sparse targets the tied optimum is finite and of rank two, the untied one diverges with many directions; "
        "smoothed, the untied recovers the target and the tied its positive part.",
        "effective rank 2 tied and above 6 untied on sparse targets; smoothed, untied at the entropy floor, tied above "
        "it with no negative direction",
        "another rank, or a floor that is not reached",
        tuple(CELLS.values()),
        Criterion(
            (
                Check("effective rank, tied sparse", (CELLS["tied", 0.0].name,), "rank", 1.95, 2.05),
                Check("effective rank, untied sparse", (CELLS["untied", 0.0].name,), "rank", least=6.0),
                Check("loss above the floor, untied smoothed", (CELLS["untied", 0.15].name,), "loss", 0.0, 0.005,
                      minus=CELLS["untied", 0.15].name, minus_score="floor"),
                Check("loss above the floor, tied smoothed", (CELLS["tied", 0.15].name,), "loss", least=0.1,
                      minus=CELLS["tied", 0.15].name, minus_score="floor"),
                Check("energy on negative eigenvalues, tied smoothed", (CELLS["tied", 0.15].name,), "negative",
                      most=0.05),
            )
        ),
        60,
    ),
    Claim(
        "F.bridge",
        "Examples u -> u bridge two hops",
        "arXiv 2509.24653",
        "Supervision u -> u aligns input and output embeddings, so that one hop can be fed to the next.",
        "without: alignment below 0, 0.2 of two-hop pairs at most; with: above 0.5, 0.7 of them or more",
        "no alignment",
        (*APART, *BRIDGE),
        Criterion(
            (
                Check("alignment of V and U, without", names(APART), "alignment", most=0.0),
                Check("two hops found, without", names(APART), "two_hops", most=0.2),
                Check("alignment of V and U, with", names(BRIDGE), "alignment", least=0.5),
                Check("two hops found, with", names(BRIDGE), "two_hops", least=0.7),
            )
        ),
        40,
    ),
    Claim(
        "F.retention",
        "Crossing is not retention",
        "third-party finding on paper A",
        "One layer Z = E B E' from B(0) = I reaches a geometry in the first eigenspace, keeps it on the cycle and "
        "loses it "
        "on star and grid in long training.",
        "peaks of 0.85 or more; 0.2 lost at t = 100 on star and grid, at most 0.02 on the cycle",
        "a peak that is kept on all graphs",
        PEAKS,
        Criterion(
            (
                Check("largest share in the first eigenspace", names(PEAKS), "peak", least=0.85),
                Check("lost at t = 100", (STAR, GRID), "lost", least=0.2),
                Check("lost at t = 100", (CYCLE,), "lost", most=0.02),
            )
        ),
        200,
    ),
)  # fmt: skip
