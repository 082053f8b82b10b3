"""Whether a trained memory is built as predicted: superposition, gates, probes, interventions, transfer."""

from typing import TYPE_CHECKING

from ...lazy import attach

if TYPE_CHECKING:
    from .structure import analyse_recall as analyse_recall

__getattr__, __dir__, __all__ = attach(__name__, __file__)
