"""How exact an optimum is asked to be, how long it may take, and what it will take."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from ..checks import check_real, check_whole_number, shown
from .objectives import COLUMNS_PER_ROOT, DENSE_SPECTRUM, Objective
from .row_pass import RowPass, pass_work, softmax_pass
from .search import Search, Solution, Watch

EXACT_UP_TO = 100  # nodes: an exact answer takes a second or so
# Relative gaps asked for above, by the number of nodes: each takes seconds to minutes on two cores.
DEFAULTS = ((1500, 1e-6), (3000, 1e-4), (6000, 1e-3))
LARGEST_DEFAULT = 1e-2

# Of the estimate: passes for each digit of the gap; in seconds, one number of the factor or the target in a pass, and
# the eigenvalue problems of all rounds for a cubed node.
PASSES_A_DIGIT, NODE, SPECTRA = 20, 2e-7, 1e-9
# Seconds for each digit that do not grow with the passes: as the square of the nodes up to the first, at most the last.
SLOW_NODES, SLOW_WORK, MOST_SLOW = 100, 0.1, 0.25
# Entries a row below which a graph is mostly chains and trees, and how many times the digits after the third then take.
CHAINS, CHAIN_DIGITS, EASY_DIGITS = 2.6, 5.0, 3.0
EXACT_DIGITS = 1e-8


def default_tolerance(n: int) -> float:
    """The relative duality gap that an optimum of ``n`` nodes is solved to where none is asked for; zero is exact.

    Raises ValueError for no node.
    """
    n = check_whole_number(n, "n", 1)
    if n <= EXACT_UP_TO:
        return 0.0
    return next((tolerance for most, tolerance in DEFAULTS if n <= most), LARGEST_DEFAULT)


@dataclass(frozen=True, eq=False)
class Effort:
    """``tolerance``: a relative duality gap, zero for exact; ``deadline``: of ``perf_counter``; ``watch`` and
    ``row_pass``: see ``tied_optimum``."""

    tolerance: float
    deadline: float
    watch: Watch | None
    row_pass: RowPass

    def search(self, objective: Objective, share: float = 1.0) -> Solution:
        """The optimum of ``objective`` with this effort, in ``share`` of what is left of the time."""
        now = perf_counter()
        objective.row_pass = self.row_pass
        return Search(objective, self.tolerance, now + share * (self.deadline - now), self.watch).run()


def check_effort(
    tolerance: float | None, time_limit: float | None, watch: Watch | None, n: int, row_pass: RowPass | None = None
) -> Effort:
    """Raises ValueError for a tolerance outside [0, 1) or a limit that is not positive."""
    asked = default_tolerance(n) if tolerance is None else _checked(tolerance)
    seconds = np.inf if time_limit is None else check_real(time_limit, "time_limit")
    if not seconds > 0:
        raise ValueError(f"time_limit must be a positive number of seconds; got {shown(time_limit)}")
    return Effort(asked, perf_counter() + seconds, watch, row_pass or softmax_pass)


def _checked(tolerance: float) -> float:
    asked = check_real(tolerance, "tolerance")
    if not 0 <= asked < 1:
        raise ValueError(f"tolerance is a relative duality gap, from 0 (exact) to below 1; got {shown(tolerance)}")
    return asked


def estimate_optimum_seconds(n: int, entries: int, *, tolerance: float | None = None) -> float:
    """About how many seconds the optimum of a target of ``n`` nodes with ``entries`` stored entries takes on two cores.

    A fit to graphs with hubs, leaves and chains: right to a factor of three or so where the tolerance is the default;
    a tiny decay or weights over many decades take ten times as long. Symmetry and closed forms, which take less, are
    not looked for. Raises ValueError for counts and tolerances that no target has.
    """
    n, entries = check_whole_number(n, "n", 1), check_whole_number(entries, "entries", 0)
    asked = default_tolerance(n) if tolerance is None else _checked(tolerance)
    digits = max(1.0, -np.log10(max(asked, EXACT_DIGITS)))
    if entries < CHAINS * n and n > EXACT_UP_TO:
        digits += (CHAIN_DIGITS - 1) * max(0.0, digits - EASY_DIGITS)
    passes = PASSES_A_DIGIT * digits
    columns = min(n, COLUMNS_PER_ROOT * np.sqrt(n))
    spectrum = SPECTRA * n**3 if n <= DENSE_SPECTRUM else 0.0
    slow = digits * min(MOST_SLOW, SLOW_WORK * (n / SLOW_NODES) ** 2)
    return float(passes * (pass_work(n, columns) + NODE * (n * columns + entries)) + spectrum + slow)
