"""Nodes of each family with closed forms, from its parameters: whether a graph can be what its family says.

Closed forms trust ``family`` and ``parameters``; numbers that do not even give the number of nodes are refused when the
graph is made.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log2, prod

from ..checks import check_text, shown

# How many parameters (None: one or more), and the nodes. Every parameter is at most the number of nodes.
NODES: dict[str, tuple[int | None, Callable[[tuple[int, ...]], float]]] = {
    "cycle": (1, prod),
    "torus": (None, prod),
    "grid": (None, prod),
    "path-star": (2, lambda p: p[0] * (p[1] - 1) + 1),
    "hypercube": (1, lambda p: 2.0 ** min(p[0], 1000)),
    "hamming": (2, lambda p: float(p[1]) ** p[0] if p[0] * log2(p[1]) < 1000 else float("inf")),
}


def check_family(family: object, parameters: object, n: int) -> None:
    """TypeError for a family that is no word or None, or parameters that are no integers; ValueError where the family
    is one of NODES and does not have n nodes."""
    if family is not None:
        check_text(family, "family")
    if not isinstance(parameters, tuple) or any(type(p) is not int for p in parameters):
        raise TypeError(f"parameters must be a tuple of integers; got {shown(parameters)}")
    if family not in NODES:
        return
    count, nodes = NODES[str(family)]
    fit = len(parameters) == count if count is not None else len(parameters) > 0
    if not (fit and all(1 <= p <= n for p in parameters) and nodes(parameters) == n):
        raise ValueError(
            f"no {family} with these {len(parameters)} parameters has {n} nodes; leave family and parameters out, or "
            "use parse"
        )
