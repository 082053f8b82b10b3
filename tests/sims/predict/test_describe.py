"""The dictionary of `fiedler theory`: against the 15-cycle, where everything can be written down by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

from fiedler.sims.disk.jsonio import from_json, to_json
from fiedler.sims.predict.describe import LAPLACIAN, describe_optimum, describe_theory
from fiedler.sims.tasks.task import Task
from fiedler.theory import early_modes, parse, tied_flow, tied_optimum, untied_flow, untied_optimum

N = 15
COSINES = np.cos(2 * np.pi * np.arange(N) / N)  # of the eigenvalues of D^-1 A, and of the distances on the circle

LOSS_TOLERANCE = 1e-11  # the digits given below, after a solver that is exact to rounding
VALUE_TOLERANCE = 1e-8  # relative: eigenvalues carry the solver's 1e-9
GIVEN_TOLERANCE = 1e-5  # the digits given of 45.57987
SPECTRUM_TOLERANCE = 1e-12  # a closed form of a few operations
FLOW_TOLERANCE = 1e-6  # of two integrators
CERTIFIED = 1e-7  # what "certified" has to mean at least


@pytest.fixture(scope="module")
def cycle() -> Task:
    return Task(parse(f"cycle:{N}"))


@pytest.fixture(scope="module")
def tied(cycle: Task) -> dict[str, Any]:
    return describe_theory(cycle)


def softmax_of_circle(height: float) -> np.ndarray:
    """P of the logits K_ij = height (2/15) cos(2 pi (i - j) / 15), which has the eigenvalue ``height`` twice."""
    exponent = np.exp(height * 2 / N * COSINES)
    return exponent / exponent.sum()


def test_the_optimum_of_the_cycle(tied: dict[str, Any]) -> None:
    optimum = tied["optimum"]
    assert optimum["loss_per_node"] == pytest.approx(1.434917543849, abs=LOSS_TOLERANCE)
    assert optimum["rank"] == 2
    assert optimum["attained"] is True
    assert optimum["eigenvalues"] == pytest.approx([45.57987] * 2, abs=GIVEN_TOLERANCE)
    assert 0 <= optimum["certificate"]["max_violation"] < CERTIFIED
    assert abs(optimum["certificate"]["duality_gap"]) < CERTIFIED
    assert optimum["eigenvalues_of"] == "centred Gram matrix"
    assert optimum["diverging_directions"] == 0


def test_the_optimum_solves_its_own_equation(tied: dict[str, Any]) -> None:
    # By symmetry K is circulant of rank 2, and T - P vanishes on its mode: cos(2 pi / 15) = sum_d P_d cos(2 pi d / 15).
    height = brentq(lambda x: softmax_of_circle(x) @ COSINES - COSINES[1], 1.0, 200.0, xtol=1e-13)
    assert tied["optimum"]["eigenvalues"] == pytest.approx([height] * 2, rel=VALUE_TOLERANCE)
    loss = -0.5 * sum(math.log(softmax_of_circle(height)[neighbour]) for neighbour in (1, N - 1))
    assert tied["optimum"]["loss_per_node"] == pytest.approx(loss, abs=LOSS_TOLERANCE)


def test_the_task_and_the_settings_are_named(tied: dict[str, Any]) -> None:
    task = {"graph": "cycle:15", "n": 15, "edges": 15, "components": 1, "self_edges": False, "label_smoothing": 0.0}
    settings = {"model": "tied", "weight_decay": 0.0, "laplacian": LAPLACIAN, "init_scale": 0.01}
    assert {name: tied[name] for name in task | settings} == task | settings


@pytest.mark.parametrize(
    ("laplacian", "factor"), [(LAPLACIAN, 1.0), ("combinatorial", 1.0), ("symmetric", 0.5), ("random-walk", 0.5)]
)
def test_the_spectrum_of_the_cycle(cycle: Task, laplacian: str, factor: float) -> None:
    lines = describe_theory(cycle, laplacian=laplacian)["spectrum"]
    wanted = factor * (2 - 2 * COSINES[: N // 2 + 1])
    np.testing.assert_allclose([line["eigenvalue"] for line in lines], wanted, atol=SPECTRUM_TOLERANCE)
    assert [line["multiplicity"] for line in lines] == [1] + [2] * (N // 2)


@pytest.mark.parametrize("decay", [0.0, 0.4])
@pytest.mark.parametrize("scale", [0.01, 0.3])
def test_growth_rates_and_times_tied(cycle: Task, decay: float, scale: float) -> None:
    answer = describe_theory(cycle, weight_decay=decay, init_scale=scale)
    # S0 = T + T' - 2 11'/n - 2 l I: twice the cosines, each from k and 15 - k; the constant mode has rate 0 - 2 l.
    rates = [2 * cosine - 2 * decay for cosine in COSINES[1 : N // 2 + 1] if cosine > decay]
    check_rates(answer, rates, scale)


@pytest.mark.parametrize("decay", [0.0, 0.4])
def test_growth_rates_and_times_untied(cycle: Task, decay: float) -> None:
    answer = describe_theory(cycle, tied=False, weight_decay=decay)
    # The singular values of T - 11'/n are the cosines' absolute values, which are distinct for an odd cycle.
    rates = sorted((abs(cosine) - decay for cosine in COSINES[1 : N // 2 + 1] if abs(cosine) > decay), reverse=True)
    check_rates(answer, rates, 0.01)
    assert answer["model"] == "untied"


def check_rates(answer: dict[str, Any], rates: list[float], scale: float) -> None:
    assert len(rates) >= 2
    assert [line["multiplicity"] for line in answer["growth_rates"]] == [2] * len(rates)
    np.testing.assert_allclose([line["rate"] for line in answer["growth_rates"]], rates, rtol=VALUE_TOLERANCE)
    times = [math.log(1 / scale**2) / (2 * rate) for rate in rates]
    np.testing.assert_allclose(answer["mode_times"], times, rtol=VALUE_TOLERANCE)
    assert answer["init_scale"] == scale


def test_the_untied_optimum_without_decay_is_the_entropy_and_not_attained(cycle: Task) -> None:
    optimum = describe_theory(cycle, tied=False)["optimum"]
    assert optimum["loss_per_node"] == pytest.approx(math.log(2), abs=LOSS_TOLERANCE)
    assert optimum["attained"] is False
    assert len(optimum["eigenvalues"]) == optimum["rank"] == 0
    assert optimum["eigenvalues_of"] == "logits (singular values)"
    assert optimum["diverging_directions"] is None


def test_the_untied_optimum_with_decay(cycle: Task) -> None:
    decay = 0.5
    optimum = describe_theory(cycle, tied=False, weight_decay=decay)["optimum"]
    # Z = sum over modes k of z_k u_k u_k': on each the residual T - P is +-decay in the direction of z_k.
    values = np.array(optimum["eigenvalues"])
    assert optimum["attained"] is True
    assert optimum["rank"] == len(values) == 8
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose(values[::2], values[1::2], rtol=VALUE_TOLERANCE)
    signed = {k: COSINES[k] for k in range(1, N // 2 + 1) if abs(COSINES[k]) > decay}  # one pair of values for each
    assert 2 * len(signed) == len(values)
    heights = dict(zip(sorted(signed, key=lambda k: -abs(signed[k])), values[::2], strict=True))
    row = sum(h * np.sign(signed[k]) * 2 / N * COSINES[k * np.arange(N) % N] for k, h in heights.items())
    p = np.exp(row) / np.exp(row).sum()
    for k in heights:
        residual = signed[k] - p @ COSINES[k * np.arange(N) % N]
        assert residual == pytest.approx(decay * np.sign(signed[k]), abs=CERTIFIED)
    assert optimum["loss_per_node"] == pytest.approx(-0.5 * math.log(p[1]) - 0.5 * math.log(p[-1]), abs=CERTIFIED)


def test_weight_decay_reaches_the_tied_optimum(cycle: Task) -> None:
    decay = 0.65  # strong enough that the second pair of modes stays at zero
    height = brentq(lambda x: COSINES[1] - softmax_of_circle(x) @ COSINES - decay, 1e-6, 200.0, xtol=1e-13)
    answer = describe_theory(cycle, weight_decay=decay)
    assert answer["optimum"]["eigenvalues"] == pytest.approx([height] * 2, rel=VALUE_TOLERANCE)
    assert answer["weight_decay"] == decay


def test_components_and_diverging_directions() -> None:
    answer = describe_theory(Task(parse("irregular")))
    assert answer["components"] == 2
    assert answer["optimum"]["diverging_directions"] == 1
    assert answer["optimum"]["attained"] is False


def test_a_graph_that_grows_nothing() -> None:
    answer = describe_theory(Task(parse("hamming:1,5")))  # the complete graph: every centred mode decays
    assert answer["growth_rates"] == answer["mode_times"] == []
    assert answer["optimum"]["rank"] == len(answer["optimum"]["eigenvalues"]) == 0


@pytest.mark.parametrize("scale", [0.0, 1.0, -0.1, 2.0, math.nan])
def test_a_bad_initial_scale_is_refused(cycle: Task, scale: float) -> None:
    with pytest.raises(ValueError, match=r"init_scale must lie in \(0, 1\)"):
        describe_theory(cycle, init_scale=scale)


def test_an_unknown_laplacian_is_refused(cycle: Task) -> None:
    with pytest.raises(ValueError, match="unknown Laplacian kind 'norm'"):
        describe_theory(cycle, laplacian="norm")


def test_it_is_plain_json(cycle: Task, tied: dict[str, Any]) -> None:
    back = from_json(to_json(tied))
    assert back["mode_times"] == tied["mode_times"]
    assert back["optimum"]["eigenvalues"] == list(tied["optimum"]["eigenvalues"])
    alone = from_json(to_json(describe_optimum(tied_optimum(cycle.target))))
    assert set(alone) == set(back["optimum"])
    assert alone["eigenvalues"] == pytest.approx(back["optimum"]["eigenvalues"], rel=VALUE_TOLERANCE)


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_flow_where_it_is_asked_for(cycle: Task, is_tied: bool) -> None:
    answer = describe_theory(cycle, tied=is_tied, init_scale=0.5, weight_decay=0.01, until=20.0)
    points = answer["flow"]["points"]
    assert points[0]["time"] == pytest.approx(0.02)
    assert points[-1]["time"] == pytest.approx(20.0)
    times = [point["time"] for point in points]
    some, none = 0.5 * np.eye(N), np.zeros((N, N))
    whole: Any = (
        tied_flow(cycle.target, some, times, weight_decay=0.01)
        if is_tied
        else untied_flow(cycle.target, np.hstack([some, none]), np.hstack([none, some]), times, weight_decay=0.01)
    )
    np.testing.assert_allclose([point["loss_per_node"] for point in points], whole.loss / N, rtol=FLOW_TOLERANCE)
    top = [point["eigenvalues"][0] for point in points]
    expected = [np.linalg.norm(v, 2) ** 2 for v in whole.embedding]
    np.testing.assert_allclose([e["eigenvalue"] for e in top], expected, rtol=FLOW_TOLERANCE)
    assert "flow" not in describe_theory(cycle)


@pytest.mark.parametrize("until", [0.0, -1.0, math.inf, math.nan])
def test_a_bad_end_of_the_flow_is_refused(cycle: Task, until: float) -> None:
    with pytest.raises(ValueError, match="until must be a positive time"):
        describe_theory(cycle, until=until)


def test_parts_on_request(cycle: Task) -> None:
    plain = describe_theory(cycle)
    assert not {"flow", "width", "rivals", "storage", "spectrum_proof"} & set(plain)
    whole = describe_theory(cycle, until=10.0, width=100, modes=2, rivals=True, storage=True, init_scale=0.5)
    assert [line["multiplicity"] for line in whole["spectrum"]] == [1, 2]
    assert whole["spectrum"] == plain["spectrum"][:2]
    assert [rival["name"] for rival in whole["rivals"]] == ["laplacian", "pmi", "qwem", "support"]
    assert whole["storage"]["stored_pairs"] == 2 * N
    for point, limit in zip(whole["width"]["points"], whole["flow"]["points"], strict=True):
        low, _, high = point["loss_per_node"]
        assert point["time"] == limit["time"]
        assert low < high
        # The limit is inside the scatter, but for a bias of order 1/m.
        assert low - 0.02 < limit["loss_per_node"] < high + 0.02
    bare = describe_theory(cycle, optimum=False, modes=2)
    assert not {"optimum", "growth_rates", "mode_times"} & set(bare)


def test_walk_targets_take_the_dense_route() -> None:
    task = Task(parse("grid:2x3"), window=2, p=0.5, q=2.0)
    answer = describe_theory(task, weight_decay=0.1, until=5.0)
    dense = tied_optimum(task.target, weight_decay=0.1)
    assert answer["optimum"]["loss_per_node"] == pytest.approx(dense.loss_per_node, rel=1e-12)
    rates = early_modes(task.target).rates - 0.2
    assert answer["growth_rates"][0]["rate"] == pytest.approx(rates.max(), rel=1e-12)
    times = [point["time"] for point in answer["flow"]["points"]]
    flow = tied_flow(task.target, 0.01 * np.eye(6), times, weight_decay=0.1)
    losses = [point["loss_per_node"] for point in answer["flow"]["points"]]
    assert losses == pytest.approx((flow.loss / 6).tolist(), rel=1e-9)
    untied = describe_theory(task, tied=False, weight_decay=0.1)["optimum"]
    assert untied["loss_per_node"] == pytest.approx(untied_optimum(task.target, weight_decay=0.1).loss_per_node)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 10}, "give --until"),
        ({"width": 10, "until": 1.0, "tied": False}, "leave out --untied"),
        ({"top": True}, "say how many eigenvalues with --modes"),
        ({"rivals": True, "optimum": False}, "leave out --untied and --no-optimum"),
        ({"until": -1.0}, "until must be a positive time"),
    ],
)
def test_options_that_do_not_go_together(cycle: Task, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe_theory(cycle, **options)


def test_no_size_is_refused_where_nothing_needs_all_pairs() -> None:
    answer = describe_theory(Task(parse("grid:50x50"), window=2), optimum=False, modes=2)
    assert len(answer["spectrum"]) == 2


def test_diverging_logits_have_a_direction() -> None:
    answer = describe_theory(Task(parse("petersen")), tied=False)["optimum"]
    # Minus three times the projector on the adjacency's eigenvalue -2: entries 2/5, -4/15 on edges, 1/15 elsewhere.
    assert answer["max_margin"]["nuclear_norm"] == pytest.approx(12.0, abs=1e-5)
    assert answer["max_margin"]["rank"] == 4
    assert not answer["attained"]
    for other in ({"tied": True}, {"tied": False, "weight_decay": 0.1}):
        assert "max_margin" not in describe_theory(Task(parse("petersen")), **other)["optimum"]


def test_the_rank_is_a_fact_or_a_range() -> None:
    found = describe_theory(Task(parse("path-star:1000x5")))["optimum"]
    assert (found["rank"], found["rank_low"], found["rank_high"], found["rank_proved"]) == (999, 999, 999, True)
    assert found["unresolved_eigenvalues"] == []
    found = from_json(to_json(describe_theory(Task(parse("path-star:5000x5")))))["optimum"]
    assert (found["rank"], found["rank_low"], found["rank_high"], found["rank_proved"]) == (4999, 4999, 5000, False)
    assert len(found["eigenvalues"]) == 4999


def test_eigenvalues_that_the_gap_does_not_resolve_are_listed() -> None:
    karate = describe_theory(Task(parse("karate")))["optimum"]
    assert karate["rank_low"] <= karate["rank"] <= karate["rank_high"]
    assert karate["rank_proved"] == (karate["rank_low"] == karate["rank_high"])
    unresolved = karate["unresolved_eigenvalues"]
    assert unresolved == pytest.approx(karate["eigenvalues"][karate["rank_low"] :] if not karate["rank_proved"] else [])


def test_the_drift_of_an_infimum(tied: dict[str, Any]) -> None:
    assert tied["drift"] is None  # a cycle is regular
    answer = describe_theory(Task(parse("path-star:4x5")), until=300.0)
    assert answer["drift"]["kappa"] == pytest.approx(4.8241, rel=1e-4)
    assert [point["time"] for point in answer["drift"]["points"]] == [100.0, 300.0, 1e4, 1e6]
    last = answer["drift"]["points"][-1]
    assert last["gap_per_node"] == pytest.approx(0.18834e-3, rel=1e-4)
    assert last["mean_norm"] == pytest.approx(1.2275 * 1e6**0.25, rel=1e-4)
    assert describe_theory(Task(parse("path-star:4x5")), weight_decay=0.1)["drift"] is None
    assert describe_theory(Task(parse("path-star:4x5")), tied=False)["drift"] is None
