"""Paths from memory, by what is shown: edge directions, reverse paths, pause tokens, stages, trees, and Mamba."""

from __future__ import annotations

from ...paths.settings import PathSettings
from ..claim import Claim
from ..criterion import Check, Criterion
from .path_cells import CHANCE, cell
from .paths import SECONDS, WEIGHTS

FORWARD = cell("forward edges", edges="forward")
FORWARD_REVERSE = cell("forward edges, reverse path", edges="forward", task="reverse")
BACKWARD = cell("backward edges", edges="backward")
BACKWARD_REVERSE = cell("backward edges, reverse path", edges="backward", task="reverse")
REVERSE = cell("reverse path", task="reverse")
NO_PAUSE = cell("no pause tokens", pause=0)
STAGED = cell("edges first", recipe="staged")
LEAVES = cell("leaves held out", "tree-star:16x4")
# More arms: of 16 twelve are shown, whose first hops are memorised one by one, and no other is found (0, one seed).
ARMS = cell("arms held out", "tree-star:64x4", split="first-token", steps=600)
# More shown paths than dimensions: with fewer each leaf has a direction of its own, and its first hop is a lookup.
SMALL_MAMBA = PathSettings(
    arch="mamba", layers=2, width=32, pause=0, edge_batch=512, path_batch=40, learning_rate=4e-3, steps=400, records=20
)
MAMBA_CHANCE = 1 / 200
MAMBA, MAMBA_EDGES = (
    cell(name, "path-star:200x5", SMALL_MAMBA, recipe=recipe)
    for name, recipe in (("Mamba", "mixed"), ("Mamba, edges alone", "edges"))
)

CLAIMS = (
    Claim(
        "A.obs6a",
        "Forward edges alone find no paths",
        "appendix D.1, observation 6; figure 19",
        "Trained on edges away from the root alone, neither the forward nor the reverse path of an unseen leaf is "
        "found.",
        "first node at most 0.06 forward; whole reverse paths at most 0.06",
        "paths found without backward edges",
        (FORWARD, FORWARD_REVERSE),
        Criterion(
            (
                Check("first node, unseen paths", (FORWARD.name,), "first", most=3 * CHANCE),
                Check("whole reverse path", (FORWARD_REVERSE.name,), "path", most=3 * CHANCE),
            )
        ),
        2 * SECONDS,
    ),
    Claim(
        "A.obs6b",
        "Backward edges solve the reverse path alone",
        "appendix D.1, observation 6; figure 19",
        "Trained on edges toward the root alone, the reverse path is found and the forward one is not.",
        "reverse: 0.9 of the nodes after the copied leaf; forward: first node at most 0.06",
        "forward paths found, or reverse ones not",
        (BACKWARD, BACKWARD_REVERSE),
        Criterion(
            (
                Check("reverse path after its leaf", (BACKWARD_REVERSE.name,), "later", least=0.9),
                Check("first node, unseen paths", (BACKWARD.name,), "first", most=3 * CHANCE),
            )
        ),
        2 * SECONDS,
        "the answer begins with the leaf that the question names; copying one that was never a target is learned apart",
    ),
    Claim(
        "A.fig20",
        "Reverse paths are solved in the weights",
        "figure 20",
        "With both directions of every edge the path from leaf to root is found for unseen leaves.",
        "0.9 of the nodes after the copied leaf, whole paths for 0.2",
        "reverse paths at chance",
        (REVERSE,),
        Criterion(
            (
                Check("reverse path after its leaf", (REVERSE.name,), "later", least=0.9),
                Check("whole reverse path", (REVERSE.name,), "path", least=10 * CHANCE),
            )
        ),
        SECONDS,
        "in the context a reverse path is not built here",
    ),
    Claim(
        "A.fig22",
        "Pause tokens make it faster",
        "figure 22",
        "With pause tokens between question and answer unseen paths are found sooner.",
        "with 4 of them a larger mean of the first node's accuracy over the run, by 0.02, seed by seed",
        "no difference, or a smaller mean",
        (WEIGHTS, NO_PAUSE),
        Criterion(
            (
                Check("mean of the first node's accuracy over the run, 4 less 0", (WEIGHTS.name,), "area", least=0.02,
                      minus=NO_PAUSE.name),
            )
        ),
        2 * SECONDS,
    ),
    Claim(
        "A.fig23",
        "Edges first, then paths: a peak, then collapse",
        "figure 23",
        "Trained on edges and then on paths alone, unseen paths are found for a time and lost again.",
        "a peak of 0.1 or more, five times chance, and 0.05 of it lost at the end",
        "no peak, or a peak that is kept",
        (STAGED,),
        Criterion(
            (
                Check("best first node over the run", (STAGED.name,), "peak", least=5 * CHANCE),
                Check("lost at the end", (STAGED.name,), "lost", least=0.05),
            )
        ),
        SECONDS,
    ),
    Claim(
        "A.fig11",
        "Tree-stars are found, above one in the leaves",
        "figure 11 and its appendix",
        "Where arms branch, unseen leaves and leaves of unseen arms are reached above one in the number of leaves.",
        "first node right for 0.25 of held-out leaves of 16 arms, and for 0.12 of held-out arms of 64 (chance 1/64)",
        "first nodes at chance",
        (LEAVES, ARMS),
        Criterion(
            (
                Check("first node, leaves held out", (LEAVES.name,), "first", least=0.25),
                Check("first node, arms held out", (ARMS.name,), "first", least=0.12),
            )
        ),
        2.5 * SECONDS,
    ),
    Claim(
        "A.fig8",
        "Mamba finds unseen paths",
        "section 2, observation 1a; figure 8",
        "A Mamba that has memorised a path-star's edges and the paths to some leaves finds the paths to the others.",
        "first node right for ten times chance or more",
        "first nodes at chance",
        (MAMBA,),
        Criterion((Check("first node, unseen paths, 200 arms", (MAMBA.name,), "first", least=10 * MAMBA_CHANCE),)),
        300,
        "200 arms on a width of 32, a size found by trials: with fewer shown paths than dimensions it memorises them "
        "and finds no others",
    ),
    Claim(
        "A.fig9",
        "Mamba's geometry, from edges alone too",
        "section 2, observation 2; figures 9, 10",
        "Mamba's leaf embeddings lie nearest to their own first hops, strongly from edges alone too.",
        "0.5 or more of the unseen leaves (chance 0.02), with paths and from edges alone",
        "leaves nearest to others' first hops",
        (MAMBA, MAMBA_EDGES),
        Criterion(
            (Check("leaves nearest their first hop", (MAMBA.name, MAMBA_EDGES.name), "nearest", least=0.5),)
        ),
        500,
    ),
    Claim(
        "A.full-size",
        "Graphs of 50,000 nodes are solved",
        "section 2, figures 4, 8; table of hyper-parameters",
        "Twelve layers of width 384 to 784 solve path-stars of up to 90,001 nodes, as much as 100 % of unseen paths.",
        "the curves of figures 4 and 8",
        "first nodes at chance at that size",
        (),
        Criterion(
            reach="needs a GPU for days; `fiedler paths --preset full` is that set-up, and was not run; the graph "
            "alone, with a small model and exact edge targets, is `--preset full-cpu`"
        ),
        0,
    ),
)  # fmt: skip
