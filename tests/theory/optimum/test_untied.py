import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from fiedler.theory import one_hop_target, parse, untied_flow, untied_optimum
from fiedler.theory.optimum.certificate import untied_certificate

VIOLATION = 1e-7  # what the certificates promise
GAP = 1e-8  # a duality gap is the violation times a norm of order ten
INDEPENDENT = 1e-7  # proximal gradient converges linearly: 20,000 steps leave less
ROUNDING = 1e-12

WORDS = ("cycle:7", "path-star:4x3", "grid:3x3", "petersen", "irregular")


def loss(logits, target, w):
    return float(-(w[:, None] * target * log_softmax(logits, axis=1)).sum())


def weights(n, uneven):
    return np.random.default_rng(0).uniform(0.5, 2, n) if uneven else np.ones(n)


def proximal_gradient(target, w, decay, steps=20_000):
    """min L(Z) + l ||Z||_* by singular-value soft-thresholding: no factor, no Newton, nothing of the package."""
    z, eta = np.zeros_like(target), 1 / w.max()  # the softmax Hessian of a row is below w_i / 2
    for _ in range(steps):
        left, values, right = np.linalg.svd(z + eta * w[:, None] * (target - softmax(z, axis=1)))
        new = (left * np.maximum(values - eta * decay, 0)) @ right
        if np.abs(new - z).max() < 1e-13:
            break
        z = new
    return z


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("decay", [0.05, 0.3])
@pytest.mark.parametrize("uneven", [False, True])
def test_the_optimality_conditions_hold(word, decay, uneven):
    target = one_hop_target(parse(word))
    w = weights(len(target), uneven)
    found = untied_optimum(target, weight_decay=decay, row_weight=w)
    assert found.attained
    assert found.certificate.max_violation < VIOLATION
    assert -ROUNDING <= found.certificate.duality_gap < GAP
    r = w[:, None] * (target - softmax(found.logits, axis=1))
    left, values, right = np.linalg.svd(found.logits)
    left, right = left[:, : found.rank], right[: found.rank]
    assert np.linalg.norm(r, 2) <= decay + VIOLATION
    assert np.allclose(left.T @ r @ right.T, decay * np.eye(found.rank), rtol=0, atol=VIOLATION)
    assert np.allclose(found.singular_values, values[: found.rank])
    assert (values[found.rank :] < 1e-9 * values[0]).all()
    assert found.loss == pytest.approx(loss(found.logits, target, w), rel=1e-12)
    assert found.loss_per_node == pytest.approx(found.loss / w.sum(), rel=1e-12)


@pytest.mark.parametrize("word", ["cycle:7", "path-star:4x3", "grid:3x3"])
def test_it_equals_proximal_gradient_on_the_logits(word):
    target = one_hop_target(parse(word))
    w = weights(len(target), True)
    found = untied_optimum(target, weight_decay=0.1, row_weight=w)
    other = proximal_gradient(target, w, 0.1)
    assert np.abs(found.logits - other).max() < INDEPENDENT * np.abs(other).max()


def test_the_flow_with_decay_ends_in_it():
    target = one_hop_target(parse("cycle:7"))
    found = untied_optimum(target, weight_decay=0.1)
    rng = np.random.default_rng(0)
    end = untied_flow(target, rng.standard_normal((7, 20)), rng.standard_normal((7, 20)), [400.0], weight_decay=0.1)
    assert np.abs(end.logits[0] - found.logits).max() < 1e-6  # the slowest mode decays at the rate of the decay


@pytest.mark.parametrize("word", ["cycle:7", "path-star:4x3", "petersen"])
def test_above_the_largest_singular_value_the_optimum_is_zero(word):
    target = one_hop_target(parse(word))
    n = len(target)
    edge = np.linalg.norm(target - 1 / n, 2)
    zero = untied_optimum(target, weight_decay=1.001 * edge)
    assert zero.rank == 0
    assert zero.loss_per_node == pytest.approx(np.log(n), rel=1e-12)
    assert zero.singular_values.shape == (0,)
    assert untied_optimum(target, weight_decay=0.98 * edge).rank > 0


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_node_permutation_permutes_the_logits(decay):
    target = one_hop_target(parse("irregular"), label_smoothing=0.1)
    order = np.random.default_rng(1).permutation(len(target))
    plain, moved = (untied_optimum(t, weight_decay=decay) for t in (target, target[np.ix_(order, order)]))
    assert np.allclose(moved.logits, plain.logits[np.ix_(order, order)], rtol=0, atol=1e-7)
    assert moved.loss == pytest.approx(plain.loss, rel=1e-10)


class TestWithoutDecay:
    def test_a_positive_target_is_reproduced(self):
        target = one_hop_target(parse("grid:3x3"), label_smoothing=0.2)
        found = untied_optimum(target)
        assert found.attained
        assert np.allclose(softmax(found.logits, axis=1), target, rtol=0, atol=ROUNDING)
        assert np.allclose(found.logits.mean(axis=1), 0, atol=ROUNDING)
        assert found.loss == pytest.approx(float(-(target * np.log(target)).sum()), rel=1e-12)

    def test_a_target_with_zeros_has_an_infimum_that_is_not_attained(self):
        target = one_hop_target(parse("cycle:7"))
        w = weights(7, True)
        found = untied_optimum(target, row_weight=w)
        assert not found.attained
        assert found.logits is None
        assert found.rank == 0
        assert found.loss == pytest.approx(w.sum() * np.log(2), rel=1e-12)
        values = [loss(scale * target, target, w) for scale in (1.0, 10.0, 100.0)]
        assert values[0] > values[1] > values[2]  # growing logits approach it
        assert values[2] == pytest.approx(found.loss, rel=1e-12)

    def test_it_is_the_limit_of_a_vanishing_decay(self):
        target = one_hop_target(parse("cycle:7"), label_smoothing=0.3)
        limit = untied_optimum(target)
        misses = [np.abs(untied_optimum(target, weight_decay=x).logits - limit.logits).max() for x in (1e-2, 1e-3)]
        assert misses[1] < 0.2 * misses[0]


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_the_gap_bounds_the_suboptimality_of_any_point(scale):
    target = one_hop_target(parse("path-star:4x3"))
    n, w, decay = len(target), weights(len(target), True), 0.1
    best = untied_optimum(target, weight_decay=decay, row_weight=w)
    lowest = best.loss + decay * best.singular_values.sum()
    rng = np.random.default_rng(0)
    for columns in (1, 3, 20):
        factor = scale * rng.standard_normal((2 * n, columns))
        value = loss(factor[:n] @ factor[n:].T, target, w) + decay / 2 * (factor**2).sum()
        gap = untied_certificate(target, w, decay, factor).duality_gap
        assert value - gap <= lowest + ROUNDING
        assert gap >= value - lowest - ROUNDING


def test_bad_input_is_refused():
    target = one_hop_target(parse("cycle:5"))
    with pytest.raises(ValueError, match="weight_decay"):
        untied_optimum(target, weight_decay=-1.0)
    with pytest.raises(ValueError, match="row 0 sums"):
        untied_optimum(2 * target)
    with pytest.raises(ValueError, match="row_weight"):
        untied_optimum(target, row_weight=np.ones(4))
