"""Events of modes: planted exponentials have them at closed-form times, in any unit, scale and rotation."""

from __future__ import annotations

import numpy as np
import pytest

from fiedler.sims.compare.mode_events import (
    FACTOR,
    LEAST_DIMENSION,
    centred_dimensions,
    filtering_events,
    followed_spaces,
    growth_events,
)
from fiedler.sims.runs.recorder import Recorder, log_spaced_steps
from fiedler.theory import early_modes, laplacian_eigenspaces, one_hop_target, parse, tied_flow

EXACT = 1e-9  # interpolation in log energy is exact for exponentials, but for rounding
SMALL = 1e-4  # start of a flow whose first events lie in its linear phase

TIMES = np.concatenate([[0.0], np.geomspace(1e-2, 1e2, 300)])
WORDS = ("cycle:15", "path-star:4x5", "grid:4x4", "irregular", "karate")


def exponentials(rates: np.ndarray, start: float = 1.0) -> np.ndarray:
    return start * np.exp(2 * np.multiply.outer(TIMES, rates))


@pytest.mark.parametrize("factor", [2.0, FACTOR, 100.0])
def test_growing_modes_have_closed_form_times(factor: float) -> None:
    rates = np.array([0.5, 0.4, 0.1, 0.03])
    energy = exponentials(rates, 1e-6)
    np.testing.assert_allclose(growth_events(TIMES, energy, factor).times, np.log(factor) / (2 * rates), rtol=EXACT)
    behind = filtering_events(TIMES, energy, factor)
    np.testing.assert_allclose(behind.times[1:], np.log(factor) / (2 * (rates[0] - rates[1:])), rtol=EXACT)
    assert np.isinf(behind.times[0])


def test_decaying_modes_have_closed_form_times() -> None:
    rates = -np.array([0.1, 0.3, 1.0, 2.0])  # V(t) = exp(-L t) V(0) from a large start
    energy = exponentials(rates, 100.0)
    behind = filtering_events(TIMES, energy)
    np.testing.assert_allclose(behind.times[1:], np.log(FACTOR) / (2 * (rates[0] - rates[1:])), rtol=EXACT)
    assert not growth_events(TIMES, energy).happened.any()


@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5"])
def test_the_flow_from_a_small_start_has_the_events_of_its_linear_phase(word: str) -> None:
    # Independent of the recorder and of energies per eigenspace: rates from the matrix of the linear flow.
    graph = parse(word)
    target, spaces = one_hop_target(graph), laplacian_eigenspaces(graph)
    rates = early_modes(target).rates
    first = np.log(FACTOR) / (2 * rates[0])
    times = np.linspace(0, 1.5 * first, 40)
    recorder = Recorder(spaces, np.arange(40))
    for v in tied_flow(target, SMALL * np.eye(graph.n), times).embedding:
        recorder.record(v, 0.0)
    followed = followed_spaces(spaces)
    energy = recorder.finish().centred_energy[:, followed] / centred_dimensions(spaces)[followed]
    growth = growth_events(times, energy).times
    assert growth[0] == growth.min() == pytest.approx(first, rel=1e-3)  # S0 and L differ on a star in the constant mode


def test_neither_scale_nor_unit_of_time_matters() -> None:
    rng = np.random.default_rng(0)
    energy = np.exp(np.cumsum(rng.normal(size=(len(TIMES), 6)), axis=0))
    for events in (growth_events, filtering_events):
        plain, other = events(TIMES, energy), events(7.0 * TIMES, 1e-9 * energy)
        np.testing.assert_allclose(other.times, 7.0 * plain.times, rtol=EXACT)
        assert (other.records == plain.records).all()
        assert plain.happened.any()


def test_rotated_embeddings_have_the_same_events() -> None:
    spaces = laplacian_eigenspaces(parse("path-star:4x5"))
    rng = np.random.default_rng(1)
    steps = log_spaced_steps(40, 30)
    decay = np.exp(-0.1 * np.multiply.outer(steps, spaces.eigenvalues[spaces.labels]))
    walk = (spaces.basis * decay[:, None, :]) @ rng.normal(size=(17, 8)) * 1.1 ** steps[:, None, None]
    rotation, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    found = []
    for embeddings in (walk, walk @ rotation):
        recorder = Recorder(spaces, steps)
        for v in embeddings:
            recorder.record(v, 0.0)
        followed = followed_spaces(spaces)
        energy = recorder.finish().centred_energy[:, followed] / centred_dimensions(spaces)[followed]
        found.append((growth_events(steps.astype(float), energy), filtering_events(steps.astype(float), energy)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one.times, two.times, rtol=EXACT)
        assert (one.records == two.records).all()
        assert one.happened.any()


def test_a_mode_without_an_event_is_later_than_all_others() -> None:
    energy = np.array([[1.0, 1, 1, 1], [1, 0.5, 0.09, 0.2], [1, 0.11, 0.08, 0.0999]])
    behind = filtering_events(np.array([0.0, 1, 2]), energy)
    assert list(behind.records) == [3, 3, 1, 2]
    assert list(behind.happened) == [False, False, True, True]
    assert np.isinf(behind.times[:2]).all()


def test_events_within_one_recording_interval_are_tied() -> None:
    energy = np.array([[1.0, 1, 1], [1, 0.09, 0.01], [1, 0.001, 0.001]])
    behind = filtering_events(np.array([0.0, 1, 2]), energy)
    assert behind.records[1] == behind.records[2] == 1
    assert behind.times[2] < behind.times[1]  # the interpolated times still differ


def test_the_first_time_counts() -> None:
    energy = np.array([[1.0, 1], [1, 0.01], [1, 2.0], [1, 0.01]])
    assert filtering_events(np.arange(4.0), energy).records[1] == 1


def test_energies_of_zero_are_behind_from_the_start() -> None:
    energy = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert list(filtering_events(np.array([0.0, 1.0]), energy).records) == [2, 0]
    nothing = np.zeros((2, 3))
    assert not filtering_events(np.array([0.0, 1.0]), nothing).happened.any()
    assert not growth_events(np.array([0.0, 1.0]), nothing).happened.any()


@pytest.mark.parametrize("factor", [1.0, 0.5, np.nan])
def test_a_factor_of_one_or_less_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="factor must be above 1"):
        growth_events(TIMES, exponentials(np.ones(2)), factor)


@pytest.mark.parametrize("word", WORDS)
def test_dimensions_are_the_traces_of_centred_projectors(word: str) -> None:
    spaces = laplacian_eigenspaces(parse(word))
    n = len(spaces.basis)
    centring = np.eye(n) - 1 / n
    traces = [np.trace(centring @ spaces.projector(k)) for k in range(len(spaces.eigenvalues))]
    np.testing.assert_allclose(centred_dimensions(spaces), traces, atol=1e-12)
    recorder = Recorder(spaces, np.array([0]))
    recorder.record(3.0 * np.eye(n), 0.0)  # K = 9 I: nine in every dimension
    followed = followed_spaces(spaces)
    energy = recorder.finish().centred_energy[0] / centred_dimensions(spaces)
    np.testing.assert_allclose(energy[followed], 9.0, rtol=EXACT)


def test_only_the_constant_mode_is_left_out() -> None:
    for word in WORDS:
        spaces = laplacian_eigenspaces(parse(word))
        assert list(followed_spaces(spaces)) == list(range(1, len(spaces.eigenvalues)))
    two = laplacian_eigenspaces(parse("irregular"))  # two components: their distance is a mode of its own
    assert abs(two.eigenvalues[1]) < EXACT
    assert LEAST_DIMENSION < centred_dimensions(two)[1] < 1
