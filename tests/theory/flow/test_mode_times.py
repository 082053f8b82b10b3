import numpy as np
import pytest

from fiedler.theory import early_modes, mode_energy, one_hop_target, parse, tied_flow, untied_flow
from fiedler.theory.flow.mode_times import early_spaces, measured_mode_times, reach_times

ROOT = 1e-7  # energies at the measured time, from a second integration
GRAPHS = ("cycle:15", "path-star:4x5", "grid:4x4", "florentine", pytest.param("karate", marks=pytest.mark.long))
SCALES = (1e-2, 1e-4, 1e-6, 1e-8)
CONSTANT = 1e-3  # measured - predicted between s = 1e-2 and 1e-8, where corrections of order s are left


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("word", GRAPHS)
def test_the_ratio_of_the_leading_time_tends_to_one(word, tied):
    target = one_hop_target(parse(word))
    found = [measured_mode_times(target, s, tied=tied) for s in SCALES]
    late = np.array([f.measured[0] - f.predicted[0] for f in found])
    # A delay that does not depend on s ...
    assert np.abs(late - late[-1]).max() < CONSTANT
    assert (late > 0).all()
    # ... so the ratio is 1 + delay * 2 s_1 / ln(1/s^2).
    logs = np.log(1 / np.array(SCALES) ** 2)
    ratios = np.array([f.ratio[0] for f in found])
    assert (np.diff(ratios) < 0).all()
    assert np.allclose((ratios - 1) * logs, late[-1] * 2 * found[0].rates[0], rtol=0.05)
    assert ratios[-1] < 1.03
    if not tied:  # half of the energy of V starts in the shrinking combination
        assert late[-1] > np.log(2) / (2 * found[0].rates[0])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("word", GRAPHS)
def test_modes_have_the_threshold_at_their_measured_times(word, tied):
    target, s, level = one_hop_target(parse(word)), 1e-2, 0.5
    n = len(target)
    found = measured_mode_times(target, s, threshold=level, tied=tied)
    spaces = early_spaces(early_modes(target, tied=tied))
    seen = np.isfinite(found.measured)
    assert seen.any()
    order = np.argsort(found.measured[seen])
    times = found.measured[seen][order]
    start, zero = s * np.eye(n), np.zeros((n, n))
    if tied:
        v = tied_flow(target, start, times).embedding
    else:
        v = untied_flow(target, np.hstack([start, zero]), np.hstack([zero, start]), times).embedding
    places = np.flatnonzero(seen)[order]
    for k, embedding in zip(places, v, strict=True):
        energy = mode_energy(embedding, spaces)[::-1][k]
        assert energy == pytest.approx(level * found.dimensions[k], rel=ROOT)
    # Never before, and never at all where infinite.
    grid = np.linspace(0, found.end, 400)
    if tied:
        energies = np.array([mode_energy(x, spaces)[::-1] for x in tied_flow(target, start, grid).embedding])
        for k in range(len(found.rates)):
            assert (energies[grid < found.measured[k] - 1e-9, k] < level * found.dimensions[k]).all()


@pytest.mark.parametrize("word", GRAPHS)
def test_before_the_first_time_every_space_grows_at_its_own_rate(word):
    target, s = one_hop_target(parse(word)), 1e-8
    modes = early_modes(target)
    spaces = early_spaces(modes)
    time = 0.5 * measured_mode_times(target, s).predicted[0]
    energy = mode_energy(tied_flow(target, s * np.eye(len(target)), time).embedding[0], spaces)
    assert np.allclose(energy, spaces.multiplicities * s**2 * np.exp(2 * spaces.eigenvalues * time), rtol=1e-5)


def test_early_spaces_group_equal_rates():
    modes = early_modes(one_hop_target(parse("cycle:8")), weight_decay=0.1)
    spaces = early_spaces(modes)
    assert spaces.multiplicities.sum() == 8
    assert np.allclose(np.repeat(spaces.eigenvalues, spaces.multiplicities)[::-1], modes.rates, atol=1e-12)
    assert spaces.multiplicities[-1] == 2


def test_weights_and_decay_change_the_rates():
    target, w = one_hop_target(parse("florentine")), 1 + np.arange(15) / 15
    found = measured_mode_times(target, 1e-4, weight_decay=0.1, row_weight=w)
    modes = early_modes(target, weight_decay=0.1, row_weight=w)
    assert found.predicted[0] == pytest.approx(modes.mode_times(1e-4)[0])
    assert 1 < found.ratio[0] < 1.05
    assert np.isnan(found.ratio[~np.isfinite(found.predicted)]).all()
    short = measured_mode_times(target, 1e-4, weight_decay=0.1, row_weight=w, end=0.5 * found.predicted[0])
    assert np.isinf(short.measured).all()


def test_recorded_energies():
    times = np.array([1.0, 2.0, 4.0])
    energy = np.array([[0.1, 5.0, 0.0, 0.1], [1.0, 1.0, 0.0, 0.2], [0.5, 9.0, 2.0, 0.3]])
    # Exponential growth from 0.1 to 1: 0.5 after log(5)/log(10) of the step; there at once; never until then.
    found = reach_times(times, energy, [0.5, 3.0, 1.0, 1.0])
    assert found[0] == pytest.approx(1 + np.log10(5))
    assert found[1] == 1.0
    assert 2 < found[2] <= 4
    assert found[3] == np.inf
    dense = np.linspace(0, 5, 50)
    grown = 1e-4 * np.exp(np.multiply.outer(dense, [2.0, 3.0]))
    assert np.allclose(reach_times(dense, grown, 1.0), np.log(1e4) / np.array([2.0, 3.0]), rtol=1e-12)


def test_recorded_energies_of_the_flow_give_its_times():
    target, s = one_hop_target(parse("path-star:4x5")), 1e-3
    found, spaces = measured_mode_times(target, s), early_spaces(early_modes(target))
    times = np.linspace(0, found.end, 300)
    energy = np.array([mode_energy(v, spaces) for v in tied_flow(target, s * np.eye(len(target)), times).embedding])
    recorded = reach_times(times, energy, spaces.multiplicities)[::-1]
    assert np.array_equal(np.isfinite(recorded), np.isfinite(found.measured))
    seen = np.isfinite(recorded)
    assert np.allclose(recorded[seen], found.measured[seen], rtol=0, atol=2e-3)


def test_bad_input_is_refused():
    target = one_hop_target(parse("cycle:5"))
    with pytest.raises(ValueError, match="init_scale"):
        measured_mode_times(target, 1.5)
    with pytest.raises(ValueError, match="threshold"):
        measured_mode_times(target, 0.1, threshold=0.0)
    with pytest.raises(ValueError, match="no mode grows"):
        measured_mode_times(target, 0.1, weight_decay=5.0)
    with pytest.raises(ValueError, match="energy must be"):
        reach_times([0.0, 1.0], np.ones((3, 2)), 1.0)
    with pytest.raises(ValueError, match="level"):
        reach_times([0.0, 1.0], np.ones((2, 2)), [1.0, 0.0])
