"""Path finding from memory: the tasks, their training, and what is measured of it."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .one_run import PathRun as PathRun
    from .one_run import run_path as run_path
    from .run import PathResult as PathResult
    from .run import run_paths as run_paths
    from .settings import PathSettings as PathSettings

__getattr__, __dir__, __all__ = attach(__name__, __file__, "sims")
