"""The command line: one file a command."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .commands import app as app
    from .commands import main as main

__getattr__, __dir__, __all__ = attach(__name__, __file__)
