"""One look for every figure of the runs: colours, markers, fonts; and writing a figure, whole or not at all."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path

import matplotlib

if not (hasattr(builtins, "__IPYTHON__") or hasattr(sys, "ps1")):  # a notebook shows figures by a back end of its own
    matplotlib.use("Agg")  # files only: nothing here ever opens a window
import matplotlib.pyplot as plt
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

from ..disk.files import atomic_write, clear_leftovers
from .colours import SEQUENTIAL

# Okabe-Ito colours in an order that also falls apart in greyscale, each with its own marker.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v")
REST_COLOUR = "#444444"
LIGHTEST = 0.85  # of a colour map, where its colours are still seen on white

STYLE = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": 160,
    "svg.fonttype": "none",
}


def shade(place: int, count: int) -> tuple[float, float, float, float]:
    """The colour of the ``place`` of ``count`` things in an order, such as the depths of a tree, the darkest first."""
    return plt.get_cmap(SEQUENTIAL)(place / max(1, count - 1) * LIGHTEST)


def plain_where_no_mathematics(figure: Figure) -> None:
    """Draw texts that are no mathematics, for all their "$", as they stand: no name may cost a figure."""
    parser = MathTextParser("agg")
    for text in figure.findobj(Text):
        if "$" in text.get_text() and text.get_parse_math():
            try:
                for line in text.get_text().split("\n"):
                    if is_math_text(line):
                        parser.parse(line)
            except ValueError:
                text.set_parse_math(False)


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``name``.png and ``name``.svg into ``folder``; returns the paths."""
    plain_where_no_mathematics(figure)
    paths = [folder / f"{name}.{suffix}" for suffix in ("png", "svg")]
    clear_leftovers(folder, tuple(path.name for path in paths))
    try:
        for path in paths:
            with plt.rc_context(STYLE):
                atomic_write(path, lambda stream, suffix=path.suffix[1:]: figure.savefig(stream, format=suffix))  # type: ignore[misc]
    finally:
        plt.close(figure)
    return paths
