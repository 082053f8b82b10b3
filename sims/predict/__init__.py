"""What the theory says of a task, before any run; never sees a run."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .trajectory import PredictedTrajectory as PredictedTrajectory
    from .trajectory import predict_trajectory as predict_trajectory
    from .trajectory import predicted_spectrum as predicted_spectrum

__getattr__, __dir__, __all__ = attach(__name__, __file__)
