"""What is predicted for a diagram: scores on grids, and the deaths of modes where the decay is an axis."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

import fiedler.sims.phase.prediction as module
from fiedler.sims.models.registry import get_model
from fiedler.sims.phase.axes import Axis
from fiedler.sims.phase.prediction import SAMPLES, mode_deaths, predict_phase
from fiedler.sims.phase.scores import predict_scores
from fiedler.sims.tasks.task import Task
from fiedler.theory import decay_thresholds, from_networkx, one_hop_target, parse, target_decay_thresholds

SAME = 1e-6  # the same flow with other times asked of it, states to 1e-6 of their largest entry
LINE = 2e-3  # of a decay: twice the tolerance of a line's place
TIED, UNTIED, TRANSFORMER = (get_model(name) for name in ("node2vec", "node2vec-untied", "transformer"))
TASK = Task(parse("cycle:7"))
RATES, STDS = Axis.of("learning_rate", [0.001, 0.01, 0.1]), Axis.of("init_std", [0.01, 0.1])
BASE = {"steps": 20, "width": 10}
CELLS = np.array([[0.001, 0.1], [0.1, 0.01], [0.01, 0.1]])


def at(task: Task, metric: str, samples: int = 0, **settings: float) -> float:
    return float(predict_scores([(task, TIED.make_settings(**settings))], TIED, metric, samples=samples)[0])


def test_both_grids_hold_the_scores_of_their_points() -> None:
    found = predict_phase(TASK, TIED, BASE, (RATES, STDS), CELLS, "geometric_margin", samples=3)
    assert found.note == found.deaths_note == ""
    assert found.deaths == ()
    assert found.samples == 3
    assert found.limit is not None
    assert found.finite is not None
    for surface, samples in ((found.limit, 0), (found.finite, 3)):
        assert surface.values.shape == (len(surface.y), len(surface.x))
        assert set(RATES.values) <= set(surface.x)
        assert set(STDS.values) <= set(surface.y)
        assert len(surface.x) > len(RATES.values)
        for k, (rate, std) in enumerate(CELLS):
            expected = at(TASK, "geometric_margin", samples, learning_rate=rate, init_std=std, **BASE)
            assert surface.cells[k] == pytest.approx(expected, rel=SAME)
        row, column = len(surface.y) - 1, 1
        options = {"learning_rate": surface.x[column], "init_std": surface.y[row]}
        expected = at(TASK, "geometric_margin", samples, **options, **BASE)
        assert surface.values[row, column] == pytest.approx(expected, rel=SAME)
    assert not np.allclose(found.limit.cells, found.finite.cells, rtol=0.01)


def test_a_curve_has_one_row_and_samples_are_of_small_graphs() -> None:
    given, cell = {**BASE, "init_std": 0.1}, np.array([[0.1]])
    found = predict_phase(TASK, TIED, given, [RATES], cell, "effective_rank")
    assert found.samples == SAMPLES
    assert found.limit is not None
    assert found.limit.values.shape == (1, len(found.limit.x))
    assert np.isnan(found.limit.y).all()
    assert found.limit.cells == pytest.approx([at(TASK, "effective_rank", learning_rate=0.1, **given)], rel=SAME)
    large = predict_phase(Task(parse("cycle:31")), TIED, given, [RATES], cell, "geometric_margin")
    assert large.limit is not None
    assert large.finite is None
    assert large.samples == 0


def test_scattered_points_get_a_grid_of_their_range() -> None:
    found = predict_phase(TASK, TIED, BASE, (RATES, STDS), CELLS, "geometric_margin", scattered=True, samples=0)
    assert found.limit is not None
    assert found.limit.x == pytest.approx(np.geomspace(0.001, 0.1, len(found.limit.x)))
    assert found.limit.y == pytest.approx(np.geomspace(0.01, 0.1, len(found.limit.y)))
    assert len(found.limit.x) > 10


def test_an_axis_of_the_target_changes_the_target() -> None:
    smoothings = Axis.of("label_smoothing", [0.0, 0.3])
    settings = {**BASE, "init_std": 0.1, "learning_rate": 0.1}
    found = predict_phase(TASK, TIED, settings, [smoothings], np.array([[0.3], [0.0]]), "loss_per_node", samples=0)
    expected = [at(Task(TASK.graph, label_smoothing=a), "loss_per_node", **settings) for a in (0.3, 0.0)]
    assert found.limit is not None
    assert found.limit.cells == pytest.approx(expected, rel=SAME)
    both = [Axis.of("weight_decay", [0.01, 2.0]), smoothings]
    cells = np.array([[0.01, 0.0]])
    assert predict_phase(TASK, TIED, settings, both, cells, "loss_per_node", samples=0).deaths == ()  # one each


def test_the_finer_grid_keeps_to_its_cost() -> None:
    axes = [Axis.of("weight_decay", np.geomspace(0.01, 1, 6)), Axis.of("init_std", np.geomspace(0.01, 1, 6))]
    for flows, nodes in ((1000, 15), (150, 15), (150, 60)):
        x, y = module._finer(axes, nodes, flows)
        finer = len(x) > 6
        assert not finer or len(x) * len(y) * max(1, (nodes / 15) ** 2) <= flows
        assert finer == (nodes == 15)
    x, y = module._finer([Axis.of("learning_rate", np.geomspace(0.01, 1, 6)), axes[1]], 15, 25)
    assert len(x) * len(y) > 25 >= len(y)  # times of one flow cost nothing


def test_what_has_no_prediction_says_so() -> None:
    found = predict_phase(TASK, TRANSFORMER, {"width": 16}, (RATES, STDS), CELLS, "geometric_margin")
    assert "no prediction for this model" in found.note
    assert found.limit is found.finite is None
    decays = Axis.of("weight_decay", [0.01, 2.0])
    cells = np.array([[0.01]])
    found = predict_phase(TASK, TRANSFORMER, {"width": 16}, [decays], cells, "geometric_margin")
    assert found.deaths == ()  # Adam's decay is not the theory's
    found = predict_phase(TASK, TIED, {**BASE, "init_std": 0.1}, [decays], cells, "edge_recall")
    assert found.note == "no prediction for edge_recall"
    assert len(found.deaths) > 0  # of the decay they depend on alone
    large, many = Task(parse("cycle:60")), np.column_stack([np.full(16, 0.01), np.geomspace(0.01, 1, 16)])
    found = predict_phase(large, TIED, BASE, (RATES, STDS), many, "geometric_margin")
    assert found.note == "no prediction: 16 flows of 60 nodes would take too long"
    found = predict_phase(large, TIED, {**BASE, "init_std": 0.1}, [RATES], many[:1, :1], "geometric_margin")
    assert found.note == ""  # times of one flow
    with pytest.raises(ValueError, match="has no setting 'heads'"):
        predict_phase(TASK, TIED, {"heads": 2}, (RATES, STDS), CELLS, "geometric_margin")


# Deaths of modes.


@pytest.mark.parametrize(("word", "model"), [("cycle:15", TIED), ("path-star:3x3", TIED), ("path-star:3x3", UNTIED)])
def test_deaths_are_the_changes_of_rank(word: str, model) -> None:
    task = Task(parse(word))
    known = decay_thresholds(task.graph, tied=model.tied, lowest=0.05, tolerance=1e-4)
    deaths, note = mode_deaths(task, model, known.lowest)
    assert note == ""
    assert [death.decay for death in deaths] == pytest.approx(known.decays, rel=LINE)
    for death, space, share in zip(deaths, known.spaces, known.shares, strict=True):
        assert death.index == space or share < 0.55  # two spaces have half each, and rounding chooses
    assert [death.multiplicity for death in deaths] == list(np.abs(known.lower_ranks - known.upper_ranks))
    assert [death.dies for death in deaths] == list(known.lower_ranks > known.upper_ranks)
    assert [death.eigenvalue for death in deaths] == pytest.approx([known.eigenvalues[death.index] for death in deaths])
    assert [death.share for death in deaths] == pytest.approx(known.shares, abs=0.05)
    some, _ = mode_deaths(task, model, known.decays[0] * 0.95)
    assert [death.decay for death in some] == pytest.approx(
        known.decays[known.decays > 0.95 * known.decays[0]], rel=LINE
    )
    assert mode_deaths(task, model, known.decays[0] * 1.01) == ((), "")


def test_deaths_of_another_target() -> None:
    task = Task(parse("cycle:9"), window=2)
    known = target_decay_thresholds(task.target, task.spaces, lowest=0.05, tolerance=1e-4)
    deaths, _ = mode_deaths(task, TIED, known.lowest)
    assert [death.decay for death in deaths] == pytest.approx(known.decays, rel=LINE)


def test_of_a_large_graph_without_symmetry_the_largest_alone() -> None:
    graph = from_networkx(nx.random_regular_graph(3, 70, seed=1))
    deaths, note = mode_deaths(Task(graph), TIED, 0.01)
    r = one_hop_target(graph) - 1 / 70
    assert [death.decay for death in deaths] == pytest.approx([np.linalg.eigvalsh((r + r.T) / 2)[-1]])
    assert deaths[0].multiplicity == deaths[0].index == 1
    assert deaths[0].share == pytest.approx(1.0)  # regular: the first mode is the Laplacian's
    assert "only the largest is known (more than 60 nodes without enough symmetry)" in note


def test_very_low_decays_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOWEST_DECAY", 0.1)
    deaths, note = mode_deaths(TASK, TIED, 1e-6)
    assert note == "deaths below 0.062 were not looked for"  # a tenth of cos(2 pi / 7)
    assert len(deaths) == 1


def test_deaths_are_those_within_the_axis() -> None:
    cells = np.array([[0.05]])
    wide = predict_phase(Task(parse("cycle:15")), TIED, BASE, [Axis.of("weight_decay", [0.05, 2.0])], cells, "none")
    assert [death.index for death in wide.deaths] == [1, 2]
    part = predict_phase(Task(parse("cycle:15")), TIED, BASE, [Axis.of("weight_decay", [0.05, 0.7])], cells, "none")
    assert [death.index for death in part.deaths] == [2]
    zero = predict_phase(Task(parse("cycle:15")), TIED, BASE, [Axis.of("weight_decay", [0.0])], cells, "none")
    assert zero.deaths == ()
