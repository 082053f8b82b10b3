"""Phase diagrams: a score over two options of runs, measured and predicted."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .diagram import PhaseDiagram as PhaseDiagram
    from .diagram import describe_phase as describe_phase
    from .diagram import phase_diagram as phase_diagram
    from .plot import phase_figure as phase_figure

__getattr__, __dir__, __all__ = attach(__name__, __file__, "sims")
