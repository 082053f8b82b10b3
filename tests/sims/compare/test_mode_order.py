"""The score of the spectral bias against planted answers, SciPy, enumeration, and Node2Vec runs."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import pytest
from scipy import stats

from fiedler.sims.compare.mode_events import ModeEvents, centred_dimensions, followed_spaces
from fiedler.sims.compare.mode_order import OverSeeds, SpectralBias, somers_d, spectral_bias
from fiedler.sims.models.registry import get_model
from fiedler.sims.predict.trajectory import PredictedTrajectory, predict_trajectory
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.runs.recorder import Modes, log_spaced_steps
from fiedler.sims.tasks.task import Task
from fiedler.theory import Eigenspaces, laplacian_eigenspaces, parse

EXACT = 1e-9  # exponentials interpolated in log energy
# Width 100, so energies of a space fluctuate by sqrt(2 / (100 d)), a tenth: that, over the rate, moves an event by less
# than a tenth of a decade.
WIDE = 0.1

SPACES = laplacian_eigenspaces(parse("path-star:4x5"))
FOLLOWED = followed_spaces(SPACES)
TIMES = np.geomspace(1e-2, 10, 200)


def trajectory(rates: np.ndarray, times: np.ndarray, start: float = 1.0, spaces: Eigenspaces = SPACES) -> np.ndarray:
    """Centred energies (times, eigenspaces) with the given rates of the followed spaces, zero in the others."""
    followed = followed_spaces(spaces)
    energy = np.zeros((len(times), len(spaces.eigenvalues)))
    energy[:, followed] = start * np.exp(2 * np.multiply.outer(times, rates)) * centred_dimensions(spaces)[followed]
    return energy


def predicted(rates: np.ndarray, start: float = 1.0) -> PredictedTrajectory:
    energy = trajectory(rates, TIMES, start)
    return PredictedTrajectory(TIMES, energy, energy, np.zeros(len(TIMES)), np.eye(17))


def run(rates: np.ndarray, scale: float, start: float = 1.0, last: int = 1000) -> Modes:
    """Recorded modes whose flow time is ``scale`` a step."""
    steps = log_spaced_steps(last)
    energy = trajectory(rates, scale * steps, start)
    return Modes(steps, energy, energy, np.zeros(len(steps)))


RATES = {
    "growing": np.linspace(1.0, 0.2, 8),
    "decaying": -np.linspace(0.1, 3.0, 8),
    "both": np.array([1.0, 0.5, -0.5, -1.0, 0.8, -2.0, 0.1, -3.0]),
}


@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
@pytest.mark.parametrize("known", [True, False])
def test_a_run_that_is_the_prediction_scores_one(rates: np.ndarray, known: bool) -> None:
    # Another embedding scale, and steps of another length than the flow's unit of time.
    found = spectral_bias(predicted(rates), 1.0, [run(rates, 0.01, start=7.0)], 0.01 if known else None, SPACES)
    assert found.filtering.order.values == (1.0,)
    assert found.growth.order.values == ((1.0,) if (rates > 0).any() else (pytest.approx(np.nan, nan_ok=True),))
    assert found.time_error.mean < EXACT
    assert found.time_scale == pytest.approx(0.01, rel=EXACT)
    assert found.fitted != known
    assert found.overlap.mean == pytest.approx(1.0)
    assert found.compared == (int(found.filtering.predicted.happened.sum() + found.growth.predicted.happened.sum()),)
    assert found.filtering.order.interval is None  # one seed


def test_a_wrong_clock_is_an_error_when_it_is_known() -> None:
    rates = RATES["decaying"]
    runs = [run(rates, 0.01), run(rates, 0.01)]
    known = spectral_bias(predicted(rates), 1.0, runs, 0.03, SPACES)
    assert known.time_error.mean == pytest.approx(np.log10(3.0), rel=1e-6)
    free = spectral_bias(predicted(rates), 1.0, runs, None, SPACES)
    assert free.time_error.mean < EXACT
    assert free.time_scale == pytest.approx(0.01, rel=EXACT)


def test_the_reverse_order_scores_minus_one_and_a_shuffled_one_about_zero() -> None:
    rates = RATES["decaying"]
    flow = predicted(rates)
    assert spectral_bias(flow, 1.0, [run(rates[::-1], 0.01)], None, SPACES).filtering.order.mean == -1.0
    rng = np.random.default_rng(0)
    runs = [run(rng.permutation(rates), 0.01) for _ in range(200)]
    found = spectral_bias(flow, 1.0, runs, None, SPACES).filtering
    assert abs(found.order.mean) < 4 * np.std(found.order.values) / np.sqrt(200)
    assert np.std(found.order.values) > 0.15
    assert found.p_value > 0.001


def test_what_the_run_cannot_tell_apart_does_not_count() -> None:
    rates = -np.array([0.1, 0.2, 0.3, 0.4, 2.0, 2.0, 2.0, 3.0])
    short = run(rates, 0.002)  # ends at time 2: the slow four never fall behind
    found = spectral_bias(predicted(rates), 1.0, [short], None, SPACES).filtering
    assert list(found.measured[0].happened) == [False] * 4 + [True] * 4
    assert found.order.values == (1.0,)
    # The prediction swaps two modes that the run ends before: nothing is held against it.
    swapped = rates[[0, 1, 3, 2, 4, 5, 6, 7]]
    assert spectral_bias(predicted(swapped), 1.0, [short], None, SPACES).filtering.order.values == (1.0,)
    # It swaps the last of the slow with the fastest: both are then on the wrong side of the three others that fall
    # behind, and of each other.
    wrong = rates[[0, 1, 2, 7, 4, 5, 6, 3]]
    pairs, discordant = 4 * 4 + 3, 3 + 3 + 1
    low = spectral_bias(predicted(wrong), 1.0, [short], None, SPACES).filtering.order.values[0]
    assert low == pytest.approx((pairs - 2 * discordant) / pairs)


def test_a_run_in_which_nothing_happens_has_no_score() -> None:
    still = run(np.zeros(8), 0.01)
    found = spectral_bias(predicted(RATES["decaying"]), 1.0, [still, still], None, SPACES)
    assert np.isnan(found.filtering.order.values).all()
    assert np.isnan([found.filtering.p_value, found.filtering.order.mean, found.time_error.mean]).all()
    assert found.filtering.order.interval is None
    assert found.compared == (0, 0)
    # A prediction that separates nothing says nothing about a run that does.
    other = spectral_bias(predicted(np.zeros(8)), 1.0, [run(RATES["decaying"], 0.01)], None, SPACES)
    assert other.filtering.order.values == (0.0,)


def test_overlap_and_survivors_by_hand() -> None:
    dims = centred_dimensions(SPACES)
    share = np.zeros(9)
    share[FOLLOWED] = [0.5, 0.3, 0.2, 0, 0, 0, 0, 0]
    flow = predicted(np.zeros(8))
    flow.centred_energy[-1] = 40 * share
    modes = run(np.zeros(8), 0.01)
    final = np.zeros(9)
    final[FOLLOWED] = [0.1, 0.4, 0.0, 0.5, 0, 0, 0, 0]
    modes.centred_energy[-1] = 3 * final
    found = spectral_bias(flow, 1.0, [modes], None, SPACES)
    assert found.overlap.mean == pytest.approx(0.1 + 0.3)
    assert found.overlap_by_chance == pytest.approx(np.minimum(share, dims / 16).sum())
    # Energy per dimension of the first three: 0.5/3, 0.3, 0.2/3, all above a tenth of 0.3.
    assert found.survivors == tuple(FOLLOWED[:3])
    assert found.share_of_survivors.mean == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(5))
def test_the_statistic_is_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    measured, guess = rng.integers(0, 5, (2, 12))  # many ties in both
    assert somers_d(measured, guess) == pytest.approx(stats.somersd(measured, guess).statistic)


def test_the_p_value_is_the_share_of_all_orders() -> None:
    spaces = laplacian_eigenspaces(parse("cycle:11"))
    assert len(followed_spaces(spaces)) == 5
    rates, seen = -np.array([0.1, 0.5, 1.0, 2.0, 4.0]), -np.array([0.1, 1.0, 0.5, 4.0, 2.0])
    flow = PredictedTrajectory(TIMES, *[trajectory(rates, TIMES, 1.0, spaces)] * 2, np.zeros(200), np.eye(11))
    steps = log_spaced_steps(1000)
    energies = [trajectory(r, 0.01 * steps, 1.0, spaces) for r in (seen, rates)]
    runs = [Modes(steps, e, e, np.zeros(len(steps))) for e in energies]
    found = spectral_bias(flow, 1.0, runs, None, spaces).filtering
    records = [events.records for events in found.measured]
    every = [
        np.mean([somers_d(r, found.predicted.records[list(order)]) for r in records])
        for order in itertools.permutations(range(5))
    ]
    assert found.p_value == pytest.approx(np.mean(np.array(every) >= found.order.mean - EXACT))
    # Swapping either of the two pairs back gains in one run what it loses in the other.
    assert found.p_value == pytest.approx(4 / 120)


def test_intervals_are_those_of_the_t_test() -> None:
    values = (0.5, 0.7, 0.65, 0.9, 0.2)
    found = OverSeeds(values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert OverSeeds((*values, np.nan)).interval == found.interval  # an undefined seed is left out, and counted so
    assert OverSeeds((*values, np.nan)).describe()["seeds"] == 5
    assert OverSeeds((0.9, 1.0), (-1.0, 1.0)).interval == (pytest.approx(0.95 - 0.05 * 12.7062, rel=1e-5), 1.0)
    assert OverSeeds((1.0, 1.0, 1.0)).interval == (1.0, 1.0)
    assert OverSeeds((0.5,)).interval is None
    assert OverSeeds((np.nan, 0.5)).interval is None


@pytest.mark.parametrize(("runs", "energy"), [([], 1.0), ([run(RATES["growing"], 0.01)], 0.0)])
def test_no_run_and_no_start_are_refused(runs: list[Modes], energy: float) -> None:
    with pytest.raises(ValueError, match="needs a run and an initial energy"):
        spectral_bias(predicted(RATES["growing"]), energy, runs, None, SPACES)


# Real runs.


@lru_cache
def node2vec(word: str) -> tuple[SpectralBias, SpectralBias]:
    """Node2Vec at the paper's settings for 2,000 steps, five seeds: its score, and that of shuffled modes."""
    task, model = Task(parse(word)), get_model("node2vec")
    settings = model.make_settings(steps=2000)
    flow = predict_trajectory(task, model, settings, log_spaced_steps(2000))
    runs = [one.modes for one in run_seeds(task, model, settings, range(5))]
    followed, rng = followed_spaces(task.spaces), np.random.default_rng(0)
    dims = centred_dimensions(task.spaces)[followed]
    mixed = []
    for modes in runs * 20:
        energy = modes.centred_energy.copy()
        energy[:, followed] = (energy[:, followed] / dims)[:, rng.permutation(len(followed))] * dims
        mixed.append(Modes(modes.steps, energy, energy, modes.loss))
    clock, start = model.time_per_step(settings), model.initial_energy(settings)
    return spectral_bias(flow, start, runs, clock, task.spaces), spectral_bias(flow, start, mixed, clock, task.spaces)


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "grid:4x4"])
def test_node2vec_follows_the_predicted_order_and_times(word: str) -> None:
    found, _ = node2vec(word)
    assert found.filtering.order.mean > 0.9
    assert found.filtering.p_value < 0.001
    assert found.time_error.mean < WIDE
    assert not found.fitted
    assert found.overlap.mean > 0.97
    assert not found.growth.predicted.happened.any()  # from a large start nothing grows tenfold
    assert isinstance(found.filtering.measured[0], ModeEvents)


@pytest.mark.parametrize("name", ["node2vec", "node2vec-untied"])
def test_from_a_small_start_modes_grow_in_the_predicted_order(name: str) -> None:
    task, model = Task(parse("cycle:15")), get_model(name)
    settings = model.make_settings(steps=3000, init_std=1e-3)
    flow = predict_trajectory(task, model, settings, log_spaced_steps(3000))
    runs = [one.modes for one in run_seeds(task, model, settings, range(3))]
    clock, start = model.time_per_step(settings), model.initial_energy(settings)
    found = spectral_bias(flow, start, runs, clock, task.spaces)
    for score in (found.growth, found.filtering):
        assert score.predicted.happened.sum() >= 3
        assert score.order.mean > 0.9
    assert found.time_error.mean < WIDE


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5"])
def test_shuffled_modes_of_real_runs_score_nothing(word: str) -> None:
    _, mixed = node2vec(word)
    values = np.array(mixed.filtering.order.values)
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
