"""Figures and report of a comparison."""

from typing import TYPE_CHECKING

from ...lazy import attach

if TYPE_CHECKING:
    from .figure import plot_comparison as plot_comparison
    from .report import comparison_markdown as comparison_markdown

__getattr__, __dir__, __all__ = attach(__name__, __file__)
