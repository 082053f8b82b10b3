"""What a comparison figure shows, for tests: texts, markers and lines, and colours as other eyes see them."""

from __future__ import annotations

import itertools
import warnings
from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from comparisons import BOTH, small_comparison
from fiedler.sims.compare.comparison import Comparison
from fiedler.sims.compare.model_comparison import ModelComparison
from fiedler.sims.compare.show.energies import drawn_modes
from fiedler.sims.compare.show.figure import plot_comparison
from fiedler.sims.draw.style import COLOURS, REST_COLOUR

TOUCH = 1.0  # pixels two text boxes may share: a box is the font's line height, not the ink

# Machado, Oliveira, Fernandes (2009), severity 1, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)


@lru_cache
def drawn(word: str, models: tuple[str, ...] = BOTH) -> tuple[Comparison, Figure]:
    """A small comparison and its figure, in whose making every warning is an error. Not to be changed."""
    comparison = small_comparison(word, models)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_comparison(comparison)
        figure.canvas.draw()
    plt.close(figure)
    return comparison, figure


def panels(figure: Figure) -> list[list[Axes]]:
    """Per model: energy, residual, spectrum, embedding."""
    return [part.axes for part in figure.subfigs]


def drawn_energies(comparison: Comparison, one: ModelComparison) -> list[tuple[str, list[int]]]:
    """Colour and eigenspaces of each series, the sum of the others last."""
    chosen = [int(k) for k in drawn_modes(comparison.models)]
    others = [k for k in range(one.predicted.centred_energy.shape[1]) if k not in chosen]
    return [*((COLOURS[i], [k]) for i, k in enumerate(chosen)), (REST_COLOUR, others)]


def legend(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def texts(figure: Figure) -> list[Text]:
    """Every text that is seen: of an axis only the ticks inside its limits."""
    seen: list[Text] = [part._suptitle for part in figure.subfigs if part._suptitle is not None]
    for ax in figure.axes:
        seen += [*ax.texts, ax.title, ax._left_title, ax._right_title, ax.xaxis.label, ax.yaxis.label]
        seen += ax.get_legend().get_texts() if ax.get_legend() else []
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            seen += [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]
            seen.append(axis.get_offset_text())
    return [text for text in seen if text.get_visible() and text.get_text()]


def markers(ax: Axes, colour: str) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Every series of markers with edges in this colour: marker, x, y."""
    series = [line for line in ax.lines if line.get_marker() not in ("None", "", None) and len(line.get_xdata()) > 0]
    mine = [line for line in series if to_hex(line.get_markeredgecolor()).upper() == colour]
    return [(line.get_marker(), np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in mine]


def only_line(ax: Axes, colour: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the one solid or dashed line of this colour."""
    (line,) = [
        line for line in ax.lines if line.get_linestyle() in ("-", "--") and to_hex(line.get_color()).upper() == colour
    ]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def lab(colour: str, simulate: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of the colour as seen through ``simulate``."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    x, y, z = np.cbrt(np.array(xyz) @ np.clip(simulate @ linear, 0, 1) / [0.95047, 1.0, 1.08883])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def assert_legible(figure: Figure) -> None:
    """Every text of a figure of many panels is inside it, says no NaN, and lies neither on another nor on a panel."""
    figure.canvas.draw()
    outside = [legend for part in (figure, *figure.subfigs) for legend in part.legends]
    seen = texts(figure) + [text for legend in outside for text in legend.get_texts()]
    seen += [text for text in (figure._supxlabel, figure._supylabel) if text is not None]
    boxes = [(text.get_text(), text.get_window_extent()) for text in seen]
    assert len(boxes) >= 4
    for name, box in boxes:
        assert "nan" not in name
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, f"{name!r} leaves the figure"
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, f"{name!r} leaves the figure"
    for (one, a), (two, b) in itertools.combinations(boxes, 2):
        shared = Bbox.intersection(a, b)
        assert shared is None or min(shared.width, shared.height) <= TOUCH, f"{one!r} overlaps {two!r}"
    for ax in figure.axes:
        own = [text.get_text() for text in ax.texts] + legend(ax)
        for name, box in boxes:
            shared = Bbox.intersection(box, ax.bbox)
            clear = shared is None or min(shared.width, shared.height) <= TOUCH
            assert clear or name in own, f"{name!r} lies on a panel"
