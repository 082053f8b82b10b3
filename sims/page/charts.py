"""What the page's figures have in common. Colours are those of the light page; the dark one has a twin of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..scores.statistics import interval_reach

# Okabe-Ito, in an order whose neighbours also differ in brightness; page.js names the dark twin of each.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#444444")
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")
DASHES = ("solid", "dash", "dot", "dashdot")
THEORY = "#444444"


def look(index: int) -> dict[str, str]:
    """Colour, symbol and dash of the series ``index``: no two of the first 28 are alike in all three."""
    return {
        "colour": COLOURS[index % len(COLOURS)],
        "symbol": SYMBOLS[index % len(SYMBOLS)],
        "dash": DASHES[(index // len(COLOURS)) % len(DASHES)],
    }


def figure(traces: Sequence[Any], **layout: Any) -> go.Figure:
    """A figure without a title, its legend above the plot, its axes named by ``layout``."""
    base: dict[str, Any] = {
        "template": "none",
        "margin": {"l": 64, "r": 16, "t": 16, "b": 48},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        "font": {"size": 13},
    }
    made = go.Figure(list(traces))
    made.update_layout(**{**base, **layout})
    return made


def axis(title: str, *, log: bool = False, **more: Any) -> dict[str, Any]:
    """An axis with its title; logarithmic ones show powers of ten."""
    scale = {"type": "log", "exponentformat": "power", "dtick": 1} if log else {}
    return {"title": {"text": title}, "automargin": True, **scale, **more}


def wide(values: Any, factor: float = 20) -> bool:
    """Whether an axis of these numbers, whose ends are more than ``factor`` apart, is better read in powers of ten."""
    numbers = np.asarray(values, dtype=np.float64)
    return bool((numbers > 0).all() and numbers.max() > factor * numbers.min())


def early(steps: Any) -> bool:
    """Whether most of the steps lie in the first tenth of their range, so that a linear axis would crowd them."""
    numbers = np.asarray(steps, dtype=np.float64)
    return bool(np.median(numbers) < 0.1 * numbers.max())


def interval(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Mean over the first axis (the seeds), and half of the 95 % t interval, None for one seed."""
    numbers = np.asarray(values, dtype=np.float64)
    return numbers.mean(axis=0), interval_reach(numbers) if len(numbers) > 1 else None


def words(name: str) -> str:
    """The name of a score or setting as people read it."""
    return name.replace("_", " ")
