"""Numbers of arXiv 2510.26745 and of its public release on the tiny graphs, for tables that put ours beside them.

One seed each, as printed by the release's notebooks or decoded from its vector figures. ``PUBLISHED[model][graph]``
maps a score to its number. The loss is per training line; recall is the first step at which every edge is recalled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GRAPHS = ("path-star:4x5", "grid:4x4", "cycle:15", "irregular")

Numbers = Mapping[str, float]


def _rows(**columns: tuple[float | None, ...]) -> dict[str, dict[str, float]]:
    """One tuple a score, in the order of GRAPHS, turned into one dictionary a graph."""
    return {
        graph: {name: value for name, values in columns.items() if (value := values[i]) is not None}
        for i, graph in enumerate(GRAPHS)
    }


PUBLISHED: dict[str, dict[str, dict[str, float]]] = {
    "node2vec": _rows(
        # per node: Node2Vec weighs nodes alike
        loss=(1.301026, 1.836497, 1.434918, 1.503817),
        geometric_level=(0.9705, 0.9344, 0.9613, 0.9731),
        geometric_level_centred=(0.837, 0.727, 0.914, 0.928),
    ),
    "node2vec-self-edges": _rows(
        loss=(1.15907, 1.6223, 1.2245, 1.36104),
        geometric_level=(0.9694, 0.9369, 0.9684, 0.9726),
    ),
    "transformer": _rows(
        loss=(0.6956, 1.1310, 0.6961, 0.9380),
        geometric_level=(0.333, 0.228, 0.449, 0.404),
        recall_step=(134, 283, 407, 322),
    ),
    "transformer-forward": _rows(
        loss=(0.3484, 0.5213, 0.0005, 0.4426),
        geometric_level=(0.512, 0.455, 0.674, 0.377),
        recall_step=(39, 47, 43, 50),
    ),
    "transformer-self-edges": _rows(
        loss=(1.0253, 1.4069, 1.1051, 1.2645),
        # of the release's lines, self pairs included; on the star these hold every self-edge twice
        geometric_level=(None, 0.618, 0.782, 0.802),
        recall_step=(34, 51, 43, 42),
    ),
    "one-layer": _rows(
        loss=(0.6924, 1.1292, 0.6977, 0.9385),
        geometric_level=(-0.062, -0.185, 0.114, 0.250),
        geometric_margin=(4.08, 2.51, 7.87, 8.13),
        geometric_margin_top1=(0.82, 0.56, 1.0, 0.875),
        transposed_margin=(9.13, 10.45, 8.82, 9.33),
        recall_step=(33, 38, 4, 233),
    ),
    "one-layer-self-edges": _rows(
        loss=(1.0148, 1.4044, 1.1058, 1.2664),
        geometric_level=(None, 0.586, 0.893, 0.800),
        geometric_margin=(6.93, 9.45, 6.88, 5.76),
        transposed_margin=(8.36, 10.05, 7.40, 6.40),
    ),
    "associative": _rows(
        loss=(1.2801, 1.6481, 0.9780, 1.1987),
        geometric_level=(0.033, -0.029, 0.058, -0.036),
        geometric_margin=(-0.24, -0.15, -1.15, -0.10),
        geometric_margin_top1=(0.118, 0.1875, 0.133, 0.3125),
        transposed_margin=(1.35, 0.96, -0.17, 1.20),
        recall_step=(318, 249, 3607, 237),
    ),
    "associative-fast": _rows(
        loss=(0.6963, 1.1434, 0.6997, 0.9389),
        geometric_level=(0.016, 0.008, 0.014, 0.012),
        recall_step=(1, 1, 1, 1),
    ),
}

# The knobs of a one-layer net of width 512 on the 15-cycle, in the order of the release's notebook.
_KNOB_SCORES = ("transposed_margin", "geometric_margin", "geometric_margin_top1", "loss")
KNOBS: dict[str, dict[str, float]] = {
    name: dict(zip(_KNOB_SCORES, values, strict=True))
    for name, values in {
        "small init, rate 0.01": (8.82, 7.87, 1.0, 0.6977),
        "small init, rate 0.0001": (15.46, 3.42, 0.933, 0.6914),
        "small init, self-edges": (7.40, 6.88, 0.80, 1.1058),
        "large init, rate 0.0001": (1.79, -0.75, 0.333, 0.7046),
        "large init, rate 0.1": (-58.3, 11.99, 0.733, 0.7607),
        "large init, decay 10": (4.80, 2.97, 1.0, 0.7109),
        # its loss is one step's, with dropout
        "large init, dropout 0.4": (24.02, 9.03, 1.0, 2.2254),
    }.items()
}


def published_numbers(key: str, graph: str) -> Mapping[str, Any]:
    """The numbers of a run of a preset, empty where nothing is published."""
    return KNOBS.get(key) or PUBLISHED.get(key, {}).get(graph, {})
