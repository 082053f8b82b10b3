"""Grids and random samples of runs, in parallel, into one table."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .plan import SweepPlan as SweepPlan
    from .plan import plan_sweep as plan_sweep
    from .plan import read_sweep as read_sweep
    from .run import run_sweep as run_sweep

__getattr__, __dir__, __all__ = attach(__name__, __file__, "sims")
