"""The task that words name, as a command line and a sweep's file write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fiedler.theory import ReadOptions

    from .task import Task


def make_task(
    graph: str,
    symmetrize: bool = False,
    *options: Any,
    dense: bool = True,
    reading: ReadOptions | None = None,
    **named: Any,
) -> Task:
    """The task on the graph that the word ``graph`` names, with the options of ``Task`` in its order or by name;
    ``reading``: how a file is read. With ``dense`` its target is built, sparse where the graph is large, which says at
    once whether it can be. Raises ValueError for bad input."""
    from fiedler.theory import parse

    from .task import Task

    task = Task(parse(graph, symmetrize=symmetrize, options=reading), *options, **named)
    if dense:
        # An impossible target or weight is bad input, to be said before anything is made.
        _ = task.solver_target, task.row_weight
    return task
