"""The figure of a phase diagram: measured colours and boundary, and over them what theory predicts, where it does.

Over two settings a heat map (a scatter of points where they are no grid), over one a curve with the range over seeds.
Solid: the measured boundary; dashed: the predicted one of infinite width; dash-dotted: of the runs' own width; dotted:
the decays at which modes of the optimum die. What is not predicted is not drawn, and the caption says why.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from ..draw.colours import DIVERGING, SEQUENTIAL
from ..draw.style import COLOURS, STYLE
from ..foreign import drawn
from ..tasks.task import TASK_OPTIONS
from .diagram import PhaseDiagram, phase_diagram
from .drawing import cell_edges, set_axis, shown_at, spread
from .prediction import ModeDeath, Surface
from .table import METRIC, PhaseGrid

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

TITLES = {
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "init_std": "initialisation (standard deviation)",
    "fiedler_score": "Fiedler score",
    "gram_error": "Gram error",
    "loss_per_node": "loss per node",
    "effective_rank": "effective rank",
    "geometric_level_centred": "geometric level (centred)",
}
USUAL = {"symmetrize": False, **TASK_OPTIONS}
# Of the settings of another command, which are too many for a title.
NAMED = ("preset", "condition", "variant", "model", "width", "steps")
UNTITLED = ("tied", "init", "heads", "layers")  # settings that the model's name says, or seldom change
WIDE_SPAN = 20.0  # largest distance from the boundary over the lower quartile from which colours are logarithmic
COLOUR_SPAN = 1e5  # of the largest distance: colours are linear below this part
BAR_TICKS = 3  # on either side of zero of a logarithmic colour bar
DRAWN_DEATHS = 12  # the largest; more lines cannot be told apart
MEASURED, LIMIT, FINITE, DEATH = "#000000", COLOURS[2], "#7B3294", "#222222"
STABLE = COLOURS[1]
NO_SEED, NOT_RUN = "#9a9a9a", "#bbbbbb"
CAPTION = 100  # characters a line
LABEL_GAP = 0.05  # of the axes between two labels of lines


def phase_figure(
    table: pd.DataFrame | PhaseDiagram, x: str = "", y: str | None = None, metric: str = METRIC, **options: Any
) -> Figure:
    """The figure of a phase diagram, or of ``phase_diagram(table, x, y, metric, **options)``; raises as that does."""
    diagram = table if isinstance(table, PhaseDiagram) else phase_diagram(table, x, y, metric, **options)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(7.6, 5.6), layout="constrained")
        handles = draw_phase(figure, diagram)
        figure.suptitle(phase_title(diagram.grid), x=0.02, ha="left", fontsize=10)
        notes = [textwrap.fill(f"{note[0].upper()}{note[1:]}.", CAPTION) for note in diagram.notes]
        if handles or notes:
            legend = figure.legend(
                handles=handles, loc="outside lower left", ncols=2, frameon=False, title="\n".join(notes) or None
            )
            legend.set_alignment("left")
            legend.get_title().set_fontsize(8)
    return figure


def draw_phase(figure: Figure | SubFigure, diagram: PhaseDiagram, gap: float = LABEL_GAP) -> list[Any]:
    """The diagram in a new panel of ``figure``; the handles of its legend. ``gap``: of the axes, between two labels of
    lines."""
    ax = figure.add_subplot()
    handles = _draw_curve(ax, diagram) if diagram.grid.layout == "curve" else _draw_plane(figure, ax, diagram)
    return handles + _draw_deaths(ax, diagram, gap)


def _draw_plane(figure: Figure | SubFigure, ax: Axes, diagram: PhaseDiagram) -> list[Any]:
    grid = diagram.grid
    horizontal, vertical = grid.axes
    norm, colours = _colours(diagram)
    lost = (grid.failed > 0) & (grid.done + grid.undefined == 0)
    partly = (grid.failed > 0) & ~lost
    void = (grid.undefined > 0) & (grid.done == 0)
    px, py = shown_at(horizontal, grid.cells[:, 0]), shown_at(vertical, grid.cells[:, 1])
    handles: list[Any] = []
    if grid.layout == "grid":
        edges = cell_edges(horizontal), cell_edges(vertical)
        ax.patch.set(facecolor="white", edgecolor=NOT_RUN, hatch="////", lw=0)
        ax.margins(0)  # a border near the largest float leaves no room
        # As squares of a PDF the cells would show seams.
        image: Any = ax.pcolormesh(*edges, grid.matrix(grid.mean), norm=norm, cmap=colours, rasterized=True)
        kinds: list[tuple[NDArray[np.bool_], dict[str, Any]]] = [
            (lost, {"facecolor": NO_SEED, "edgecolor": "#555555", "hatch": "xxx", "label": "every seed failed"}),
            (void, {"facecolor": "white", "edgecolor": "#555555", "hatch": "..", "label": "score undefined"}),
        ]
        for which, look in kinds:
            for row, column in np.argwhere(grid.matrix(which) == 1):
                corner = edges[0][column], edges[1][row]
                size = edges[0][column + 1] - corner[0], edges[1][row + 1] - corner[1]
                ax.add_patch(Rectangle(corner, *size, lw=0, **{**look, "label": None}))
            handles += [Patch(lw=0, **look)] if which.any() else []
        ran = grid.matrix(grid.done + grid.undefined + grid.failed)
        if not (ran > 0).all():
            handles.append(Patch(facecolor="white", edgecolor=NOT_RUN, hatch="////", lw=0, label="not run"))
    else:
        image = ax.scatter(px, py, c=grid.mean, norm=norm, cmap=colours, s=38, edgecolors="black", linewidths=0.5)
        if lost.any():
            handles += ax.plot(px[lost], py[lost], "X", color=NO_SEED, mec="black", ms=7, label="every seed failed")
    if partly.any():
        handles += ax.plot(px[partly], py[partly], "x", color="black", ms=6, mew=1.5, label="some seeds failed")
    for axis, dimension in ((horizontal, ax.xaxis), (vertical, ax.yaxis)):
        set_axis(dimension, axis, _name(axis.name))
    if grid.layout == "grid":
        ax.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
        for axis, line, border in zip(grid.axes, (ax.axvline, ax.axhline), edges, strict=True):
            if axis.log and axis.values[0] == 0:  # the logarithmic axis ends here
                line(border[1], color="white", lw=4, zorder=2)
    _draw_bar(figure.colorbar(image, ax=ax, pad=0.02), diagram, norm)
    handles += _draw_lines(ax, diagram)
    return handles


def _draw_lines(ax: Axes, diagram: PhaseDiagram) -> list[Any]:
    """The boundaries, each on a white edge so that it is seen on every colour."""
    samples = diagram.prediction.samples
    kinds = [
        (diagram.measured_lines, MEASURED, "-", "measured boundary"),
        (diagram.limit_lines, LIMIT, "--", "predicted, infinite width"),
        (diagram.finite_lines, FINITE, "-.", f"predicted, this width ({samples} starts)"),
    ]
    handles = []
    for lines, colour, style, label in kinds:
        for line in lines:
            ax.plot(*line.T, "-", color="white", lw=3.6, zorder=3.9)
            ax.plot(*line.T, style, color=colour, lw=2.0, zorder=4)
        if lines:
            handles.append(Line2D([], [], color=colour, ls=style, lw=2.0, label=label))
    return handles


def _draw_curve(ax: Axes, diagram: PhaseDiagram) -> list[Any]:
    grid, p = diagram.grid, diagram.prediction
    (axis,) = grid.axes
    at, seen = shown_at(axis, grid.cells[:, 0]), grid.done > 0
    handles: list[Any] = []
    if seen.any():
        several = int(grid.done.max()) > 1
        label = "measured (mean, range over seeds)" if several else "measured"
        ax.fill_between(at[seen], grid.low[seen], grid.high[seen], color=COLOURS[0], alpha=0.25, lw=0)
        handles += ax.plot(at[seen], grid.mean[seen], "o-", color=COLOURS[0], ms=4, lw=1.2, label=label, zorder=3)
    surfaces: Sequence[tuple[Surface | None, str, str, str]] = (
        (p.limit, LIMIT, "--", "predicted, infinite width"),
        (p.finite, FINITE, "-.", f"predicted, this width ({p.samples} starts)"),
    )
    for surface, colour, style, name in surfaces:
        if surface is not None and np.isfinite(surface.values).any():
            across = shown_at(axis, surface.x)
            handles += ax.plot(across, surface.values[0], style, color=colour, lw=1.8, label=name, zorder=4)
    if diagram.boundary is not None:
        handles.append(ax.axhline(diagram.boundary, color="#888888", lw=0.9, label="boundary"))
    if p.stable_rate is not None:
        handles.append(
            ax.axvline(p.stable_rate, color=STABLE, ls=(0, (6, 2)), lw=1.3, label="largest stable step, 2 / sharpness")
        )
    lost = grid.failed > 0
    if lost.any():
        floor = np.full(int(lost.sum()), 0.02)
        look: dict[str, Any] = {"color": "black", "ms": 6.0, "mew": 1.5, "clip_on": False}
        handles += ax.plot(at[lost], floor, "x", transform=ax.get_xaxis_transform(), label="seeds failed", **look)
    set_axis(ax.xaxis, axis, _name(axis.name))
    ax.set_ylabel(_bar_label(diagram))
    return handles


def _draw_deaths(ax: Axes, diagram: PhaseDiagram, gap: float) -> list[Any]:
    """Dotted lines across the plot with labels beside it, moved apart where they would touch."""
    names = [axis.name for axis in diagram.grid.axes]
    deaths = diagram.prediction.deaths[:DRAWN_DEATHS]
    if not deaths:
        return []
    upright = names[0] == "weight_decay"
    at = np.array([death.decay for death in deaths])
    ends = np.column_stack([at, at])
    ends[:, int(upright)] = (ax.get_ylim() if upright else ax.get_xlim())[0]
    places = (ax.transData - ax.transAxes).transform(ends)[:, 0 if upright else 1]
    look: dict[str, Any] = {"transform": ax.transAxes, "color": DEATH}
    for death, place, label_at in zip(deaths, places, spread(places, gap), strict=True):
        (ax.axvline if upright else ax.axhline)(death.decay, color=DEATH, ls=":", lw=1.3, zorder=3)
        leader = (place, label_at), (1.0, 1.025)
        ax.plot(*(leader if upright else leader[::-1]), lw=0.7, clip_on=False, **look)
        if upright:
            look_up: dict[str, Any] = {"rotation": 40, "rotation_mode": "anchor", "ha": "left", "va": "bottom"}
            ax.text(label_at, 1.035, _death_label(death), fontsize=7.5, **look_up, **look)
        else:
            ax.text(1.03, label_at, _death_label(death), fontsize=7.5, ha="left", va="center", **look)
    return [Line2D([], [], color=DEATH, ls=":", lw=1.3, label=r"a mode of the optimum dies ($\mu$: Laplacian)")]


def _death_label(death: ModeDeath) -> str:
    sign = "=" if death.share > 0.9 else r"\approx"
    times = f" ×{death.multiplicity}" if death.multiplicity > 1 else ""
    return f"$\\mu {sign} {death.eigenvalue:.3g}${times}{'' if death.dies else ' appears'}"


def _colours(diagram: PhaseDiagram) -> tuple[Normalize, str]:
    """Diverging about the boundary, logarithmic away from it where the scores span decades; else sequential."""
    values = diagram.grid.mean[np.isfinite(diagram.grid.mean)]
    level = diagram.boundary
    if len(values) == 0 or level is None:
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        margin = 0.0 if high > low else max(abs(low), 1.0) / 2
        return Normalize(low - margin, high + margin), SEQUENTIAL
    apart = np.abs(values - level)
    reach = float(apart.max()) or 1.0
    small = float(np.quantile(apart, 0.25))
    if level == 0 and reach > WIDE_SPAN * small:
        return SymLogNorm(max(float(np.quantile(apart, 0.1)), reach / COLOUR_SPAN), vmin=-reach, vmax=reach), DIVERGING
    return Normalize(level - reach, level + reach), DIVERGING


def _draw_bar(bar: Any, diagram: PhaseDiagram, norm: Normalize) -> None:
    """Cut to the scores there are, boundary included; few ticks where it is logarithmic."""
    bar.set_label(_bar_label(diagram))
    values = diagram.grid.mean[np.isfinite(diagram.grid.mean)]
    if diagram.boundary is None or len(values) == 0:
        return
    low, high = min(float(values.min()), diagram.boundary), max(float(values.max()), diagram.boundary)
    if isinstance(norm, SymLogNorm):
        first, last = np.ceil(np.log10(norm.linthresh) - 1e-9), np.floor(np.log10(np.abs([low, high]).max()) + 1e-9)
        powers = 10.0 ** np.arange(last, first - 0.5, -max(1.0, np.ceil((last - first + 1) / BAR_TICKS)))
        ticks = [tick for tick in (*-powers, 0.0, *powers[::-1]) if low <= tick <= high]
        bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        bar.minorticks_off()
    bar.ax.set_ylim(low, high)


def _bar_label(diagram: PhaseDiagram) -> str:
    name = _name(diagram.grid.metric)
    if diagram.boundary is None or diagram.grid.layout == "curve":
        return name
    low, high = diagram.sides
    return f"{name}:  {low}  ←  {diagram.boundary:g}  →  {high}"


def phase_title(grid: PhaseGrid) -> str:
    """The graph, the model, the number of seeds and what does not vary."""
    name = drawn(grid.graph)
    shown = {
        key: value
        for key, value in grid.settings.items()
        if (key in NAMED if grid.model is None else key not in UNTITLED and key != "model")
        and USUAL.get(key) != value
        and value == value
    }
    parts = [f"{_name(key).split(' (')[0]} {_text(value)}" for key, value in shown.items()]
    seeds = f"{len(grid.seeds)} seed{'s' if len(grid.seeds) > 1 else ''}"
    title = grid.name if grid.model is None else grid.model.title
    head = f"{name}: {title}, {seeds}" if name else f"{title}, {seeds}"
    return "\n".join([head, textwrap.fill(", ".join(parts), CAPTION)])


def _name(column: str) -> str:
    return TITLES.get(column, column.replace("_", " "))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " - ".join(f"{end:g}" for end in value)
    return f"{value:g}" if isinstance(value, float) else drawn(str(value))
