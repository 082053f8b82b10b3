"""What figures, tables and reports share: style, coordinates in the plane, Markdown, where numbers come from."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .style import save_figure as save_figure

__getattr__, __dir__, __all__ = attach(__name__, __file__)
