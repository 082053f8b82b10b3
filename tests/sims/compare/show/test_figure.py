"""The comparison figure: it shows the comparison's own numbers, legibly, and whatever the graph."""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.transforms import Bbox

from comparisons import BOTH, small_comparison
from fiedler.sims.compare.energy_series import LARGEST_MODES
from fiedler.sims.compare.show.energies import DRAWN_MODES, drawn_modes
from fiedler.sims.compare.show.figure import plot_comparison
from fiedler.sims.draw.plane import plane_coordinates
from fiedler.sims.draw.style import COLOURS, MARKERS, REST_COLOUR, save_figure
from fiedler.theory import centre_rows
from figures import DEUTERANOPIA, PROTANOPIA, drawn, drawn_energies, lab, legend, markers, only_line, panels, texts

EXACT = 1e-12  # the same formula in another order of summation
TOUCH = 1.0  # pixels two text boxes may share: a box is the font's line height, not the ink
TELLABLE = 15.0  # CIE76 distance: six times what is just noticeable

# word, models: what figures have to survive
PLAIN = [("cycle:8", BOTH), ("florentine", BOTH)]
ODD = [
    ("hamming:1,5", BOTH),  # rank 0
    ("irregular", BOTH),  # disconnected
    ("path-star:1x2", BOTH),  # two nodes, rank 0
    ("path-star:1x5", ("node2vec",)),  # rank 1
    ("petersen", ("node2vec", "node2vec-untied")),  # two eigenspaces besides the constant
    ("karate", ("node2vec",)),  # many modes
]
LONG = [pytest.param(*one, marks=pytest.mark.long) for one in ODD[2:]]


def test_both_files_are_whole(tmp_path: Path) -> None:
    comparison = small_comparison("cycle:8")
    figure = plot_comparison(comparison)
    png, svg = save_figure(figure, tmp_path, "compare")
    assert [png, svg] == [tmp_path / "compare.png", tmp_path / "compare.svg"]
    assert sorted(tmp_path.iterdir()) == [png, svg]  # no temporary file is left
    pixels = matplotlib.image.imread(png)
    assert pixels.shape[:2] == (1200, 1760)
    for half in (pixels[:600], pixels[600:]):  # something dark in each row of panels, on white
        assert half[..., :3].min() < 0.2
        assert np.median(half[..., :3]) == 1.0
    root = ElementTree.parse(svg).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = "".join(root.itertext())
    assert all(f"cycle:8: {one.model.title}, 2 seeds" in words for one in comparison.models)  # text stays text
    assert not plt.fignum_exists(figure.number)


# Legibility.


@pytest.mark.parametrize(("word", "models"), [*PLAIN, *ODD[:2], *LONG])
def test_every_figure_is_legible(word: str, models: tuple[str, ...]) -> None:
    _, figure = drawn(word, models)
    for energy, residual, spectrum, embedding in panels(figure):
        labels = [energy.get_ylabel(), residual.get_xlabel(), residual.get_ylabel(), spectrum.get_xlabel()]
        assert all([*labels, spectrum.get_ylabel(), spectrum.get_title("left"), embedding.get_title("left")])
        assert energy.get_xscale() == energy.get_yscale() == residual.get_xscale() == "log"
        assert residual.get_xlim() == energy.get_xlim()
        assert spectrum.get_yscale() == "linear"
        assert legend(energy)
        assert legend(spectrum)[0] in ("limit", "predicted")
    seen = texts(figure)
    assert len(seen) > 25 * len(models)
    assert not [text.get_text() for text in seen if "nan" in text.get_text() or "inf" in text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in seen]
    canvas = figure.bbox
    for name, box in boxes:
        inside = box.x0 >= canvas.x0 and box.y0 >= canvas.y0 and box.x1 <= canvas.x1 and box.y1 <= canvas.y1
        assert inside, f"{name!r} leaves the figure"
    for (one, a), (two, b) in itertools.combinations(boxes, 2):
        shared = Bbox.intersection(a, b)
        assert shared is None or min(shared.width, shared.height) <= TOUCH, f"{one!r} overlaps {two!r}"
    for ax in figure.axes:  # no text of one panel lies in the drawing area of another
        for name, box in boxes:
            shared = Bbox.intersection(box, ax.bbox)
            if shared is not None and min(shared.width, shared.height) > TOUCH:
                assert name in [*legend(ax), *(text.get_text() for text in ax.texts)]


@pytest.mark.parametrize("word", ["cycle:8", "hamming:1,5"])
def test_the_legend_of_the_spectrum_hides_no_point(word: str) -> None:
    _, figure = drawn(word)
    for _, _, spectrum, _ in panels(figure):
        bottom = spectrum.get_legend().get_window_extent().y0  # however flat the spectrum, all of it is below
        for line in spectrum.lines:
            points = spectrum.transData.transform(np.column_stack([line.get_xdata(), line.get_ydata()]))
            assert points[:, 1].max() < bottom


def test_a_long_name_is_shortened(tmp_path: Path) -> None:
    path = tmp_path / f"{'long' * 40}.edges"
    path.write_text("a b\nb c\n")
    _, figure = drawn(str(path), ("node2vec",))
    (title,) = [part._suptitle for part in figure.subfigs]
    assert title.get_text().startswith("longlong")
    assert "…: Node2Vec, 2 seeds" in title.get_text()
    assert title.get_window_extent().x1 <= figure.bbox.x1


@pytest.mark.parametrize("simulate", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["full", "deuteranopia", "protanopia"])
def test_modes_are_told_apart_without_seeing_every_colour(simulate: np.ndarray) -> None:
    used = [*COLOURS, REST_COLOUR]
    for one, two in itertools.combinations(used, 2):
        assert np.linalg.norm(lab(one, simulate) - lab(two, simulate)) > TELLABLE, (one, two)
    assert all(lab(colour, simulate)[0] < 80 for colour in used)  # dark enough on white
    assert len(set(MARKERS)) == len(COLOURS) >= DRAWN_MODES  # and each has a shape of its own


# The numbers drawn.


@pytest.mark.parametrize("word", ["cycle:8", "florentine"])
def test_lines_are_theory_and_dots_are_runs(word: str) -> None:
    comparison, figure = drawn(word)
    assert [one.mean_fit.fitted for one in comparison.models] == [(), ("time_scale", "amplitude")]
    for one, (energy, residual, _, _) in zip(comparison.models, panels(figure), strict=True):
        fit = one.mean_fit
        for number, (colour, members) in enumerate(drawn_energies(comparison, one)):
            if word == "cycle:8" and colour == REST_COLOUR:  # the constant mode alone, zero to rounding
                assert not markers(energy, colour)
                continue
            x, y = only_line(energy, colour)
            np.testing.assert_allclose(x, one.predicted.times, rtol=EXACT)
            np.testing.assert_allclose(y, one.predicted.centred_energy[:, members].sum(axis=1), rtol=EXACT)
            ((marker, times, dots),) = markers(energy, colour)
            assert marker == ("x" if colour == REST_COLOUR else MARKERS[number])
            runs = np.array([run.modes.centred_energy[1:, members].sum(axis=1) for run in one.runs]) / fit.amplitude
            all_times = one.runs[0].modes.steps[1:] * fit.time_scale
            at = np.searchsorted(all_times * (1 + 1e-9), times)
            np.testing.assert_allclose(times, all_times[at], rtol=EXACT)
            np.testing.assert_allclose(dots, np.sqrt(runs[0] * runs[1])[at], rtol=EXACT)  # the geometric mean of two
            assert (at[0], at[-1]) == (0, len(all_times) - 1)  # from the first step to the last
            assert len(at) > 15
            # Below: log10 of dot over line, at the same times, all of it within view.
            for _, when, ratio in markers(residual, colour):
                line = np.exp(np.interp(np.log(when), np.log(x), np.log(y)))
                same = np.isin(times, when)
                tolerance = EXACT if len(members) == 1 else 1e-3  # a sum is interpolated mode by mode
                np.testing.assert_allclose(ratio, np.log10(dots[same] / line), atol=tolerance)
                assert np.abs(ratio).max() <= residual.get_ylim()[1]
        assert any(len(found[1]) for colour in COLOURS for found in markers(residual, colour))
        low, high = energy.get_ylim()
        assert low < one.predicted.centred_energy[-1].max()
        assert one.predicted.centred_energy.max() < high


def test_the_range_over_seeds_is_drawn() -> None:
    comparison, figure = drawn("cycle:8")
    one, energy = comparison.models[0], panels(figure)[0][0]
    colour, (k,) = drawn_energies(comparison, one)[0]
    bars = [
        c for c in energy.collections if isinstance(c, LineCollection) and to_hex(c.get_color()[0]).upper() == colour
    ]
    (segments,) = [bar.get_segments() for bar in bars]
    both = np.array([run.modes.centred_energy[-1, k] for run in one.runs])
    np.testing.assert_allclose(segments[-1][:, 1], [both.min(), both.max()], rtol=1e-9)


def test_what_is_fitted_is_said() -> None:
    comparison, figure = drawn("cycle:8")
    (_, free, _, _), (_, fitted, _, _) = panels(figure)
    assert free.get_xlabel() == "flow time $t$ = learning rate × steps (nothing fitted)"
    fit = comparison.models[1].mean_fit
    assert f"fitted: {fit.time_scale:.2g} a step, energies ÷ {fit.amplitude:.2g}" in fitted.get_xlabel()


@pytest.mark.parametrize(("word", "models"), [("cycle:8", BOTH), ("petersen", ("node2vec", "node2vec-untied"))])
def test_the_spectrum_is_that_of_the_final_embeddings(word: str, models: tuple[str, ...]) -> None:
    comparison, figure = drawn(word, models)
    n = comparison.task.graph.n
    for one, (_, _, ax, _) in zip(comparison.models, panels(figure), strict=True):
        gram = comparison.optimum.centred_gram if one.model.tied else one.predicted.gram
        predicted = np.linalg.eigvalsh(centre_rows(centre_rows(gram).T))[::-1]
        final = [centre_rows(np.asarray(run.final.embedding, dtype=np.float64)) for run in one.runs]
        measured = np.array([np.linalg.eigvalsh(v @ v.T)[::-1] for v in final])
        scale = 1.0
        if one.mean_fit.fitted:
            scale = np.linalg.lstsq(measured.reshape(-1, 1), np.tile(predicted, 2), rcond=None)[0][0]
            assert f"measured × {scale:.3g}" in legend(ax)
        ((_, x, y),) = [found for found in markers(ax, "#000000") if found[0] == "s"]
        assert list(x) == list(range(1, min(10, n - 1) + 1))
        tolerance = 1e-9 * predicted[0]  # eigenvalues that are zero differ by rounding of the largest
        np.testing.assert_allclose(y, predicted[: len(x)], atol=tolerance)
        ((_, _, dots),) = markers(ax, COLOURS[1])
        np.testing.assert_allclose(dots, scale * measured.mean(axis=0)[: len(x)], atol=1e-6 * predicted[0])
        error = np.mean([scores["gram_error"] for scores in one.scores])
        title = f"Gram spectrum, {f'gram_error {error:.2g}' if one.model.tied else 'last step'}"
        assert legend(ax)[0] == ("limit" if one.model.tied else "predicted")
        diamonds = markers(ax, COLOURS[2])
        if one.model.name == "node2vec":  # the one with a time of its own
            ((_, _, at_time),) = diamonds
            wanted = np.mean([scores["predicted_spectrum"] for scores in one.scores], axis=0)[: len(x)]
            np.testing.assert_allclose(at_time, wanted, rtol=EXACT)
            assert legend(ax)[1] == "predicted at $t$ = 1.5"
            at = np.mean([scores["gram_error_at_time"] for scores in one.scores])
            title = f"gram_error {error:.2g} (limit), {at:.2g} (at $t$)"
        else:
            assert not diamonds
        assert ax.get_title("left") == title


@pytest.mark.parametrize("word", ["cycle:8", "florentine", "irregular"])
def test_the_embedding_is_drawn_in_the_predicted_plane(word: str) -> None:
    comparison, figure = drawn(word)
    adjacency = comparison.task.graph.adjacency.toarray()
    edges = {(i, j) for i, j in zip(*np.nonzero(adjacency), strict=True) if i < j}
    for one, (_, _, _, ax) in zip(comparison.models, panels(figure), strict=True):
        wanted, placed = plane_coordinates(one.runs[0].final.embedding, one.optimum)
        rings, dots = [c for c in ax.collections if isinstance(c, PathCollection)]
        np.testing.assert_allclose(rings.get_offsets(), wanted, rtol=EXACT)
        np.testing.assert_allclose(dots.get_offsets(), placed, rtol=EXACT)
        (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
        ends = {tuple(np.round(segment, 12).ravel()) for segment in lines.get_segments()}
        assert ends == {tuple(np.round(placed[[i, j]], 12).ravel()) for i, j in edges}
        (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
        everything = np.concatenate([wanted, placed])
        assert (everything > [x0, y0]).all()
        assert (everything < [x1, y1]).all()
        assert ax.get_aspect() == 1.0
        assert ax.get_title("left") == f"embedding, fiedler_score {one.scores[0]['fiedler_score']:.3g}"
        assert legend(ax) == ["limit, in its plane", "seed 0"]


# What is not drawn.


@pytest.mark.parametrize(("word", "rank"), [("hamming:1,5", 0), ("path-star:1x2", 0), ("path-star:1x5", 1)])
def test_without_a_plane_the_panel_says_so(word: str, rank: int) -> None:
    comparison, figure = drawn(word, dict(ODD)[word])
    assert comparison.optimum.rank == rank
    for _, _, spectrum, embedding in panels(figure):
        assert [text.get_text() for text in embedding.texts] == [f"predicted rank {rank}:\nno plane to draw"]
        assert not embedding.collections
        ((_, _, dots),) = markers(spectrum, COLOURS[1])
        assert dots[0] > 0  # measured eigenvalues keep their own scale when the prediction is zero
        assert ("gram_error" in spectrum.get_title("left")) == (rank > 0)


def test_only_modes_that_can_be_seen_are_in_the_legend() -> None:
    _, figure = drawn("hamming:1,5")
    assert [legend(energy) for energy, *_ in panels(figure)] == [["$\\mu$ = 2.5 (×4)"]] * 2
    _, figure = drawn("irregular")  # here the zero eigenvalue is the distance between the components, and is drawn
    assert "$\\mu$ = 0 (×1)" in legend(panels(figure)[0][0])


def test_the_drawn_modes_are_the_largest_and_others_over_the_whole_spectrum() -> None:
    models = small_comparison("karate", ("node2vec",)).models
    chosen, (one,) = drawn_modes(models), models
    assert len(chosen) == DRAWN_MODES
    assert (np.diff(chosen) > 0).all()  # legend in ascending eigenvalue
    share = one.predicted.centred_energy / one.predicted.centred_energy.sum(axis=1, keepdims=True)
    late = share[len(share) // 4 :].mean(axis=0)
    assert set(np.argsort(-late)[:LARGEST_MODES]) <= set(chosen)
    count = share.shape[1]
    gaps = np.diff([-1, *chosen, count])
    assert gaps.max() <= count // 2
    assert count - 1 in chosen
