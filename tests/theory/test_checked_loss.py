import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp, softmax

from fiedler.theory import cross_entropy, log_sum_exp, residual, row_softmax, target_entropy
from fiedler.theory.softmax import check_row_weight, check_target, check_weight_decay

EXACT = 1e-12  # the same formula in another order of operations
DIFFERENCE_STEP = 1e-5
DIFFERENCE = 1e-8  # central differences: step^2 of truncation and 1e-15 / step of rounding, with a loss of order ten

N = 5
LOGITS = arrays(np.float64, (N, N), elements=st.floats(-30, 30))
WEIGHTS = arrays(np.float64, (N,), elements=st.floats(0.1, 10))
COUNTS = arrays(np.float64, (N, N), elements=st.floats(0.0, 1.0)).filter(lambda x: x.sum(axis=1).min() > 0.1)
modest = settings(max_examples=30, deadline=None, derandomize=True)


def rows(counts):
    return counts / counts.sum(axis=1, keepdims=True)


@modest
@given(LOGITS, COUNTS, WEIGHTS)
def test_softmax_lse_and_loss_agree_with_scipy(z, counts, w):
    t = rows(counts)
    assert np.allclose(row_softmax(z), softmax(z, axis=1), rtol=EXACT, atol=0)
    assert np.allclose(log_sum_exp(z), logsumexp(z, axis=1), rtol=EXACT, atol=EXACT)
    direct = sum(w[i] * (logsumexp(z[i]) - t[i] @ z[i]) for i in range(N))
    assert cross_entropy(z, t, w) == pytest.approx(direct, rel=EXACT, abs=1e-10)


@modest
@given(LOGITS, COUNTS, WEIGHTS, arrays(np.float64, (N,), elements=st.floats(-100, 100)))
def test_a_shift_of_a_row_changes_nothing(z, counts, w, shift):
    t, moved = rows(counts), z + shift[:, None]
    assert np.allclose(row_softmax(moved), row_softmax(z), rtol=1e-10, atol=0)  # exp doubles the 1e-14 of z + shift
    assert cross_entropy(moved, t, w) == pytest.approx(float(cross_entropy(z, t, w)), abs=1e-9)


@modest
@given(LOGITS, COUNTS, WEIGHTS)
def test_rows_of_the_residual_sum_to_zero(z, counts, w):
    assert np.abs(residual(z, rows(counts), w).sum(axis=1)).max() < EXACT * w.max()


def test_residual_is_minus_the_gradient_of_the_loss():
    rng = np.random.default_rng(0)
    z, t, w = 2 * rng.standard_normal((N, N)), rows(rng.random((N, N))), rng.random(N) + 0.5
    numeric = np.empty((N, N))
    for i, j in np.ndindex(N, N):
        step = np.zeros((N, N))
        step[i, j] = DIFFERENCE_STEP
        numeric[i, j] = (cross_entropy(z + step, t, w) - cross_entropy(z - step, t, w)) / (2 * DIFFERENCE_STEP)
    assert np.allclose(residual(z, t, w), -numeric, rtol=0, atol=DIFFERENCE)


def test_a_batch_of_logits_is_evaluated_one_by_one():
    rng = np.random.default_rng(1)
    z, t, w = rng.standard_normal((2, 3, N, N)), rows(rng.random((N, N))), rng.random(N) + 0.5
    assert cross_entropy(z, t, w).shape == (2, 3)
    assert cross_entropy(z[1, 2], t, w).shape == ()
    for at in np.ndindex(2, 3):
        assert cross_entropy(z, t, w)[at] == pytest.approx(float(cross_entropy(z[at], t, w)), rel=EXACT)
        assert np.array_equal(residual(z, t, w)[at], residual(z[at], t, w))
        assert np.array_equal(row_softmax(z)[at], row_softmax(z[at]))
        assert np.array_equal(log_sum_exp(z)[at], log_sum_exp(z[at]))


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_logits_do_not_overflow(size):
    z, t, w = size * np.eye(3), np.full((3, 3), 1 / 3), np.ones(3)
    expected = np.eye(3) if size > 0 else (1 - np.eye(3)) / 2
    assert np.array_equal(row_softmax(z), expected)
    assert np.allclose(log_sum_exp(z), 1e4 if size > 0 else np.log(2), rtol=EXACT)
    assert cross_entropy(z, t, w) == pytest.approx(2e4 if size > 0 else 3 * np.log(2) + 1e4, rel=EXACT)
    assert np.array_equal(residual(z, t, w), t - expected)


def test_target_entropy_is_the_floor_of_the_loss():
    t, w = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [1 / 3, 1 / 3, 1 / 3]]), np.array([5.0, 2.0, 3.0])
    assert target_entropy(t, w) == pytest.approx(2 * np.log(2) + 3 * np.log(3), rel=EXACT)
    with np.errstate(divide="ignore"):
        best = np.maximum(np.log(t), -1e3)  # exp(-1e3) is zero in float64
    assert cross_entropy(best, t, w) == pytest.approx(target_entropy(t, w), rel=EXACT)
    rng = np.random.default_rng(2)
    losses = cross_entropy(best + rng.standard_normal((50, 3, 3)), t, w)
    assert losses.min() >= target_entropy(t, w)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.ones(3), "square"),
        (np.ones((2, 3)) / 3, "square"),
        (np.zeros((0, 0)), "square"),
        ([[0.5, 0.5], [1.5, -0.5]], "row 1 holds a negative"),
        ([[0.5, np.nan], [0.5, 0.5]], "row 0 holds a negative or non-finite"),
        ([[0.5, 0.5], [np.inf, 0.5]], "row 1 holds"),
        ([[0.5, 0.5], [0.5, 0.6]], r"row 1 sums to 1\.1"),
        ([[0.0, 0.0], [0.5, 0.5]], "row 0 sums to 0"),
        ([[0.5, 0.5], [0.5, 0.5 + 1e-9]], "row 1 sums"),
    ],
)
def test_a_bad_target_is_refused_by_name(target, message):
    with pytest.raises(ValueError, match=message):
        check_target(target)


def test_a_good_target_becomes_float64():
    checked = check_target([[0, 1], [1, 0]])
    assert checked.dtype == np.float64
    assert np.array_equal(checked, [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(4), r"shape \(3,\)"),
        (np.ones((3, 1)), r"shape \(3,\)"),
        (2.0, r"shape \(3,\)"),
        ([1.0, 1e-13, 1.0], r"row_weight\[1\]"),
        ([0.0, 0.0, 0.0], "zero for every node"),
        ([1.0, 1.0, -2.0], r"row_weight\[2\]"),
        ([np.nan, 1.0, 1.0], r"row_weight\[0\]"),
        ([1.0, np.inf, 1.0], r"row_weight\[1\]"),
    ],
)
def test_a_bad_row_weight_is_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        check_row_weight(weight, 3)


def test_row_weight_defaults_to_one():
    assert np.array_equal(check_row_weight(None, 3), np.ones(3))
    assert np.array_equal(check_row_weight([1, 2, 3], 3), [1.0, 2.0, 3.0])
    assert np.array_equal(check_row_weight([1, 0, 3], 3), [1.0, 0.0, 3.0])


@pytest.mark.parametrize("decay", [-1e-12, np.nan, np.inf])
def test_a_bad_weight_decay_is_refused(decay):
    with pytest.raises(ValueError, match="weight_decay"):
        check_weight_decay(decay)


def test_weight_decay_may_be_zero():
    assert check_weight_decay(0) == 0.0
    assert check_weight_decay(0.5) == 0.5
