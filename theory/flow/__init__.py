"""How training gets there: the exact gradient flow, its early phase, and plain gradient descent."""

from .at_times import tied_flow, tied_gram_flow, untied_flow, untied_gram_flow
from .cayley import CayleyTrajectory, cayley_flow
from .curvature import sharpness
from .descent import tied_descent, tied_gram_descent, untied_descent
from .early import EarlyModes, early_gram, early_modes
from .equations import FlowEquation, tied_equation, tied_gram_equation, untied_equation, untied_gram_equation
from .integrator import Event, Integration, integrate
from .mode_times import ModeTimes, early_spaces, measured_mode_times, reach_times
from .path import FlowPath, energy_reaches, follow, loss_falls_below, space_energies, stationary
from .starts import compact_start, gaussian_starts, untied_gaussian_starts, wide_tied_start, wide_untied_start
from .trajectory import TiedGramTrajectory, TiedTrajectory, UntiedGramTrajectory, UntiedTrajectory

__all__ = [
    "CayleyTrajectory",
    "EarlyModes",
    "Event",
    "FlowEquation",
    "FlowPath",
    "Integration",
    "ModeTimes",
    "TiedGramTrajectory",
    "TiedTrajectory",
    "UntiedGramTrajectory",
    "UntiedTrajectory",
    "cayley_flow",
    "compact_start",
    "early_gram",
    "early_modes",
    "early_spaces",
    "energy_reaches",
    "follow",
    "gaussian_starts",
    "integrate",
    "loss_falls_below",
    "measured_mode_times",
    "reach_times",
    "sharpness",
    "space_energies",
    "stationary",
    "tied_descent",
    "tied_equation",
    "tied_flow",
    "tied_gram_descent",
    "tied_gram_equation",
    "tied_gram_flow",
    "untied_descent",
    "untied_equation",
    "untied_flow",
    "untied_gaussian_starts",
    "untied_gram_equation",
    "untied_gram_flow",
    "wide_tied_start",
    "wide_untied_start",
]
