"""Ranges of ranks against optima known in closed form, and the inequalities behind them on random points."""

import numpy as np
import pytest
from scipy.linalg import eigvalsh
from scipy.special import softmax

from fiedler.theory import (
    RankRange,
    centre_gram,
    graph_optimum,
    one_hop_target,
    parse,
    target_optimum,
    tied_optimum,
    tied_rank_range,
    twin_classes,
    untied_optimum,
    untied_rank_range,
)
from fiedler.theory.optimum.rank import (
    WITHIN_ONE,
    log_ratio_bounds,
    newton_radius,
    rank_at_least,
    slack_error,
    squared_error,
    usable_gap,
)


def near(word, distance, decay=0.0, seed=0):
    """A feasible point near the dense optimum, with its suboptimality."""
    target = one_hop_target(parse(word))
    best = tied_optimum(target, weight_decay=decay)
    rng = np.random.default_rng(seed)
    n = len(target)
    x = rng.standard_normal((n, n)) * distance / n
    gram = centre_gram(best.gram) if decay == 0 else best.gram
    gram = gram + (centre_gram(x @ x.T) if decay == 0 else x @ x.T)
    z = gram + best.bias
    value = float((np.log(np.exp(z - z.max()).sum(axis=1)) + z.max() - (target * z).sum(axis=1)).sum())
    gap = value + decay * np.trace(gram) - best.loss - decay * np.trace(best.gram)
    return target, best, gram, softmax(z, axis=1), gap


def slack(target, p, decay):
    r = target - p
    return decay * np.eye(len(p)) - (r + r.T) / 2


# Hypercube Q4: rank 4; cycle of 15: rank 2; petersen = Kneser graph, rank 5 (closed forms and dense, proved there).
KNOWN = {"hypercube:4": 4, "cycle:15": 2, "petersen": 5, "grid:4x4": 3, "path-star:4x5": 3, "hamming:1,6": 0}


@pytest.mark.parametrize("word", KNOWN)
def test_the_gap_of_a_dense_optimum_proves_the_rank(word):
    found = target_optimum(one_hop_target(parse(word)))
    assert found.rank_range == RankRange(KNOWN[word], KNOWN[word])


@pytest.mark.parametrize("word", ["hypercube:4", "path-star:4x5", "grid:4x4", "florentine"])
@pytest.mark.parametrize(("decay", "distance"), [(0.0, 1.0), (0.0, 0.1), (0.0, 1e-3), (0.1, 0.3), (0.1, 1e-3)])
def test_points_of_full_rank_near_the_optimum_have_a_range_with_the_true_rank(word, decay, distance):
    # The perturbed Gram matrix has rank n - 1 and a positive gap: its own eigenvalues must not be taken for the rank.
    target, best, gram, p, gap = near(word, distance, decay)
    assert gap > 0
    ranks = tied_rank_range(gram, p, slack(target, p, decay), gap, weight_decay=decay)
    assert ranks.low <= best.rank <= ranks.high
    if not ranks.proved:
        values = eigvalsh(centre_gram(gram))[::-1]
        assert np.allclose(ranks.unresolved, values[ranks.low : ranks.low + len(ranks.unresolved)])
        assert sum(ranks.multiplicities) == len(ranks.unresolved)


def test_the_range_widens_with_the_gap_and_closes_without():
    target, best, gram, p, _ = near("grid:4x4", 1e-9)
    ranges = [tied_rank_range(gram, p, slack(target, p, 0.0), g, weight_decay=0.0) for g in (0.0, 1e-4, 1e-2, 10.0)]
    assert ranges[0].low == ranges[0].high == best.rank == 3
    assert ranges[-1].low == 0
    assert ranges[-1].high == 15
    assert [r.low for r in ranges] == sorted((r.low for r in ranges), reverse=True)
    assert [r.high for r in ranges] == sorted(r.high for r in ranges)
    assert str(ranges[-1]) == "0 to 15"


@pytest.mark.parametrize(("word", "decay"), [("grid:4x4", 0.0), ("florentine", 0.1), ("path-star:4x5", 0.1)])
def test_the_gap_bounds_slacks_and_logarithms(word, decay):
    # (1): both parts of f(K) - f*, against the optimum itself.
    for seed, distance in enumerate((1.0, 0.3, 0.1)):
        target, best, _, p, gap = near(word, distance, decay, seed)
        exact = softmax(best.gram + best.bias, axis=1)
        kl = float((exact * np.log(exact / p)).sum())
        assert kl <= gap * (1 + 1e-6)
        moved = slack(target, p, decay) - slack(target, exact, decay)
        assert np.linalg.norm(moved) <= slack_error(gap, 1.0)
        t, e = np.log(exact / p), squared_error(gap, p)
        assert (t[np.isfinite(e)] ** 2 / e[np.isfinite(e)]).sum() <= 1
        low, high = log_ratio_bounds(gap, p)
        assert (low <= t).all()
        assert (t <= high).all()


def test_the_bounds_of_one_logarithm_are_the_roots():
    mass, gap = np.array([1e-3, 1e-3, 0.5, 1e-30]), np.array([1e-6, 5e-4, 1e-9, 1e-9])
    for m, g in zip(mass, gap, strict=True):
        low, high = (float(t) for t in log_ratio_bounds(g, m))
        assert np.isfinite(low) == (g < m)
        if g < m:
            assert m * (low * np.exp(low) - np.expm1(low)) == pytest.approx(g, rel=1e-6)
        reached = m * (high * np.exp(high) - np.expm1(high))
        assert reached >= g * (1 - 1e-6)
        assert reached <= g * (1.001 if g > 0.01 * m else 1.1)
    assert squared_error(1e-6, 1e-3) == pytest.approx(1e-3 / WITHIN_ONE)
    assert squared_error(1e-3, 1e-3) == np.inf


def test_scalings_only_help():
    rng = np.random.default_rng(1)
    size = np.diag(10.0 ** np.arange(5))
    k = size @ (np.eye(5) + 0.01 * np.ones((5, 5))) @ size
    errors = 0.01 * np.outer(np.diag(size) ** 2, np.diag(size) ** 2) * rng.uniform(0.5, 1, (5, 5))
    assert rank_at_least(k, errors) == 5  # without scaling the largest error hides all but one
    errors[2, :] = np.inf
    assert rank_at_least(k, errors) == 4


def test_a_missing_direction_is_not_counted():
    k = np.diag([5.0, 3.0, 1e-3])
    assert rank_at_least(k, np.full((3, 3), 1e-2)) == 2
    one = np.ones(3)
    assert rank_at_least(np.ones((3, 3)), np.full((3, 3), 1e-6), one) == 0


@pytest.mark.parametrize("decay", [0.05, 0.2, 0.5])
def test_untied_ranks(decay):
    target = one_hop_target(parse("path-star:4x5"))
    best = untied_optimum(target, weight_decay=decay)
    p = softmax(best.logits, axis=1)
    ranks = untied_rank_range(best.logits, p, target - p, best.certificate.duality_gap, weight_decay=decay)
    assert ranks == RankRange(best.rank, best.rank)
    assert graph_optimum(parse("path-star:4x5"), tied=False, weight_decay=decay).rank_range == ranks
    wide = untied_rank_range(best.logits, p, target - p, 10.0, weight_decay=decay)
    assert (wide.low, wide.high) == (0, 17)
    with pytest.raises(ValueError, match="weight_decay > 0"):
        untied_rank_range(best.logits, p, target - p, 0.0, weight_decay=0.0)


def test_twins_are_no_rank():
    # The leaves of a tree that share a parent: slack exactly zero, eigenvalue exactly zero.
    target = one_hop_target(parse("tree:3,2"))
    classes = twin_classes(target)
    assert len(set(classes.tolist())) == 7
    best = tied_optimum(target)
    p = softmax(best.gram + best.bias, axis=1)
    args = best.gram, p, slack(target, p, 0.0), best.certificate.duality_gap
    assert tied_rank_range(*args, weight_decay=0.0).high == 8
    assert tied_rank_range(*args, weight_decay=0.0, twins=classes) == RankRange(2, 2)
    heavier = np.ones(13)
    heavier[-1] = 2.0
    assert len(set(twin_classes(target, heavier).tolist())) == 8


def test_components_add_up():
    # Two path-stars side by side would be one graph each: the irregular graph has two components.
    found = graph_optimum(parse("irregular"))
    assert found.rank_range == RankRange(found.rank, found.rank)


def test_rounding_and_newton():
    assert usable_gap(-1e-12, 1.0) > 0
    assert usable_gap(1.0, 1e6) > 1.0
    assert newton_radius(1e-6, 1e5) == 2e-6
    assert newton_radius(1e-5, 1e5) == np.inf


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="probabilities"):
        tied_rank_range(np.zeros((3, 3)), np.zeros((2, 2)), np.eye(3), 0.0, weight_decay=0.0)
