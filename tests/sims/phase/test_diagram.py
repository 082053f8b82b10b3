"""Measured phase diagrams: means, failures, boundaries of formulas, agreement, and what is refused."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pandas as pd
import pytest

from fiedler.sims.disk.jsonio import from_json, to_json
from fiedler.sims.models.registry import get_model
from fiedler.sims.phase.axes import Axis, level_lines, line_distance
from fiedler.sims.phase.diagram import describe_phase, phase_diagram, phase_grid
from fiedler.sims.phase.scores import predict_scores
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.tasks.task import Task
from fiedler.theory import geometric_margin, parse
from phase_tables import fail, swept

EXACT = 1e-12  # sums of a few numbers in another order
NAN = float("nan")
RATES, STDS = [0.001, 0.01, 0.1], [0.01, 0.1, 1.0]
PLANE = {"learning_rate": RATES, "init_std": STDS}


def slope(seed: int, learning_rate: float, init_std: float, **rest: float) -> float:
    """Zero where learning_rate * init_std^2 = 10^-4.5, linear in the logarithms; two seeds scatter evenly about it."""
    return float(np.log10(learning_rate) + 2 * np.log10(init_std) + 4.5) + (0.3, -0.3)[seed % 2]


# Axes and lines.


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([0.01, 0.1, 1], True),
        ([0, 0.001, 0.01], True),
        ([1, 2, 4], True),
        ([1, 2, 3], False),
        ([0.1, 0.5, 0.9], False),
        ([1, 10], True),
        ([1, 2], False),
        ([-1, 100], False),
        ([0], False),
        ([5, 5], False),
    ],
)
def test_which_axes_are_logarithmic(values: list[float], log: bool) -> None:
    axis = Axis.of("weight_decay", np.array(values[::-1]))
    assert axis.log == log
    assert list(axis.values) == sorted(set(values))


def test_finer_values_keep_the_given_ones() -> None:
    fine = Axis.of("init_std", np.array([0.0, 0.01, 0.1, 1.0])).finer(3)
    assert {0.0, 0.01, 0.1, 1.0} <= set(fine)
    assert len(fine) == 8  # nothing between zero and the first
    assert np.diff(np.log(fine[1:])) == pytest.approx(np.full(6, np.log(10) / 3))
    assert list(Axis.of("width", np.array([10, 12])).finer(4)) == [10, 11, 12]  # whole numbers, once each
    assert Axis.of("label_smoothing", np.array([0.0, 0.2])).finer(2) == pytest.approx([0, 0.1, 0.2])
    assert Axis.of("init_std", np.array([0.0, 0.01, 1.0])).spread(3) == pytest.approx([0.01, 0.1, 1])
    assert Axis.of("init_std", np.array([0.3])).spread(3) == pytest.approx([0.3])


def test_lines_are_where_a_formula_is_zero() -> None:
    axes = Axis.of("learning_rate", np.array(RATES)), Axis.of("init_std", np.array(STDS))
    values = np.array([[slope(0, x, y) - 0.3 for x in RATES] for y in STDS])
    (line,) = level_lines(axes, axes[0].values, axes[1].values, values, 0.0)
    assert np.log10(line[:, 0]) + 2 * np.log10(line[:, 1]) == pytest.approx(np.full(len(line), -4.5))
    assert line[:, 1].min() == pytest.approx(10**-1.75)
    assert line[:, 1].max() == pytest.approx(10**-0.75)
    values[0, 0] = NAN
    assert all(np.isfinite(part).all() for part in level_lines(axes, *(a.values for a in axes), values, 0.0))
    assert level_lines(axes, axes[0].values, axes[1].values[:1], values[:1], 0.0) == []
    zero = Axis.of("weight_decay", np.array([0.0, 0.01, 1.0]))
    shape = level_lines((zero, axes[1]), zero.values, axes[1].values, np.tile([-1.0, -1.0, 1.0], (3, 1)), 0.0)
    assert shape[0][:, 0] == pytest.approx(np.full(len(shape[0]), 0.1))
    none = level_lines((zero, axes[1]), zero.values, axes[1].values, np.tile([-1.0, 1.0, 1.0], (3, 1)), 0.0)
    assert none == []  # between zero and the first positive value there is no place for it


def test_crossings_of_a_curve() -> None:
    axis = Axis.of("steps", np.array([1.0, 10.0, 100.0, 1000.0, 1e4]))
    found = level_lines([axis], axis.values, np.array([NAN]), np.array([[-1.0, 3.0, NAN, 1.0, -1.0]]), 0.0)
    assert [float(point[0, 0]) for point in found] == pytest.approx([10**0.25, 10**3.5])


def test_distances_are_in_decades() -> None:
    log = Axis.of("learning_rate", np.array(RATES)), Axis.of("init_std", np.array(STDS))
    upright, shifted = np.array([[0.01, 0.01], [0.01, 1.0]]), np.array([[0.1, 0.01], [0.1, 1.0]])
    assert line_distance(log, [upright], [shifted]) == pytest.approx(1.0)
    assert line_distance(log, [upright[:1]], [shifted]) == pytest.approx(1.0)
    assert line_distance(log, [upright], [upright]) == 0.0
    assert line_distance(log, [upright], []) is line_distance(log, [], [upright]) is None
    linear = [Axis.of("label_smoothing", np.array([0.0, 0.1, 0.4]))]
    assert line_distance(linear, [np.array([[0.1]])], [np.array([[0.3]])]) == pytest.approx(0.5)  # of the range


# The measured grid.


def test_means_and_spread_over_seeds() -> None:
    scores = {(x, y, s): float(np.sin(100 * x + 10 * y + s)) for x, y, s in itertools.product(RATES, STDS, range(3))}
    table = swept(
        PLANE, lambda seed, learning_rate, init_std, **_: scores[learning_rate, init_std, seed], seeds=range(3)
    )
    grid = phase_grid(table.sample(frac=1.0, random_state=0), "learning_rate", "init_std")
    assert (grid.graph, grid.model.name, grid.metric, grid.layout) == (
        "cycle:7",
        "node2vec",
        "geometric_margin",
        "grid",
    )
    assert grid.seeds == (0, 1, 2)
    assert [axis.name for axis in grid.axes] == ["learning_rate", "init_std"]
    assert {"steps": 20, "width": 10, "weight_decay": 0.0, "self_edges": False}.items() <= grid.settings.items()
    assert not {"learning_rate", "init_std", "seed", "graph"} & grid.settings.keys()
    for k, (x, y) in enumerate(grid.cells):
        of_cell = np.array([scores[x, y, seed] for seed in range(3)])
        assert grid.mean[k] == pytest.approx(of_cell.mean(), rel=EXACT)
        assert grid.std[k] == pytest.approx(of_cell.std(ddof=1), rel=EXACT)
        assert (grid.low[k], grid.high[k], grid.done[k], grid.failed[k]) == (of_cell.min(), of_cell.max(), 3, 0)
    matrix = grid.matrix(grid.mean)
    assert matrix.shape == (3, 3)
    assert matrix[2, 0] == pytest.approx(np.mean([scores[0.001, 1.0, seed] for seed in range(3)]), rel=EXACT)


def test_failed_pending_undefined_and_missing_runs() -> None:
    table = swept(PLANE, slope)
    fail(table, (table["learning_rate"] == 0.1) & (table["seed"] == 0))
    fail(table, (table["learning_rate"] == 0.1) & (table["init_std"] == 1.0))
    fail(table, (table["learning_rate"] == 0.01) & (table["init_std"] == 1.0), status="pending")
    fail(table, (table["learning_rate"] == 0.001) & (table["init_std"] == 1.0), status="done")
    table = table[(table["learning_rate"] != 0.001) | (table["init_std"] != 0.1)]
    grid = phase_grid(table, "learning_rate", "init_std")
    assert len(grid.cells) == 8
    counts = {name: grid.matrix(getattr(grid, name)) for name in ("done", "failed", "undefined")}
    assert np.array_equal(counts["done"], [[2, 2, 1], [NAN, 2, 1], [0, 0, 0]], equal_nan=True)
    assert np.array_equal(counts["failed"], [[0, 0, 1], [NAN, 0, 1], [0, 0, 2]], equal_nan=True)
    assert np.array_equal(counts["undefined"], [[0, 0, 0], [NAN, 0, 0], [2, 0, 0]], equal_nan=True)
    mean = grid.matrix(grid.mean)
    assert np.isnan(mean[2]).all()
    assert np.isnan(mean[1, 0])
    assert mean[0, 2] == pytest.approx(slope(1, 0.1, 0.01), rel=EXACT)  # of the seed that finished
    assert np.isnan(grid.matrix(grid.std)[0, 2])


def test_one_axis_is_a_curve_and_most_combinations_missing_a_scatter() -> None:
    curve = phase_grid(swept({"learning_rate": RATES}, lambda seed, learning_rate, **_: learning_rate), "learning_rate")
    assert curve.layout == "curve"
    assert curve.cells.shape == (3, 1)
    assert curve.matrix(curve.mean) == pytest.approx(np.array([RATES]))
    rng = np.random.default_rng(0)
    drawn = [
        swept({"learning_rate": [float(x)], "init_std": [float(y)]}, slope, seeds=[0])
        for x, y in rng.uniform(1e-3, 1, (20, 2))
    ]
    assert phase_grid(pd.concat(drawn), "learning_rate", "init_std").layout == "scatter"
    half = swept(PLANE, slope)
    half = half[half["learning_rate"] * half["init_std"] <= 0.0011]  # six of nine: a sweep that is not done
    assert phase_grid(half, "learning_rate", "init_std").layout == "grid"


def test_what_varies_besides_has_to_be_chosen() -> None:
    table = swept({**PLANE, "width": [10, 20], "label_smoothing": [0.0, 0.1]}, slope)
    message = (
        r"other settings still vary: label_smoothing \(0, 0.1\); width \(10, 20\): choose a value of each, as fixed="
    )
    with pytest.raises(ValueError, match=message):
        phase_grid(table, "learning_rate", "init_std")
    with pytest.raises(ValueError, match=r"vary: width \(10, 20\)"):
        phase_grid(table, "learning_rate", "init_std", fixed={"label_smoothing": 0.1})
    fixed = {"label_smoothing": 0.1, "width": 20}
    grid = phase_grid(table, "learning_rate", "init_std", fixed=fixed)
    assert fixed.items() <= grid.settings.items()
    assert (grid.done == 2).all()
    with pytest.raises(ValueError, match=r"no row has width = 30; there are 10, 20"):
        phase_grid(table, "learning_rate", "init_std", fixed={"width": 30})
    both = pd.concat([table[table["width"] == 10], table.assign(graph="petersen")])
    with pytest.raises(ValueError, match=r"vary: graph \(cycle:7, petersen\)"):
        phase_grid(both, "learning_rate", "init_std", fixed=fixed | {"width": 10})
    assert phase_grid(both, "learning_rate", "init_std", fixed=fixed | {"graph": "petersen"}).graph == "petersen"
    many = swept({"learning_rate": [0.1], "init_std": [1.0], "width": list(range(10, 20))}, slope)
    with pytest.raises(ValueError, match=r"width \(10, 11, 12, 13, 14, 15, ... \(10 values\)\)"):
        phase_grid(many, "learning_rate", "init_std")


def test_a_range_may_be_chosen_where_cells_do_not_meet() -> None:
    rng = np.random.default_rng(1)
    parts = [
        swept({"learning_rate": [float(x)], "init_std": [float(y)], "width": [int(w)]}, slope, seeds=[0])
        for x, y, w in zip(rng.uniform(0.01, 1, 9), rng.uniform(0.01, 1, 9), [*range(10, 18), 99], strict=True)
    ]
    table = pd.concat(parts)
    diagram = phase_diagram(table, "learning_rate", "init_std", fixed={"width": (10, 50)})
    assert len(diagram.grid.cells) == 8
    assert diagram.grid.settings["width"] == (10, 50)
    assert diagram.prediction.note == "no prediction: width vary"
    meeting = swept({"learning_rate": [0.1], "init_std": [1.0], "width": [10, 20]}, slope)
    with pytest.raises(ValueError, match=r"seed 0 appears twice at learning_rate = 0.1, init_std = 1"):
        phase_grid(meeting, "learning_rate", "init_std", fixed={"width": (10, 50)})
    with pytest.raises(ValueError, match="a range of width is a pair"):
        phase_grid(table, "learning_rate", "init_std", fixed={"width": (1, 2, 3)})


def test_refusals() -> None:
    table = swept(PLANE, slope)
    with pytest.raises(ValueError, match=r"the table has no column 'decay'; it has point, graph"):
        phase_grid(table, "decay")
    with pytest.raises(ValueError, match="no column 'gram_error'"):
        phase_grid(table, "learning_rate", "init_std", "gram_error")
    with pytest.raises(ValueError, match="x, y and what is fixed must differ"):
        phase_grid(table, "init_std", "init_std")
    with pytest.raises(ValueError, match="must differ"):
        phase_grid(table, "init_std", "learning_rate", fixed={"init_std": 1.0})
    with pytest.raises(ValueError, match=r"'seed' is no setting of node2vec to draw over; choose from .*learning_rate"):
        phase_grid(table, "seed", "learning_rate")
    with pytest.raises(ValueError, match="'graph' is no setting"):
        phase_grid(table, "graph", "learning_rate")
    with pytest.raises(ValueError, match="init does not hold numbers"):
        phase_grid(table, "init", fixed={"learning_rate": 0.1, "init_std": 1.0})
    with pytest.raises(ValueError, match="folder does not hold numbers"):
        phase_grid(table, "learning_rate", "init_std", "folder")
    with pytest.raises(ValueError, match="init_std holds values that are no finite numbers"):
        phase_grid(table.assign(init_std=NAN), "learning_rate", "init_std")
    with pytest.raises(ValueError, match=r"seed 1 appears twice at learning_rate = 0.1"):
        phase_grid(pd.concat([table, table[-1:]]), "learning_rate", "init_std")
    with pytest.raises(ValueError, match="the table has no rows"):
        phase_grid(table[:0], "learning_rate", "init_std")
    with pytest.raises(ValueError, match=r"unknown model 'node3vec'; did you mean 'node2vec'"):
        phase_grid(table.assign(model="node3vec"), "learning_rate", "init_std")
    with pytest.raises(ValueError, match="boundary must be a finite number; got inf"):
        phase_diagram(table, "learning_rate", "init_std", boundary=float("inf"))


def test_a_table_read_back_from_csv_is_the_same() -> None:
    table = swept({**PLANE, "label_smoothing": [0.0, 0.1]}, slope)
    fail(table, table["learning_rate"] == 0.1)
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    fixed = {"label_smoothing": 0.1}
    one, two = (phase_grid(t, "learning_rate", "init_std", fixed=fixed) for t in (table, again))
    assert np.array_equal(one.mean, two.mean, equal_nan=True)
    assert list(one.failed) == list(two.failed)
    assert one.settings == two.settings


# Boundaries, sides and agreement.


def test_the_boundary_is_known_for_the_margin_of_tied_models_only() -> None:
    def diagram(**options):
        metric = options.pop("metric", "geometric_margin")
        table = swept({"learning_rate": [0.01]}, lambda **_: -1.0, metric=metric, **options)
        return phase_diagram(table, "learning_rate", metric=metric, predict=False)

    assert diagram().boundary == diagram(model="transformer").boundary == 0.0
    untied = diagram(model="node2vec-untied")
    assert untied.boundary is None
    assert any("the sign of an untied V's margin" in note for note in untied.notes)
    assert diagram(metric="gram_error").boundary is None
    assert (diagram(metric="gram_error").side(np.array([-1.0, 5.0])) == 0).all()
    asked = phase_diagram(swept(PLANE, slope, metric="gram_error"), "learning_rate", "init_std", "gram_error",
                          boundary=0.25, predict=False)  # fmt: skip
    assert asked.boundary == 0.25
    assert asked.sides == ("below", "above")
    assert len(asked.measured_lines) == 1


def test_sides_count_where_the_seeds_settle_them() -> None:
    scores = {0.001: (-1.0, -1.2), 0.01: (-0.3, 0.9), 0.1: (2.0, 2.1), 1.0: (1e-9, 1e-9)}
    table = swept({"learning_rate": list(scores)}, lambda seed, learning_rate, **_: scores[learning_rate][seed])
    diagram = phase_diagram(table, "learning_rate", predict=False)
    assert list(diagram.side(diagram.grid.mean)) == [-1, 1, 1, 0]
    assert list(diagram.resolved_side()) == [-1, 0, 1, 0]  # within two standard errors; no softmax shows 1e-9
    single = phase_diagram(table[table["seed"] == 1], "learning_rate", predict=False)
    assert list(single.resolved_side()) == [-1, 1, 1, 0]
    cells = describe_phase(single)["cells"]
    assert [cell["side"] for cell in cells] == ["associative", "geometric", "geometric", None]


def test_a_description_of_runs_that_are_the_prediction() -> None:
    """Scores taken from the predicted flow itself: every number of the agreement is then perfect."""
    model, task = get_model("node2vec"), Task(parse("cycle:7"))
    axes = {"learning_rate": np.geomspace(1e-4, 0.1, 4).tolist(), "init_std": [0.1, 0.5]}

    def score(seed: int, learning_rate: float, init_std: float, **_: object) -> float:
        settings = model.make_settings(steps=20, width=10, learning_rate=learning_rate, init_std=init_std)
        return float(predict_scores([(task, settings)], model, "geometric_margin", samples=5)[0])

    described = describe_phase(swept(axes, score), "learning_rate", "init_std", samples=5)
    assert from_json(to_json(described))["cells"][0].keys() == described["cells"][0].keys()
    finite, limit = (described["agreement"][name] for name in ("finite_width", "infinite_width"))
    assert finite["cells"] == finite["same_side"] == limit["cells"] == 8
    assert 0 < limit["same_side"] < 8  # positive everywhere: wrong where the runs are associative
    assert finite["rms_difference"] < 1e-6 * max(abs(cell["mean"]) for cell in described["cells"])
    assert finite["boundary_distance"] < 1e-6  # decades
    assert limit["boundary_distance"] is None
    assert described["predicted_boundary"] == []
    assert len(described["measured_boundary"]) == len(described["predicted_boundary_finite_width"]) == 1
    assert described["notes"] == ["infinite width: geometric everywhere, no boundary to draw"]
    assert described["samples"] == 5
    assert (described["boundary"], described["layout"], described["seeds"]) == (0.0, "grid", [0, 1])
    for cell in described["cells"]:
        assert cell["side"] == ("geometric" if cell["mean"] > 0 else "associative")
        assert cell["predicted_finite_width"] == pytest.approx(cell["mean"])
        assert cell["predicted"] > 0


def test_real_runs_lie_on_their_predicted_sides() -> None:
    """The figure's point, small: two widths, from a step count too short to beat the random start to one that does."""
    model, task = get_model("node2vec"), Task(parse("cycle:9"))
    axes = {"learning_rate": np.geomspace(3e-4, 3e-2, 5).tolist(), "width": [8, 128]}
    finals = {}
    for rate, width in itertools.product(*axes.values()):
        settings = model.make_settings(steps=10, init_std=0.1, learning_rate=rate, width=width)
        for run in run_seeds(task, model, settings, range(30)):
            finals[rate, width, run.seed] = geometric_margin(run.final.embedding, task.graph)[0]
    table = swept(axes, lambda seed, learning_rate, width, **_: finals[learning_rate, width, seed], seeds=range(30),
                  graph="cycle:9", steps=10, init_std=0.1)  # fmt: skip
    found = describe_phase(table, "learning_rate", "width", samples=100)["agreement"]
    assert found["finite_width"]["same_side"] == found["finite_width"]["cells"] >= 8
    assert found["infinite_width"]["same_side"] < found["infinite_width"]["cells"]
    # The mean of 30 seeds scatters by 8 % of a random start's margin, which grows in proportion to the time.
    assert found["finite_width"]["boundary_distance"] < 2 * np.log10(1.08)


def test_predictions_are_of_the_cells_that_finished() -> None:
    table = swept({"learning_rate": [0.001, 0.01, 50.0], "init_std": [0.1, 0.5]}, lambda **_: 1.0)
    fail(table, table["learning_rate"] == 50.0)
    diagram = phase_diagram(table, "learning_rate", "init_std", samples=2)
    limit = diagram.prediction.limit
    assert limit is not None
    assert limit.x.max() == 0.01
    assert np.array_equal(np.isnan(limit.cells), diagram.grid.cells[:, 0] == 50.0)
    fail(table, table["learning_rate"] > 0)
    assert phase_diagram(table, "learning_rate", "init_std").prediction.note == "no prediction: no run is done"


def test_without_a_graph_that_can_be_read_the_task_has_to_be_given() -> None:
    table = swept(PLANE, slope, graph="/nowhere/my.edges")
    lost = phase_diagram(table, "learning_rate", "init_std")
    assert lost.prediction.note.startswith("no prediction: ")
    given = phase_diagram(table, "learning_rate", "init_std", task=Task(parse("cycle:7")), samples=0)
    assert given.prediction.note == ""
    word = phase_diagram(table.assign(graph="cycle:7"), "learning_rate", "init_std", samples=0)
    assert given.prediction.limit is not None
    assert word.prediction.limit is not None
    assert np.array_equal(given.prediction.limit.values, word.prediction.limit.values)


def test_options_of_the_target_reach_the_prediction() -> None:
    table = swept(
        {"learning_rate": [0.1], "label_smoothing": [0.3]}, lambda **_: 1.0, metric="loss_per_node", steps=100
    )
    grid = phase_diagram(table, "learning_rate", metric="loss_per_node", samples=0)
    model, task = get_model("node2vec"), Task(parse("cycle:7"), label_smoothing=0.3)
    settings = model.make_settings(steps=100, width=10, learning_rate=0.1)
    assert grid.prediction.limit is not None
    assert grid.prediction.limit.cells == pytest.approx(predict_scores([(task, settings)], model, "loss_per_node"))
