"""Figures for publications: a style sheet for each column width, and every figure of `fiedler figure` from run folders.

The style sheets are matplotlib's own kind: ``matplotlib.style.use("fiedler.sims.figures.single")``, or "double".
"""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .style import COLUMNS as COLUMNS
    from .style import Column as Column
    from .style import get_column as get_column

__getattr__, __dir__, __all__ = attach(__name__, __file__, "sims")
