"""Factual recall: random facts, their training, and what is measured of it."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .one_run import RecallRun as RecallRun
    from .one_run import run_recall as run_recall
    from .run import RecallResult as RecallResult
    from .run import run_recalls as run_recalls
    from .settings import RecallSettings as RecallSettings

__getattr__, __dir__, __all__ = attach(__name__, __file__, "sims")
