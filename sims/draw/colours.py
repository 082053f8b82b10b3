"""Which way colours run, in figures and on the page alike: red is high, blue is low, and white is the level between."""

from __future__ import annotations

from typing import Any

DIVERGING = "RdBu_r"  # matplotlib's name
DIVERGING_ON_PAGE: dict[str, Any] = {"colorscale": "RdBu", "reversescale": True}  # plotly's, which begins with red
SEQUENTIAL, SEQUENTIAL_ON_PAGE = "viridis", {"colorscale": "Viridis"}
