"""Prediction against runs: every model over seeds beside the optimum and the flow."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .comparison import Comparison as Comparison
    from .folder import read_comparison as read_comparison
    from .model_comparison import ModelComparison as ModelComparison
    from .run import compare as compare
    from .run import describe_comparison as describe_comparison
    from .trajectory_fit import TrajectoryFit as TrajectoryFit
    from .trajectory_fit import fit_trajectory as fit_trajectory

__getattr__, __dir__, __all__ = attach(__name__, __file__, "sims")
