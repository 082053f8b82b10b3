import numpy as np
import pytest

from fiedler.theory import (
    PreNormNet,
    gain_at_plateau,
    norm_clock,
    normed_gram_equation,
    normed_gram_flow,
    normed_plateau,
    one_hop_target,
    parse,
    pre_norm_equation,
    pre_norm_flow,
    tied_gram_equation,
    tied_optimum,
)

AGREEMENT = 1e-7  # two integrations at 1e-10, errors amplified by the growing modes
SAME = 1e-10  # the same arithmetic in another order, at norms of a few hundredths
AT_PLATEAU = 2e-3  # relative: a constant column, which no softmax sees, is left of the start and part of every norm
NO_EPSILON = 5e-3  # what 1e-5 adds to a squared norm of .07
TIME_PER_CENT = 0.05  # how far trained gains move the times of a net of 256 columns


def relative(a, b):
    return np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(b).max()


def start(word, m, seed=0, std=0.3):
    e = std * np.random.default_rng(seed).standard_normal((len(one_hop_target(parse(word))), m))
    centred = e - e.mean(1, keepdims=True)
    return e, centred @ centred.T


@pytest.mark.parametrize("word", ["cycle:8", "path-star:3x3", "florentine"])
@pytest.mark.parametrize("m", [3, 20])
def test_the_gram_velocity_is_that_of_the_net(word, m):
    target = one_hop_target(parse(word))
    e, gram = start(word, m)
    w = 0.5 + np.random.default_rng(1).random(len(target))
    net = pre_norm_equation(target, PreNormNet(e), train_gain=False, row_weight=w)
    moved = net.velocity(net.start)[: e.size].reshape(e.shape)
    half = (moved - moved.mean(1, keepdims=True)) @ (e - e.mean(1, keepdims=True)).T
    equation = normed_gram_equation(target, gram, m, row_weight=w)
    assert relative(equation.velocity(equation.start), half + half.T) < SAME
    assert equation.loss(equation.start) == pytest.approx(float(net.loss(net.start)), rel=SAME)
    assert np.abs(moved.mean(1)).max() < SAME * np.abs(moved).max()  # a constant is never read, never moved


def test_the_gram_flow_is_that_of_the_net():
    target = one_hop_target(parse("path-star:3x2"))
    e, gram = start("path-star:3x2", 20)
    net = pre_norm_flow(target, PreNormNet(e), [0.0, 0.3, 1.0], train_gain=False)
    run = normed_gram_flow(target, gram, 20, [0.0, 0.3, 1.0])
    centred = net.embedding - net.embedding.mean(axis=2, keepdims=True)
    assert relative(run.gram, centred @ centred.swapaxes(1, 2)) < AGREEMENT
    assert np.allclose(run.loss, net.loss, rtol=AGREEMENT)


@pytest.mark.parametrize("word", ["cycle:15", "hypercube:3", "torus:3x3"])
def test_with_equal_norms_it_is_node2vec_on_a_clock_held_back_alike(word):
    # dK/dtau = S K + K S - 2 k K on vertex-transitive graphs.
    target, m, e = one_hop_target(parse(word)), 16, 1e-5
    n = len(target)
    k = 0.5 * target + 0.6 * np.eye(n) + 0.3 * target @ target  # in the algebra: equal diagonal, symmetric R
    clock = norm_clock(k, m, epsilon=e)
    assert np.ptp(clock) < SAME
    z = clock[0] * k
    plain = tied_gram_equation(target, z).velocity(z) / clock[0]  # SK + KS at the logits Z
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    held = ((target - p) @ k)[0, 0] * clock[0] ** 2 / m
    wanted = clock[0] * (plain - 2 * held * k)
    assert relative(normed_gram_equation(target, k, m, epsilon=e).velocity(k), wanted) < SAME


@pytest.mark.parametrize("word", ["cycle:15", "hypercube:4"])
def test_its_end_is_the_scaled_optimum(word):
    target, m = one_hop_target(parse(word)), 32
    n = len(target)
    optimum = tied_optimum(target)
    end = normed_plateau(optimum.gram, m)
    run = normed_gram_flow(target, (m - 1) * 0.02**2 * np.eye(n), m, [200.0], rtol=1e-8)
    assert relative(run.gram[0], end) < AT_PLATEAU
    assert run.loss[0] == pytest.approx(optimum.loss, abs=1e-8)
    assert relative(norm_clock(end, m)[:, None] * end, optimum.gram) < SAME
    top = np.linalg.eigvalsh(optimum.gram)[-1]
    assert normed_plateau(optimum.gram, m, epsilon=0.0) == pytest.approx(optimum.gram * optimum.gram[0, 0] / m)
    assert np.linalg.eigvalsh(end)[-1] == pytest.approx(top * optimum.gram[0, 0] / m, rel=NO_EPSILON)


def test_the_gain_at_the_plateau_solves_its_balance():
    k = tied_optimum(one_hop_target(parse("cycle:15"))).gram
    for m, s in ((32, 0.02), (16, 2.0), (512, 0.02)):
        g = gain_at_plateau(k, m, s)
        gram = normed_plateau(k, m, gain=g, epsilon=0.0)
        assert np.trace(gram) - m * g**2 == pytest.approx(15 * (m - 1) * s**2 - m)
    assert gain_at_plateau(k, 32, 0.02) == pytest.approx(1.1765, abs=1e-3)
    assert gain_at_plateau(k, 512, 0.02) == pytest.approx(1.0, abs=0.01)  # wide nets need no gain


def test_a_wide_net_with_trained_gains_keeps_its_times():
    target, m = one_hop_target(parse("cycle:7")), 256
    n = len(target)
    times = np.linspace(0, 1.5, 151)
    e = 0.02 * np.random.default_rng(0).standard_normal((n, m))
    net = pre_norm_flow(target, PreNormNet(e), times, rtol=1e-6).loss
    wide = normed_gram_flow(target, (m - 1) * 0.02**2 * np.eye(n), m, times, rtol=1e-8).loss
    level = (wide[0] + wide[-1]) / 2
    a, b = (times[int(np.argmax(loss < level))] for loss in (net, wide))
    assert a == pytest.approx(b, rel=TIME_PER_CENT, abs=0.01)


def test_unequal_norms_have_no_plateau_of_this_form():
    optimum = tied_optimum(one_hop_target(parse("path-star:3x3"))).gram
    with pytest.raises(ValueError, match="follow normed_gram_flow instead"):
        normed_plateau(optimum, 8)
    with pytest.raises(ValueError, match="diagonal"):
        norm_clock(-np.eye(3), 8)
