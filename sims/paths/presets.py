"""Presets of ``fiedler paths``: what to train on which graph, named after the figures of arXiv 2510.26745.

The paper's graphs have 5,000 arms and more and are trained for hours on a GPU; all presets but "full" are of a size for
two CPU cores, and show which of two conditions learns, not the paper's accuracies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..suggest import choose
from .settings import PathSettings

BASE = PathSettings(steps=600)
SMALL = replace(BASE, layers=2, width=64, steps=200, edge_batch=64, path_batch=32, records=20)
# Many more shown paths (150) than dimensions: with fewer Mamba memorises them one by one, and finds no other.
MAMBA = replace(
    BASE, arch="mamba", layers=2, width=32, pause=0, steps=400, edge_batch=512, path_batch=40, learning_rate=4e-3
)
MAMBA_GRAPH = "path-star:200x5"
# A thousand arms within minutes: a step has an eighth of the directed edges, as whole neighbour distributions, and a
# third of the shown paths.
LARGE = replace(BASE, layers=2, width=64, steps=600, edge_batch=1000, path_batch=256, edge_targets="exact", records=24)
# The smallest of the paper's in-context graphs: with ten arms so short a training does not even learn to copy the root.
CONTEXT = replace(BASE, in_context=True, context_arms=2, learning_rate=5e-4)
LONGER = 1000  # steps in which the rest of an in-context path is learned
REVERSE = 2500  # and its reverse, all at once after some 1,400
PEAK_RECORDS = 40  # of a staged run, whose accuracy rises and is lost within 100 steps
FULL = PathSettings(
    layers=12,
    width=384,
    heads=8,
    pause=5,
    steps=40_000,
    edge_batch=8192,
    path_batch=1024,
    learning_rate=3e-4,
    warmup=1000,
    records=80,
)


@dataclass(frozen=True)
class PathPreset:
    """``conditions`` by name; ``seeds``: how many; ``device``: where it is meant to run."""

    about: str
    graph: str
    conditions: Mapping[str, PathSettings]
    seeds: int = 3
    device: str = "cpu"


def _regimes(base: PathSettings) -> dict[str, PathSettings]:
    return {
        "in_weights": base,
        "hardest_token": replace(base, objective="hardest"),
        "edges_only": replace(base, recipe="edges"),
    }


PRESETS: dict[str, PathPreset] = {
    "cpu": PathPreset(
        "in the weights, with frozen embeddings, and in the context",
        "path-star:100x5",
        {"in_weights": BASE, "frozen_embeddings": replace(BASE, frozen=True), "in_context": CONTEXT},
    ),
    "fig4": PathPreset(
        "full path and hardest token alone",
        "path-star:100x5",
        {"in_weights": BASE, "hardest_token": replace(BASE, objective="hardest")},
    ),
    "fig5": PathPreset(
        "in the context: next-token, teacherless, hardest token alone",
        "path-star:100x5",
        {
            "in_context": replace(CONTEXT, steps=LONGER),
            "in_context_teacherless": replace(CONTEXT, steps=LONGER, teacherless=True),
            "in_context_hardest": replace(CONTEXT, steps=LONGER, objective="hardest"),
        },
    ),
    "fig6": PathPreset("geometry with and without paths (also figures 16, 17)", "path-star:100x5", _regimes(BASE)),
    "edge-targets": PathPreset(
        "edges by one neighbour drawn, by all neighbours of the same nodes, and by all nodes",
        "path-star:50x5",
        {
            "sampled": SMALL,
            "exact": replace(SMALL, edge_targets="exact"),
            "exact_all_nodes": replace(SMALL, edge_targets="exact", edge_batch=400),
        },
        seeds=5,
    ),
    "large": PathPreset(
        "a thousand arms: edges by all neighbours or by one, the first node alone, frozen embeddings",
        "path-star:1000x5",
        {
            "exact": LARGE,
            "sampled": replace(LARGE, edge_targets="sampled"),
            "hardest_token": replace(LARGE, objective="hardest"),
            "frozen_embeddings": replace(LARGE, frozen=True),
        },
    ),
    "fig8": PathPreset(
        "Mamba: full path and hardest token alone",
        MAMBA_GRAPH,
        {"in_weights": MAMBA, "hardest_token": replace(MAMBA, objective="hardest")},
    ),
    "fig9": PathPreset("Mamba: geometry with and without paths", MAMBA_GRAPH, _regimes(MAMBA)),
    "fig11": PathPreset(
        "tree-star: leaves held out, and whole arms",
        "tree-star:32x5",
        {"split_at_leaf": BASE, "split_at_first_token": replace(BASE, split="first-token")},
    ),
    "fig19": PathPreset(
        "edge directions x task",
        "path-star:100x5",
        {
            f"{edges}_edges_{task}_path": replace(BASE, edges=edges, task=task)
            for task in ("forward", "reverse")
            for edges in ("both", "forward", "backward")
        },
    ),
    "fig20": PathPreset(
        "forward against reverse path, in the weights and in the context",
        "path-star:100x5",
        {
            "in_weights": BASE,
            "in_weights_reverse": replace(BASE, task="reverse"),
            "in_context_reverse": replace(CONTEXT, steps=REVERSE, task="reverse"),
        },
    ),
    "fig22": PathPreset(
        "pause tokens", "path-star:100x5", {f"pause_{n}": replace(BASE, pause=n) for n in (0, 2, 4, 6, 10)}
    ),
    "fig23": PathPreset(
        "edges first, then paths",
        "path-star:100x5",
        {
            "mixed": BASE,
            "staged": replace(BASE, recipe="staged", records=PEAK_RECORDS),
            "staged_hardest_token": replace(BASE, recipe="staged", objective="hardest", records=PEAK_RECORDS),
        },
    ),
    "full-cpu": PathPreset(
        "the paper's G(5000, 5) on one core: two blocks of width 64, exact edge targets",
        "path-star:5000x5",
        {"exact": replace(LARGE, edge_batch=5000, path_batch=1250)},
        seeds=1,
    ),
    "full": PathPreset(
        "the paper's G(5000, 5) on one GPU", "path-star:5000x5", {"in_weights": FULL}, seeds=1, device="cuda"
    ),
}


def get_preset(name: str) -> PathPreset:
    """The preset called ``name``. Raises ValueError for another name, with the nearest."""
    if name in PRESETS:
        return PRESETS[name]
    raise ValueError(f"unknown preset {name!r}; {choose(name, PRESETS)}")
