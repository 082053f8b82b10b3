import numpy as np
import pytest
from scipy.linalg import expm

from cases import SMALL
from fiedler.theory import early_gram, early_modes, one_hop_target, parse, tied_flow, untied_flow

EXACT = 1e-12  # an eigendecomposition of a matrix with eigenvalues of order one
GROWTH = 1e-5  # a growth rate read off the flow: embeddings of 1e-4 give logits of 1e-8, divided by a time of 0.1
SMALL_SCALE = 1e-4
SHORT = 0.1

GRAPHS = ("cycle:15", "path-star:4x5", "grid:4x4", "irregular", "florentine", "karate")


def setting(word):
    target = one_hop_target(parse(word))
    return target, 0.5 + np.random.default_rng(0).random(len(target))


def growth_matrix(target, w, decay=0.0):
    """S0 = WT + T'W - (w1' + 1w')/n - 2 l I, entry by entry."""
    n = len(target)
    s = np.empty((n, n))
    for i, j in np.ndindex(n, n):
        s[i, j] = w[i] * target[i, j] + w[j] * target[j, i] - (w[i] + w[j]) / n - 2 * decay * (i == j)
    return s


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("word", GRAPHS)
def test_tied_rates_are_the_growth_rates_of_the_flow(word, decay):
    target, w = setting(word)
    modes = early_modes(target, weight_decay=decay, row_weight=w)
    assert modes.tied
    assert np.array_equal(modes.left, modes.right)
    assert (np.diff(modes.rates) <= 0).all()
    for k in (0, 1, 2, len(target) // 2, len(target) - 1):
        start = SMALL_SCALE * modes.left[:, k : k + 1]
        end = tied_flow(target, start, SHORT, weight_decay=decay, row_weight=w).embedding[0]
        measured = np.log((start * end).sum() / SMALL_SCALE**2) / SHORT
        assert modes.rates[k] == pytest.approx(measured, abs=GROWTH)


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("word", GRAPHS)
def test_untied_rates_are_the_growth_rates_of_the_flow(word, decay):
    target, w = setting(word)
    modes = early_modes(target, tied=False, weight_decay=decay, row_weight=w)
    assert not modes.tied
    assert (np.diff(modes.rates) <= 0).all()
    for k in (0, 1, 2, len(target) - 2):
        v0, u0 = SMALL_SCALE * modes.left[:, k : k + 1], SMALL_SCALE * modes.right[:, k : k + 1]
        end = untied_flow(target, v0, u0, SHORT, weight_decay=decay, row_weight=w)
        for start, final in ((v0, end.embedding[0]), (u0, end.context[0])):
            measured = np.log((start * final).sum() / SMALL_SCALE**2) / SHORT
            assert modes.rates[k] == pytest.approx(measured, abs=GROWTH)


@pytest.mark.parametrize("word", SMALL)
def test_modes_decompose_the_linear_flow(word):
    target, w = setting(word)
    n = len(target)
    tied = early_modes(target, row_weight=w, weight_decay=0.1)
    assert np.allclose(tied.left * tied.rates @ tied.left.T, growth_matrix(target, w, 0.1), rtol=0, atol=EXACT)
    assert np.allclose(tied.left.T @ tied.left, np.eye(n), rtol=0, atol=EXACT)
    untied = early_modes(target, tied=False, row_weight=w)
    r0 = np.diag(w) @ (target - 1 / n)
    assert np.allclose(untied.rates, np.linalg.svd(r0, compute_uv=False), rtol=0, atol=EXACT)
    assert np.allclose(untied.left * untied.rates @ untied.right.T, r0, rtol=0, atol=EXACT)


@pytest.mark.parametrize("n", [5, 8, 15])
def test_rates_on_the_cycle(n):
    # T = (shift + shift')/2 is symmetric: S0 = 2T - 2 11'/n has 2 cos(2 pi k/n) and, for the constant mode, 2 - 2 = 0;
    # R0 = S0/2 has the absolute values of half of them for singular values.
    target = one_hop_target(parse(f"cycle:{n}"))
    rates = np.concatenate([[0.0], 2 * np.cos(2 * np.pi * np.arange(1, n) / n)])
    assert np.allclose(early_modes(target).rates, np.sort(rates)[::-1], rtol=0, atol=EXACT)
    assert np.allclose(early_modes(target, tied=False).rates, np.sort(abs(rates / 2))[::-1], rtol=0, atol=EXACT)


@pytest.mark.parametrize("tied", [True, False])
def test_decay_shifts_the_rates(tied):
    target, w = setting("karate")
    plain, decayed = (early_modes(target, tied=tied, row_weight=w, weight_decay=decay).rates for decay in (0.0, 0.3))
    assert np.allclose(decayed, plain - (0.6 if tied else 0.3), rtol=0, atol=EXACT)


@pytest.mark.parametrize("word", GRAPHS)
def test_early_gram_is_the_matrix_exponential(word):
    target, w = setting(word)
    n = len(target)
    half = np.random.default_rng(1).standard_normal((n, 3))
    times = [0.0, 0.7, 3.0]
    found = early_gram(target, half @ half.T, times, weight_decay=0.1, row_weight=w)
    assert found.shape == (3, n, n)
    for k, t in enumerate(times):
        propagator = expm(t * growth_matrix(target, w, 0.1))
        expected = propagator @ half @ half.T @ propagator
        assert np.allclose(found[k], expected, rtol=0, atol=1e-11 * np.abs(expected).max())  # two exponentials multiply
    assert early_gram(target, np.eye(n), 1.0).shape == (1, n, n)


@pytest.mark.parametrize("word", GRAPHS)
def test_the_flow_leaves_the_early_phase_at_first_order_in_the_logits(word):
    target, w = setting(word)
    n = len(target)
    rate = early_modes(target, row_weight=w).rates[0]
    energies = np.array([1e-4, 1e-3, 1e-2])  # s^2 exp(2 s_1 t) of the fastest mode, which bounds every logit
    times = np.log(energies / SMALL_SCALE**2) / (2 * rate)
    # From an embedding rather than a Gram matrix, so that 1e-8 in K is 1e-4 in V, far above the integrator's floor.
    exact = tied_flow(target, SMALL_SCALE * np.eye(n), times, row_weight=w).gram
    early = early_gram(target, SMALL_SCALE**2 * np.eye(n), times, row_weight=w)
    errors = np.linalg.norm(exact - early, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))
    assert (errors < energies).all()
    assert errors[2] / errors[1] == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("word", GRAPHS)
@pytest.mark.parametrize("scale", [0.5, 1e-2, 1e-6])
def test_at_its_time_a_mode_has_energy_one(word, scale):
    for tied in (True, False):
        modes = early_modes(one_hop_target(parse(word)), tied=tied)
        times = modes.mode_times(scale)
        growing = modes.rates > 1e-6
        assert growing.any()
        assert np.allclose(scale**2 * np.exp(2 * modes.rates[growing] * times[growing]), 1, rtol=1e-8)
        assert np.isinf(times[modes.rates < 1e-12]).all()
        assert (np.diff(times[growing]) >= 0).all()


def test_modes_that_do_not_grow_have_no_time():
    modes = early_modes(one_hop_target(parse("grid:4x4")), weight_decay=10.0)
    assert np.isinf(modes.mode_times(0.1)).all()


@pytest.mark.parametrize("scale", [0.0, -0.1, 1.0, 2.0, np.nan])
def test_a_scale_without_an_early_phase_is_refused(scale):
    with pytest.raises(ValueError, match="init_scale"):
        early_modes(one_hop_target(parse("cycle:5"))).mode_times(scale)


def test_bad_input_is_refused():
    target = one_hop_target(parse("cycle:5"))
    with pytest.raises(ValueError, match="gram0"):
        early_gram(target, np.eye(4), 1.0)
    with pytest.raises(ValueError, match="weight_decay"):
        early_modes(target, weight_decay=-1)
    with pytest.raises(ValueError, match="row_weight"):
        early_modes(target, row_weight=np.ones(4))
    with pytest.raises(ValueError, match="sums"):
        early_modes(2 * target)


def test_times_at_which_the_growth_overflows_are_refused():
    with pytest.raises(ValueError, match="long after the early phase"):
        early_gram(one_hop_target(parse("cycle:5")), np.eye(5), [1e4])
