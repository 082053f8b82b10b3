"""The figure of a phase diagram: it shows the diagram's own numbers, legibly, and nothing that is not predicted."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from fiedler.sims.draw.style import save_figure
from fiedler.sims.phase.drawing import log_ticks, spread
from fiedler.sims.phase.plot import DEATH, FINITE, LIMIT, MEASURED, phase_figure
from phase_cases import CASES, PLANE, RATES, STDS, drawn, slope
from phase_tables import swept

EXACT = 1e-12
TOUCH = 1.0  # pixels two text boxes may share: a box is the font's line height, not the ink


def texts(figure: Figure) -> list[Text]:
    """Every text that is seen: of an axis only the ticks inside its limits."""
    seen: list[Text] = [figure._suptitle]
    for legend in figure.legends:
        seen += [*legend.get_texts(), legend.get_title()]
    for ax in figure.axes:
        seen += [*ax.texts, ax.xaxis.label, ax.yaxis.label]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            seen += [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]
            seen += [tick.label2 for tick in ticks if low <= tick.get_loc() <= high]
            seen.append(axis.get_offset_text())
    return [text for text in seen if text.get_visible() and text.get_text()]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


def caption(figure: Figure) -> str:
    return " ".join(one.get_title().get_text() for one in figure.legends).replace("\n", " ")


def lines(figure: Figure, colour: str, style: str) -> list[np.ndarray]:
    found = [line for line in figure.axes[0].lines if line.get_color() == colour and line.get_linestyle() == style]
    return [np.column_stack(line.get_data()) for line in found]


# Legibility.


def corners(text: Text, renderer) -> np.ndarray:
    """The four corners of a text as it is drawn, rotated or not, in pixels."""
    box = text.get_window_extent(renderer)
    turn = np.deg2rad(text.get_rotation())
    if text.get_rotation() % 90 == 0:
        return np.array([[box.x0, box.y0], [box.x1, box.y0], [box.x1, box.y1], [box.x0, box.y1]])
    upright = Text(text=text.get_text(), fontproperties=text.get_fontproperties(), figure=text.get_figure())
    size = upright.get_window_extent(renderer)
    at = text.get_transform().transform(text.get_position())
    along, up = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    return np.array([at, at + size.width * along, at + size.width * along + size.height * up, at + size.height * up])


def overlap(one: np.ndarray, two: np.ndarray) -> float:
    """How deep two convex quadrilaterals reach into each other, pixels: least over the directions of their edges."""
    depth = np.inf
    for shape in (one, two):
        for edge in np.diff(np.vstack([shape, shape[:1]]), axis=0)[:2]:
            normal = np.array([-edge[1], edge[0]]) / max(float(np.linalg.norm(edge)), 1e-9)
            a, b = one @ normal, two @ normal
            depth = min(depth, min(a.max(), b.max()) - max(a.min(), b.min()))
    return float(depth)


@pytest.mark.parametrize("name", CASES)
def test_every_figure_is_legible(name: str) -> None:
    _, figure = drawn(name)
    renderer = FigureCanvasAgg(figure).get_renderer()
    seen = texts(figure)
    assert len(seen) >= 5
    assert not [text.get_text() for text in seen if "nan" in text.get_text() or "inf " in text.get_text()]
    shapes = [(text.get_text(), corners(text, renderer)) for text in seen]
    for label, shape in shapes:
        low, high = shape.min(axis=0), shape.max(axis=0)
        assert (low >= figure.bbox.min).all(), f"{label!r} leaves the figure"
        assert (high <= figure.bbox.max).all(), f"{label!r} leaves the figure"
    for (one, a), (two, b) in itertools.combinations(shapes, 2):
        assert overlap(a, b) <= TOUCH, f"{one!r} overlaps {two!r}"
    for ax in figure.axes:
        for label, shape in shapes:
            box = Bbox.from_extents(*shape.min(axis=0), *shape.max(axis=0))
            shared = Bbox.intersection(box, ax.bbox)
            assert shared is None or min(shared.width, shared.height) <= TOUCH, f"{label!r} lies in a panel"


def test_texts_that_overlap_would_be_seen() -> None:
    square = np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]])
    assert overlap(square, square + 5) == 5
    assert overlap(square, square + np.array([12, 0])) == -2
    diamond = np.array([[0.0, -5], [5, 0], [0, 5], [-5, 0]])
    assert overlap(diamond, square + 3) < 0  # their boxes share two pixels each way
    assert overlap(diamond, square) > 0


@pytest.mark.parametrize("gap", [0.05, 0.2])
def test_labels_move_apart_and_keep_their_order(gap: float) -> None:
    places = np.array([0.5, 0.51, 0.1, 0.52, 0.9])
    apart = spread(places, gap)
    order = np.argsort(places)
    assert (np.diff(apart[order]) >= gap * (1 - 1e-9)).all()
    assert apart.mean() == pytest.approx(places.mean())
    if gap == 0.05:
        assert apart[[2, 4]] == pytest.approx([0.1, 0.9])  # those with room stay
    assert spread(np.array([0.3]), gap) == pytest.approx([0.3])


def test_ticks_are_few_and_round() -> None:
    assert log_ticks(np.array([1e-3, 5e-3, 1e-1])) == [1e-3, 1e-2, 1e-1]
    assert log_ticks(np.array([10.0, 20.0, 40.0])) == [10, 20, 40]
    assert log_ticks(np.linspace(11, 60, 9)) == [20, 50]
    assert log_ticks(np.linspace(11, 19, 9)) == [11, 19]
    assert log_ticks(np.array([3.0])) == [3]


# The numbers drawn.


def test_colours_are_the_means_about_the_boundary() -> None:
    diagram, figure = drawn("plane")
    ax = figure.axes[0]
    (mesh,) = [child for child in ax.get_children() if isinstance(child, QuadMesh)]
    assert np.array_equal(np.ma.filled(mesh.get_array().reshape(3, 4), np.nan), diagram.grid.matrix(diagram.grid.mean))
    assert mesh.norm(0.0) == pytest.approx(0.5)
    reds_and_blues = mesh.to_rgba(mesh.get_array().ravel())
    for value, (red, _, blue, _) in zip(mesh.get_array().ravel(), reds_and_blues, strict=True):
        assert (red > blue) == (value > 0)  # geometric is red, as on the page
    edges = np.asarray(mesh.get_coordinates())
    assert edges[0, 1:-1, 0] == pytest.approx(np.sqrt(np.array(RATES[1:]) * RATES[:-1]))  # halfway in the logarithm
    assert edges[1:-1, 0, 1] == pytest.approx(np.sqrt(np.array(STDS[1:]) * STDS[:-1]))
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("learning rate", "initialisation (standard deviation)")
    assert figure.axes[1].get_ylabel() == "geometric margin:  associative  ←  0  →  geometric"


def test_boundaries_are_those_of_the_diagram() -> None:
    diagram, figure = drawn("plane")
    for expected, colour, style in ((diagram.measured_lines, MEASURED, "-"), (diagram.finite_lines, FINITE, "-.")):
        found = lines(figure, colour, style)
        assert len(found) == len(expected) >= 1
        for one, two in zip(found, expected, strict=True):
            assert one == pytest.approx(two, rel=EXACT)
    assert diagram.limit_lines == ()
    assert not lines(figure, LIMIT, "--")
    assert legend(figure) == ["measured boundary", "predicted, this width (4 starts)"]
    assert caption(figure) == "Infinite width: geometric everywhere, no boundary to draw."


def test_both_sides_of_an_asked_boundary() -> None:
    diagram, figure = drawn("asked boundary")
    assert figure.axes[1].get_ylabel() == "Gram error:  below  ←  0.4  →  above"
    found = lines(figure, LIMIT, "--")
    assert len(found) == len(diagram.limit_lines)
    assert found or "no boundary to draw" in caption(figure)


def test_runs_that_failed_or_are_missing_are_marked() -> None:
    diagram, figure = drawn("holes")
    ax = figure.axes[0]
    hatched = {patch.get_hatch(): [] for patch in ax.patches}
    for patch in ax.patches:
        assert isinstance(patch, Rectangle)
        x, y = patch.get_xy()
        hatched[patch.get_hatch()].append(
            (x * np.sqrt(10), y * np.sqrt(10))
        )  # the lower left corner of a decade's cell
    assert sorted(hatched) == ["..", "xxx"]
    assert sorted(hatched["xxx"]) == [pytest.approx((0.1, std)) for std in STDS]
    assert hatched[".."] == [pytest.approx((1e-4, 0.01))]
    (crosses,) = [line for line in ax.lines if line.get_marker() == "x"]
    assert np.column_stack(crosses.get_data()) == pytest.approx(np.array([[0.01, std] for std in STDS]))
    assert ax.patch.get_hatch() == "////"  # what no cell covers
    assert {"every seed failed", "score undefined", "some seeds failed", "not run"} <= set(legend(figure))
    assert diagram.grid.done.sum() == 11


def test_scattered_points_have_their_colours() -> None:
    diagram, figure = drawn("scatter")
    (points,) = [child for child in figure.axes[0].get_children() if isinstance(child, PathCollection)]
    assert np.asarray(points.get_offsets()) == pytest.approx(diagram.grid.cells)
    assert np.array_equal(points.get_array(), diagram.grid.mean)
    assert not lines(figure, MEASURED, "-")  # nothing to interpolate between
    assert lines(figure, FINITE, "-.")


def test_a_curve_with_its_range_and_predictions() -> None:
    diagram, figure = drawn("curve")
    ax, grid, p = figure.axes[0], diagram.grid, diagram.prediction
    assert len(figure.axes) == 1
    (measured,) = [line for line in ax.lines if line.get_marker() == "o"]
    assert np.column_stack(measured.get_data()) == pytest.approx(np.column_stack([RATES, grid.mean]))
    (band,) = ax.collections
    corners_of_band = band.get_paths()[0].vertices
    assert corners_of_band[:, 1].min() == pytest.approx(grid.low.min())
    assert corners_of_band[:, 1].max() == pytest.approx(grid.high.max())
    assert p.limit is not None
    assert p.finite is not None
    for surface, colour, style in ((p.limit, LIMIT, "--"), (p.finite, FINITE, "-.")):
        (line,) = lines(figure, colour, style)
        assert line == pytest.approx(np.column_stack([surface.x, surface.values[0]]), nan_ok=True)
    assert {"boundary", "predicted, infinite width"} <= set(legend(figure))
    assert ax.get_ylabel() == "geometric margin"


@pytest.mark.parametrize(("name", "upright"), [("deaths on y", False), ("deaths on x", True), ("true deaths", True)])
def test_every_death_has_its_line_and_label(name: str, upright: bool) -> None:
    diagram, figure = drawn(name)
    ax, deaths = figure.axes[0], diagram.prediction.deaths
    found = lines(figure, DEATH, ":")
    assert [line[0, 0 if upright else 1] for line in found] == [death.decay for death in deaths]
    for line in found:
        assert list(line[:, 1 if upright else 0]) == [0, 1]  # all across
    for text, death in zip(ax.texts, deaths, strict=True):
        label = text.get_text()
        assert f"{death.eigenvalue:.3g}" in label
        assert ("appears" in label) != death.dies
        assert (f"×{death.multiplicity}" in label) == (death.multiplicity > 1)
        assert (r"\approx" in label) == (death.share <= 0.9)
    leaders = [np.column_stack(line.get_data()) for line in ax.lines if line.get_transform() == ax.transAxes]
    assert len(leaders) == len(deaths)
    for leader, death, text in zip(leaders, deaths, ax.texts, strict=True):
        start = ax.transData.inverted().transform(ax.transAxes.transform(leader[0]))
        assert start[0 if upright else 1] == pytest.approx(death.decay)  # from the line to the label
        assert leader[1, 0 if upright else 1] == pytest.approx(text.get_position()[0 if upright else 1])
    assert any("a mode of the optimum dies" in one for one in legend(figure))


def test_true_deaths_of_a_cycle() -> None:
    diagram, _ = drawn("true deaths")
    assert [(death.index, death.dies) for death in diagram.prediction.deaths] == [(1, True), (2, True), (2, False)]


def test_a_zero_has_its_place_on_a_logarithmic_axis() -> None:
    _, figure = drawn("zero decay")
    ax = figure.axes[0]
    assert ax.get_yscale() == "log"
    ticks = dict(zip([text.get_text() for text in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    assert ticks["0"] == pytest.approx(0.001**2 / 0.003)  # as far below the first as that is below the second
    (mesh,) = [child for child in ax.get_children() if isinstance(child, QuadMesh)]
    assert np.asarray(mesh.get_array().reshape(6, 3)[0]) == pytest.approx(np.full(3, 1.005))
    borders = [line for line in ax.lines if line.get_color() == "white" and line.get_linewidth() == 4]
    assert len(borders) == 1


def test_what_is_not_predicted_is_not_drawn() -> None:
    for name, reason in (
        ("transformer", "No prediction for this model: its optimiser has no gradient-flow time."),
        ("untied", "No boundary: the sign of an untied V's margin does not tell geometric from associative."),
        ("long name", "No prediction: "),
        ("all failed", "No prediction: no run is done."),
    ):
        _, figure = drawn(name)
        assert reason in caption(figure), name
        for colour, style in ((LIMIT, "--"), (FINITE, "-."), (DEATH, ":")):
            assert not lines(figure, colour, style), name
        assert not [label for label in legend(figure) if "predicted" in label]
    _, figure = drawn("other score")
    assert not lines(figure, MEASURED, "-")  # no boundary is known
    assert figure.axes[1].get_ylabel() == "loss per node"


def test_the_title_says_what_was_run() -> None:
    title = drawn("plane")[1]._suptitle.get_text()
    assert title == "cycle:7: Node2Vec, 2 seeds\nsteps 20, width 10, weight decay 0"
    long = drawn("long name")[1]._suptitle.get_text()
    assert long.startswith("/longlong")
    assert "…: Node2Vec" in long
    table = swept({"learning_rate": RATES, "init_std": STDS, "label_smoothing": [0.1], "p": [0.5]}, slope)
    title = phase_figure(table, "learning_rate", "init_std", predict=False)._suptitle.get_text()
    assert "label smoothing 0.1, p 0.5" in title


def test_wide_scores_get_logarithmic_colours() -> None:
    table = swept(PLANE, lambda init_std, seed, learning_rate, **_: init_std**3 * slope(0, learning_rate, 1.0))
    figure = phase_figure(table, "learning_rate", "init_std", predict=False)
    (mesh,) = [child for child in figure.axes[0].get_children() if isinstance(child, QuadMesh)]
    colours = mesh.to_rgba(mesh.get_array()).reshape(3, 4, 4)
    white = np.linalg.norm(colours[..., :3] - np.array(to_rgb("white")), axis=2)
    assert (white[1] > 0.1).all()  # a thousandth of the largest is still told from the boundary
    assert (np.diff(white[:, 0]) > 0).all()
    ticks = figure.axes[1].get_yticks()
    assert 0.0 in ticks
    assert len(ticks) <= 7


def test_files(tmp_path: Path) -> None:
    png, svg = save_figure(phase_figure(swept(PLANE, slope), "learning_rate", "init_std", samples=0), tmp_path, "phase")
    assert png.stat().st_size > 10_000
    assert "geometric margin" in svg.read_text()
    with pytest.raises(ValueError, match="no column 'decay'"):
        phase_figure(swept(PLANE, slope), "decay")
