"""The smallest dimension that memorises, against the number of facts."""

from typing import TYPE_CHECKING

from ...lazy import attach

if TYPE_CHECKING:
    from .run import run_scaling as run_scaling

__getattr__, __dir__, __all__ = attach(__name__, __file__)
