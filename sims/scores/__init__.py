"""How far one embedding is from the prediction, its training lines, and statistics over seeds."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .embedding import score_embedding as score_embedding
    from .embedding import score_logits as score_logits

__getattr__, __dir__, __all__ = attach(__name__, __file__)
