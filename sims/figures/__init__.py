"""Figures for publications: a style sheet for each column width, and every figure of `fiedler figure` from run folders.

The style sheets are matplotlib's own kind: ``matplotlib.style.use("fiedler.sims.figures.single")``, or "double".
"""

from .style import COLUMNS, Column, get_column

__all__ = ["COLUMNS", "Column", "get_column"]
