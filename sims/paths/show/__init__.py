"""Figures, tables and report of path runs."""

from typing import TYPE_CHECKING

from ...lazy import attach

if TYPE_CHECKING:
    from .output import write_paths as write_paths

__getattr__, __dir__, __all__ = attach(__name__, __file__)
