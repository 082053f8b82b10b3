"""Figures of ladders over sizes and starts: which rows they are for, what they count, and what they show."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fiedler.sims.compare.ladder.end_figures import end_figures
from fiedler.sims.compare.ladder.rank_figure import plot_ranks, sized_rows
from fiedler.sims.compare.ladder.ranks import Ranks
from fiedler.sims.compare.ladder.starts import start_cells
from fiedler.sims.compare.presets.definitions import get_preset
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse, tied_optimum


def row(settings: Any, ranks: list[Ranks], predicted: list[Ranks], shares: list[float]) -> Any:
    share = np.array(shares)[:, None]
    return SimpleNamespace(
        compared=SimpleNamespace(settings=settings),
        ranks=tuple(ranks),
        predictions=tuple(SimpleNamespace(ranks=one) for one in predicted),
        agreements=(None,) * len(ranks),
        course=SimpleNamespace(share=share, predicted_share=share / 2),
    )


def rows_of(preset: str, margins: tuple[float, ...] = (1.0, -1.0)) -> list[Any]:
    """Rows of the preset's models, with ranks that grow by one from model to model."""
    models = get_preset(preset).cells[0].models
    return [
        row(
            one.model().make_settings(),
            [Ranks(2.0 + i, 3.0 + i, 1.0, margin) for margin in margins],
            [Ranks(2.0 + i, 3.5 + i, 1.0, 1.0)] * len(margins),
            [0.25, 0.75],
        )
        for i, one in enumerate(models)
    ]


def test_ranks_of_a_ring_are_two() -> None:
    task = Task(parse("cycle:15"))
    optimum = tied_optimum(task.target)
    found = Ranks.of(task, optimum.factor, optimum.gram)
    assert found.embedding == pytest.approx(2.0, abs=1e-4)
    assert found.logits == pytest.approx(2.0, abs=1e-3)
    assert found.stable == pytest.approx(2.0, abs=1e-6)
    assert found.margin > 0
    scattered = Ranks.of(task, np.eye(15), np.diag([3.0, 4.0] + 13 * [0.0]))
    z = np.diag([3.0, 4.0] + 13 * [0.0])
    z = z - z.mean(axis=1, keepdims=True)
    assert scattered.stable == pytest.approx((z**2).sum() / np.linalg.norm(z, 2) ** 2)
    assert scattered.margin == 0
    assert np.isnan(Ranks.of(task, np.eye(15), np.full((15, 15), np.nan)).stable)


def test_each_preset_has_its_figure_and_no_other() -> None:
    for preset, name in (("depth", "ranks"), ("starts", "starts")):
        found = list(end_figures([("a graph", rows_of(preset)), ("another", rows_of(preset))]))
        assert [one.name for one in found] == [name]
    for preset in ("ladder", "retention", "four-cells"):
        assert not list(end_figures([("a graph", rows_of(preset))]))


def test_ranks_are_drawn_where_they_are() -> None:
    rows = rows_of("depth")
    sized = sized_rows(rows)
    assert [(one.layers, one.width, one.residual) for one in sized[:3]] == [(1, 8, True), (2, 8, True), (3, 8, True)]
    assert sized[1].values("logits", False).tolist() == [4.0, 4.0]
    axes = plot_ranks([("a graph", rows)]).axes
    assert len(axes) == 4  # with residuals and without, over depth and over width
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), [3.5, 4.5, 5.5])  # predicted, width 8
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), [3.5, 6.5])  # predicted, one layer


def test_starts_are_counted_by_side() -> None:
    cells = start_cells(rows_of("starts"))
    assert [(one.width, one.start) for one in cells[:4]] == [(4, "I"), (8, "I"), (32, "I"), (4, "N(0, 0.1²)")]
    assert all((one.geometric, one.predicted, one.agree, one.seeds) == (1, 2, 1, 2) for one in cells)
    assert cells[0].share == (0.25, 0.5, 0.75)
    assert cells[0].predicted_share == 0.25
