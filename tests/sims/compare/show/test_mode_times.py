"""The figure of mode times: a mark for every event that prediction and run share, where their times are."""

from __future__ import annotations

import dataclasses
import warnings
from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from comparisons import small_comparison
from fiedler.sims.compare.comparison import Comparison
from fiedler.sims.compare.show.mode_times import mode_times_caption, plot_mode_times
from fiedler.sims.draw.style import COLOURS, MARKERS
from figures import assert_legible, legend

MODELS = ("node2vec", "node2vec-untied", "transformer")
WORDS = ("cycle:8", "path-star:3x3", "irregular", "petersen")


@lru_cache
def times() -> tuple[list[Comparison], Figure]:
    comparisons = [small_comparison(word, MODELS) for word in WORDS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_mode_times(comparisons)
        figure.canvas.draw()
    plt.close(figure)
    return comparisons, figure


def test_the_figure_is_legible() -> None:
    comparisons, figure = times()
    assert_legible(figure)
    axes = np.array(figure.axes).reshape(2, len(MODELS))
    assert [ax.get_title() for ax in axes[0]] == [one.model.title for one in comparisons[0].models]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["tied flow", "untied flow"]
    assert len({ax.get_xlim() for ax in axes.flat} | {ax.get_ylim() for ax in axes.flat}) == 1
    assert not any(legend(ax) for ax in axes.flat)


def test_every_shared_event_is_drawn_where_it_is() -> None:
    comparisons, figure = times()
    total = 0
    for ax, (flow, i) in zip(figure.axes, [(f, i) for f in ("tied", "untied") for i in range(3)], strict=True):
        drawn = [line for line in ax.lines if line.get_linestyle() == "None"]
        expected = []
        for look, comparison in enumerate(comparisons):
            for bias in comparison.biases:
                if bias.compared is not comparison.models[i] or bias.flow != flow:
                    continue
                clock = bias.score.time_scale
                for score, filled in ((bias.score.filtering, True), (bias.score.growth, False)):
                    points = [
                        (x, y * clock)
                        for events in score.measured
                        for x, y in zip(score.predicted.times, events.times, strict=True)
                        if np.isfinite(x) and np.isfinite(y) and x > 0 and y > 0
                    ]
                    if points:
                        expected.append((COLOURS[look], MARKERS[look], filled, points))
        assert len(drawn) == len(expected)
        for line, (colour, marker, filled, points) in zip(drawn, expected, strict=True):
            assert (to_hex(line.get_color()).upper(), line.get_marker()) == (colour, marker)
            assert (line.get_markerfacecolor() != "none") == filled
            np.testing.assert_allclose(np.transpose(line.get_data()), points)
            low, high = ax.get_xlim()
            assert (np.array(points) > low).all()
            assert (np.array(points) < high).all()
            total += len(points)
        (diagonal,) = [line for line in ax.lines if line not in drawn]
        assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == list(ax.get_xlim())
        assert [text.get_text() for text in ax.texts] == ([] if drawn else ["nothing to compare"])
    assert total > 50


def test_the_caption_counts_seeds_and_says_what_is_fitted() -> None:
    caption = mode_times_caption(times()[0])
    assert "2 seed(s)" in caption
    assert "one factor fitted" in caption


def test_more_graphs_than_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 5 graphs"):
        plot_mode_times([small_comparison("cycle:8", MODELS)] * 6)


def test_long_names_fit() -> None:
    short = small_comparison("cycle:8", ("node2vec",))
    task = dataclasses.replace(short.task, edges="forward", weights="line")
    figure = plot_mode_times([dataclasses.replace(short, task=task)] * 5)
    assert_legible(figure)
    plt.close(figure)


def test_a_comparison_without_any_event_is_drawn_empty() -> None:
    figure = plot_mode_times([small_comparison("cycle:8", ("node2vec-untied",))])
    assert all([text.get_text() for text in ax.texts] == ["nothing to compare"] for ax in figure.axes)
    assert not figure.legends
    plt.close(figure)
