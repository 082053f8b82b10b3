"""Toward the predicted geometry: initialisation, alignment penalty, auxiliary losses."""

from typing import TYPE_CHECKING

from ..lazy import attach

if TYPE_CHECKING:
    from .embeddings import describe_headroom as describe_headroom
    from .embeddings import run_headroom as run_headroom
    from .paths import describe_path_headroom as describe_path_headroom

__getattr__, __dir__, __all__ = attach(__name__, __file__, "sims")
