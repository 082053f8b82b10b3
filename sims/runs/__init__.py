"""Runs in their folders: trained, recorded, saved, stopped and taken up again, one or many side by side."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .control import Restart as Restart
    from .control import Watch as Watch
    from .engine import Run as Run
    from .engine import run_seeds as run_seeds
    from .estimate import Estimate as Estimate
    from .estimate import estimate_runs as estimate_runs
    from .folder import RunDir as RunDir
    from .recorder import Modes as Modes
    from .scored import run_and_score as run_and_score
    from .scored import score_final as score_final
    from .stopping import Interrupted as Interrupted
    from .stopping import StopRequest as StopRequest
    from .stopping import stop_on_signals as stop_on_signals

__getattr__, __dir__, __all__ = attach(__name__, __file__)
