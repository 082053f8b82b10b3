"""The limit of a rung's embedding where the closed forms know it, and why not where they do not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import PreNormNet, TiedOptimum, graph_symmetry, ladder_limit
from fiedler.theory.symmetry.of_graph import Symmetry

from ...tasks.task import Task
from .start import StartingNet

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RungLimit:
    """``spectrum``: non-zero eigenvalues of the limit's centred Gram matrix, descending, or None for the ``reason``."""

    spectrum: Floats | None
    reason: str = ""


def limit_of(task: Task, start: StartingNet, optimum: TiedOptimum | None) -> RungLimit:
    """Of a net trained without weight decay from a small start: the tied ``optimum`` without layers, its eigenvalues
    through phi(k) = mu* with residual layers of one matrix where R stays symmetric."""
    if not start.exact:
        return RungLimit(None, "the model has further parts")
    net = start.net
    if isinstance(net, PreNormNet):
        return RungLimit(None, "norms and units: the plateau is left again")
    if net.context is not None:
        return RungLimit(None, "untied: the logits diverge, or weight decay decides")
    if net.depth == 0:
        if optimum is None:
            return RungLimit(None, "the optimum was not sought")
        return RungLimit(optimum.eigenvalues if optimum.attained else None, "the infimum is not attained")
    if not net.residual or any(len(layer) > 1 for layer in net.layers):
        return RungLimit(None, "no closed form for random layers of this kind")
    if task.graph.component_count > 1:
        return RungLimit(None, "several components: no closed form without weight decay")
    symmetry = _symmetry(task) if task.one_hop and not task.directed else None
    if symmetry is None:
        return RungLimit(None, "too little symmetry for a closed form")
    target = symmetry.target(self_edges=task.self_edges, label_smoothing=task.label_smoothing)
    found = ladder_limit(symmetry.algebra, target, net.depth)
    if found.status != "optimum":
        return RungLimit(None, found.reason)
    return RungLimit(np.repeat(found.gram, found.multiplicities))


@lru_cache(maxsize=8)
def _symmetry(task: Task) -> Symmetry | None:
    return graph_symmetry(task.graph)
