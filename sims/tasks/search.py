"""Whether and how far the optimum of a task is sought: what the options of the commands say, without the solver."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .task import Task

OPTIMUM_NODES = 5000  # above, the optimum is left out unless it is asked for
TIME_LIMIT = 300.0  # seconds that the optimum is given unless another limit is
LEFT_OUT = "without the optimum (--no-optimum"


@dataclass(frozen=True)
class Search:
    """Whether and how far the optimum is sought. ``optimum``: None for graphs of up to OPTIMUM_NODES nodes.
    ``tolerance``: the relative duality gap at which the search ends, None for the solver's own; ``time_limit``: seconds
    after which it does, with the gap it then has.

    Raises ValueError for a tolerance outside [0, 1) or a limit that is not positive.

    >>> from fiedler.sims.tasks.search import Search
    >>> Search(optimum=False).left_out(100)
    'without the optimum (--no-optimum)'
    >>> Search().left_out(100), Search().left_out(10_000)
    ('', 'without the optimum (--no-optimum, taken by itself above 5000 nodes; --optimum seeks it)')
    """

    optimum: bool | None = None
    tolerance: float | None = None
    time_limit: float = TIME_LIMIT

    def __post_init__(self) -> None:
        if self.tolerance is not None and not 0 <= self.tolerance < 1:
            raise ValueError(
                f"tolerance is the relative duality gap to stop at, from 0 (exact) to below 1; got {self.tolerance}: "
                "give 0.001, say"
            )
        if not 0 < self.time_limit < math.inf:
            raise ValueError(f"time_limit must be a positive number of seconds; got {self.time_limit}: give 60, say")

    def left_out(self, nodes: int) -> str:
        """Why a graph of so many ``nodes`` has no optimum, in words; empty where it is sought."""
        if self.optimum is False:
            return f"{LEFT_OUT})"
        if self.optimum is None and nodes > OPTIMUM_NODES:
            return f"{LEFT_OUT}, taken by itself above {OPTIMUM_NODES} nodes; --optimum seeks it)"
        return ""

    def seconds(self, task: Task) -> float:
        """About how long the search will take, at most the limit; 0 where it is left out."""
        from fiedler.theory import estimate_optimum_seconds

        if self.left_out(task.graph.n):
            return 0.0
        estimate = estimate_optimum_seconds(task.graph.n, task.graph.adjacency.nnz, tolerance=self.tolerance)
        return min(estimate, self.time_limit)


SEARCH = Search()
