"""The ways of moving embeddings toward the predicted geometry, by name; ``models.guidance`` says what each does."""

from __future__ import annotations

import math

from ..suggest import choose

PENALTIES = ("align", "node2vec")  # terms of the loss
GEOMETRIES = ("none", "init", *PENALTIES)


def check_geometry(geometry: str, strength: float, *, frozen: bool) -> None:
    """Raises ValueError for an unknown way, a strength that is none and a penalty on ``frozen`` embeddings."""
    if geometry not in GEOMETRIES:
        raise ValueError(f"unknown geometry {geometry!r}; {choose(geometry, GEOMETRIES)}")
    if not (math.isfinite(strength) and strength >= 0):
        raise ValueError(f"geometry_strength must be a number >= 0; got {strength}")
    if geometry in PENALTIES and frozen:
        raise ValueError(f"geometry={geometry} cannot move frozen embeddings; leave one of them out")
