import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom

from fiedler.theory import circle_codes, code_coherence, sign_codes, typical_coherence
from fiedler.theory.recall import codes as attribute_codes
from fiedler.theory.recall.codes import agree_at_most, agree_more

TAILS = 1e-10  # relative, also where a probability is 1e-300: SciPy's two ways to it, over its versions

EXACT = 1e-12  # rounding of inner products of some fifty numbers


@pytest.mark.parametrize(("attributes", "dimension"), [(1, 1), (5, 3), (200, 24)])
def test_rows_are_signs_of_length_one(attributes, dimension):
    codes = sign_codes(attributes, dimension, seed=2)
    assert codes.shape == (attributes, dimension)
    assert (np.abs(codes) == 1 / math.sqrt(dimension)).all()
    assert np.array_equal(codes, sign_codes(attributes, dimension, seed=2))
    if attributes > 1:
        assert not np.array_equal(codes, sign_codes(attributes, dimension, seed=3))


def test_signs_are_fair_and_independent():
    codes = sign_codes(4000, 8) * math.sqrt(8)
    assert np.abs(codes.mean(axis=0)).max() < 4.5 / math.sqrt(4000)
    products = codes.T @ codes / 4000 - np.eye(8)
    assert np.abs(products).max() < 4.5 / math.sqrt(4000)


# (A, k, eps) with A exp(-k eps^2 / 2) <= 1/2, where the docstring promises a code; tighter ones that are found too.
PROMISED = [(50, 40, 0.5), (300, 60, 0.5), (1000, 48, 0.65), (100, 100, 0.35), (8, 100, 0.25)]
FOUND = [(2, 4, -1.0), (3, 12, -0.1), (16, 6, 0.5), (30, 5, 0.7)]


@pytest.mark.parametrize(("attributes", "dimension", "coherence"), PROMISED + FOUND)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_coherence_is_kept(attributes, dimension, coherence, seed):
    if (attributes, dimension, coherence) in PROMISED:
        assert attributes * math.exp(-dimension * coherence**2 / 2) <= 0.5
    codes = sign_codes(attributes, dimension, coherence=coherence, seed=seed)
    assert codes.shape == (attributes, dimension)
    assert code_coherence(codes) <= coherence + EXACT
    assert code_coherence(codes) >= -1 / (attributes - 1) - EXACT  # the simplex
    assert (np.abs(codes) == 1 / math.sqrt(dimension)).all()


def test_a_demand_changes_only_what_it_must():
    # Without collisions the demand has nothing to redraw; with them, rows differ from then on.
    free = sign_codes(20, 64, seed=1)
    assert np.array_equal(sign_codes(20, 64, coherence=0.99, seed=1)[:20], free)


def test_small_batches_find_a_code_too(monkeypatch):
    monkeypatch.setattr(attribute_codes, "SMALLEST_BATCH", 1)
    monkeypatch.setattr(attribute_codes, "SHARE", 5 * 4096)
    codes = sign_codes(60, 20, coherence=0.5, seed=3)
    assert code_coherence(codes) <= 0.5 + EXACT


def test_the_coherence_of_a_code_by_plain_loops(monkeypatch):
    codes = np.random.default_rng(0).standard_normal((23, 4))
    expected = max(math.fsum(a * b) for a, b in itertools.combinations(codes, 2))
    assert code_coherence(codes) == pytest.approx(expected, abs=EXACT)
    monkeypatch.setattr(attribute_codes, "SHARE", 50)  # blocks of two rows
    assert code_coherence(codes) == pytest.approx(expected, abs=EXACT)
    assert code_coherence(-np.eye(2)[:, :1] + [[0.0], [1.0]]) == -1.0  # opposite rows: the sign counts


@pytest.mark.parametrize("attributes", [2, 3, 4, 17, 1000, 100_000])
def test_points_on_the_circle_are_told_apart_by_their_margin(attributes):
    codes = circle_codes(attributes)
    assert codes.shape == (attributes, 2)
    assert np.allclose((codes**2).sum(axis=1), 1, rtol=0, atol=EXACT)
    right = (codes * codes).sum(axis=1)
    neighbour = (codes * np.roll(codes, 1, axis=0)).sum(axis=1)
    margin = 1 - math.cos(2 * math.pi / attributes)
    assert right - neighbour == pytest.approx(np.full(attributes, margin), abs=EXACT)
    assert margin == pytest.approx(2 * math.pi**2 / attributes**2, rel=5 / attributes**2 + 1e-4) or attributes < 17
    if attributes <= 1000:
        assert code_coherence(codes) == pytest.approx(1 - margin, abs=EXACT)
        assert np.array_equal((codes @ codes.T).argmax(axis=1), np.arange(attributes))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sign_codes(5, 2, coherence=0.5), ValueError, "found [234] of 5 codes of dimension 2 .* use a larger"),
        (lambda: sign_codes(4, 8, coherence=-0.5), ValueError, "codes of dimension 8 with coherence -0.5"),
        (lambda: sign_codes(4, 8, coherence=1.0), ValueError, r"coherence must lie in \[-1, 1\); got 1.0"),
        (lambda: sign_codes(10**7, 100), ValueError, "the codes would hold 1.0e.09 numbers"),
        (lambda: sign_codes(10**6, 60, coherence=0.9), ValueError, "takes too long; use fewer attributes"),
        (lambda: sign_codes(0, 8), ValueError, "attributes must be at least 1; got 0"),
        (lambda: sign_codes(4, 2.0), TypeError, "dimension must be a whole number; got 2.0"),
        (lambda: circle_codes(1), ValueError, "attributes must be at least 2; got 1"),
        (lambda: code_coherence([[1.0, 0.0]]), ValueError, "codes must have two rows or more"),
    ],
)
def test_bad_codes_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("attributes", "dimension"), [(1000, 48), (50, 24), (2, 1), (7, 3), (4, 40), (300, 1)])
def test_the_typical_coherence_is_the_least_that_is_rarely_exceeded(attributes, dimension):
    pairs = attributes * (attributes - 1) // 2
    above = [
        pairs * sum(math.comb(dimension, agree) for agree in range(least + 1, dimension + 1))
        for least in range(dimension + 1)
    ]  # expected pairs with more than ``least`` equal signs, times 2^k: whole numbers
    least = next(least for least, count in enumerate(above) if count < 2**dimension)
    assert typical_coherence(attributes, dimension) == (2 * least - dimension) / dimension
    assert typical_coherence(1, dimension) == -1.0


@pytest.mark.parametrize("seed", range(4))
def test_codes_of_the_typical_coherence_are_found(seed):
    eps = typical_coherence(1000, 48)
    assert eps == 0.625
    assert code_coherence(sign_codes(1000, 48, coherence=eps, seed=seed)) <= eps + EXACT


@pytest.mark.parametrize("k", [1, 2, 7, 50, 1000, 100_000])
def test_binomial_probabilities_are_those_of_scipy_stats_in_both_tails(k: int) -> None:
    counts = np.unique(np.round(np.linspace(0, k, 300)).astype(np.int64))
    assert agree_at_most(counts, k) == pytest.approx(binom.cdf(counts, k, 0.5), rel=TAILS, abs=0)
    assert agree_more(counts, k) == pytest.approx(binom.sf(counts, k, 0.5), rel=TAILS, abs=0)
