"""How soon edges are recalled, and how soon a geometry is there."""

from __future__ import annotations

from fiedler.theory import parse

from ...scores.statistics import first_step
from ...tasks.task import Task
from ..cell import At
from .training import train

WHOLE = 0.999  # share of recalled edges that is all of them
LEVEL = 0.9  # of the last geometric level


def recall_steps(at: At, graph: str, model: str, weights: str = "node") -> dict[str, float]:
    """``first``: the first recorded step with every edge recalled, infinite where none is; ``recall`` and ``level``
    (mean cosine of neighbours) at the end, ``level_start`` at the start; ``level_step``: the first recorded step with
    LEVEL of the last level."""
    run = train(at, Task(parse(graph), weights=weights), model)
    modes = run.modes
    assert modes.edge_recall is not None
    assert modes.geometric_level is not None
    recalled, levels = modes.edge_recall >= WHOLE, modes.geometric_level
    near = levels >= LEVEL * levels[-1]
    return {
        "first": first_step(modes.steps, recalled),
        "recall": float(modes.edge_recall[-1]),
        "level": float(levels[-1]),
        "level_start": float(levels[0]),
        "level_step": first_step(modes.steps, near),
    }
