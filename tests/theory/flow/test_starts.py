import numpy as np
import pytest

from fiedler.theory import one_hop_target, parse, tied_flow, tied_gram_flow, untied_flow, untied_gram_flow
from fiedler.theory.flow.starts import (
    compact_start,
    gaussian_starts,
    init_scale,
    untied_gaussian_starts,
    wide_tied_start,
    wide_untied_start,
)

SIGMAS = 5  # of a sample mean or variance; about 300 are looked at
FORM = 1e-8  # two integrations, relative to the largest entry


def test_wide_starts_have_the_gram_matrices_of_the_limit():
    assert np.array_equal(wide_tied_start(4, 0.3), 0.3 * np.eye(4))
    v, u = wide_untied_start(4, 0.3)
    assert v.shape == u.shape == (4, 8)
    for k in (v @ v.T, u @ u.T):
        assert np.allclose(k, 0.09 * np.eye(4), rtol=1e-15)
    assert not (v @ u.T).any()


@pytest.mark.parametrize("word", ["cycle:8", "path-star:3x2", "florentine"])
def test_wide_starts_follow_the_gram_flow_of_the_limit(word):
    target, s, times = one_hop_target(parse(word)), 0.7, [1.0, 4.0]
    n = len(target)
    k0 = s**2 * np.eye(n)
    tied, gram = tied_flow(target, wide_tied_start(n, s), times), tied_gram_flow(target, k0, times)
    assert np.allclose(tied.gram, gram.gram, rtol=0, atol=FORM * np.abs(gram.gram).max())
    untied = untied_flow(target, *wide_untied_start(n, s), times)
    grams = untied_gram_flow(target, k0, k0, np.zeros((n, n)), times)
    assert np.allclose(untied.logits, grams.logits, rtol=0, atol=FORM * np.abs(grams.logits).max())


@pytest.mark.parametrize(("n", "width"), [(4, 3), (4, 4), (4, 50), (3, 10_000)])
def test_gaussian_starts_are_wishart(n, width):
    samples, s = 20_000, 0.8
    v = gaussian_starts(n, width, s, samples, seed=1)
    assert v.shape == (samples, n, min(n, width))
    k = v @ v.transpose(0, 2, 1)
    variance = s**4 * (1 + np.eye(n)) / width
    assert (np.abs(k.mean(axis=0) - s**2 * np.eye(n)) < SIGMAS * np.sqrt(variance / samples)).all()
    # Relative scatter of a sample variance: sqrt((kurtosis - 1) / samples), kurtosis <= 3 + 12/width for the entries.
    error = np.sqrt((2 + 12 / width) / samples)
    assert (np.abs(k.var(axis=0) / variance - 1) < SIGMAS * error).all()
    # Exactly, E log det K = n log(s^2/m) + sum_i E log chi^2(m - i): sees the degrees of freedom row by row.
    if width >= n:
        plain = np.random.default_rng(5).standard_normal((samples, n, min(width, 200))) if width <= 200 else None
        if plain is not None:
            a = np.linalg.slogdet(k)[1]
            b = np.linalg.slogdet(plain @ plain.transpose(0, 2, 1) * s**2 / width)[1]
            assert abs(a.mean() - b.mean()) < SIGMAS * np.sqrt((a.var() + b.var()) / samples)


def test_untied_gaussian_starts_are_independent():
    n, width, samples = 3, 40, 20_000
    v, u = untied_gaussian_starts(n, width, 1.0, samples)
    assert v.shape == u.shape == (samples, n, 2 * n)
    for a, b, mean in ((v, v, np.eye(n)), (u, u, np.eye(n)), (v, u, np.zeros((n, n)))):
        k = a @ b.transpose(0, 2, 1)
        assert np.abs(k.mean(axis=0) - mean).max() < SIGMAS * np.sqrt(2 / width / samples)
    m = v @ u.transpose(0, 2, 1)
    assert np.abs(m.var(axis=0) * width - 1).max() < SIGMAS * np.sqrt((2 + 12 / width) / samples)


def test_seeds_reproduce_and_differ():
    assert np.array_equal(gaussian_starts(4, 9, 1.0, 2, seed=3), gaussian_starts(4, 9, 1.0, 2, seed=3))
    assert not np.allclose(gaussian_starts(4, 9, 1.0, 2, seed=3), gaussian_starts(4, 9, 1.0, 2, seed=4))


def test_a_compact_start_has_the_same_gram_matrix():
    v = np.random.default_rng(0).standard_normal((5, 60))
    few = compact_start(v)
    assert few.shape == (5, 5)
    assert np.allclose(few @ few.T, v @ v.T, rtol=1e-12)
    assert np.array_equal(compact_start(v[:, :3]), v[:, :3])


def test_the_scale_of_entries():
    assert init_scale(100, 0.5) == 5.0


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_is_not_positive_is_refused(bad):
    for call in (lambda: wide_tied_start(3, bad), lambda: gaussian_starts(3, 4, bad, 2), lambda: init_scale(4, bad)):
        with pytest.raises(ValueError, match="must be a positive number"):
            call()


@pytest.mark.parametrize(
    ("bad", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError), (True, TypeError), (10**12, ValueError)]
)
def test_a_count_that_is_not_whole_or_too_large_is_refused(bad, error):
    with pytest.raises(error, match=r"n must be|the start would hold"):
        wide_tied_start(bad, 1.0)
    if bad != 10**12:  # a width may be any: from n on the starts do not grow with it
        with pytest.raises(error, match="width must be"):
            gaussian_starts(3, bad, 1.0, 2)
    with pytest.raises(error, match=r"samples must be|the starts would hold"):
        gaussian_starts(3, 4, 1.0, bad)
