import numpy as np
import pytest
from scipy.special import logsumexp

from fiedler.theory import one_hop_target, parse, sharpness, tied_descent, tied_optimum

DIFFERENCES = 2e-5  # second differences of a loss of order ten with a step of 1e-4, relative to the eigenvalue
STEP = 1e-4
SOLVER = 1e-6  # of an eigenvalue found to 1e-8
N = 4


def setting(n=N, columns=3, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.random((n, n))
    return target / target.sum(axis=1, keepdims=True), *rng.standard_normal((2, n, columns)), 0.5 + rng.random(n)


def hessian(objective, at):
    """By second differences of the objective alone."""
    size = at.size
    e = STEP * np.eye(size)
    found = np.empty((size, size))
    for i in range(size):
        for j in range(i + 1):
            signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
            found[i, j] = found[j, i] = sum(a * b * objective(at + a * e[i] + b * e[j]) for a, b in signs) / (
                4 * STEP**2
            )
    return found


def loss(logits, target, w):
    return w @ (logsumexp(logits, axis=1) - (target * logits).sum(axis=1))


# Below n columns, n of them, and more (untied: 2n), where directions outside the row space count.
@pytest.mark.parametrize("scale", [0.05, 1.0])
@pytest.mark.parametrize("columns", [2, N, 6])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_tied_is_the_largest_eigenvalue_of_the_hessian_by_differences(decay, columns, scale):
    target, v, _, w = setting(columns=columns)
    v = scale * v

    def objective(flat):
        x = flat.reshape(v.shape)
        return loss(x @ x.T, target, w) + decay * (x**2).sum()

    wanted = np.linalg.eigvalsh(hessian(objective, v.ravel()))[-1]
    assert sharpness(target, v, weight_decay=decay, row_weight=w) == pytest.approx(wanted, rel=DIFFERENCES)


@pytest.mark.parametrize("scale", [0.05, 1.0])
@pytest.mark.parametrize("columns", [2, 9])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_untied_is_the_largest_eigenvalue_of_the_hessian_by_differences(decay, columns, scale):
    target, v, u, w = setting(columns=columns)
    v, u = scale * v, scale * u

    def objective(flat):
        x, y = flat.reshape(2, *v.shape)
        return loss(x @ y.T, target, w) + decay / 2 * (flat**2).sum()

    wanted = np.linalg.eigvalsh(hessian(objective, np.stack([v, u]).ravel()))[-1]
    found = sharpness(target, v, context=u, weight_decay=decay, row_weight=w)
    assert found == pytest.approx(wanted, rel=DIFFERENCES)


def test_lanczos_finds_what_the_whole_matrix_does():
    """A graph whose Hessian ARPACK has to search in, against the exact derivative of the exact gradient."""
    target = one_hop_target(parse("karate"))
    v = np.random.default_rng(1).standard_normal((34, 6))

    def gradient(x):
        z = x @ x.T
        r = target - np.exp(z - logsumexp(z, axis=1, keepdims=True))
        return -(r + r.T) @ x

    e = 1e-5 * np.eye(v.size).reshape(v.size, *v.shape)
    matrix = np.array([(gradient(v + d) - gradient(v - d)).ravel() for d in e]) / 2e-5
    wanted = np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1]
    assert sharpness(target, v) == pytest.approx(wanted, rel=SOLVER)


def test_gradient_descent_settles_below_two_over_it_and_not_above():
    target = one_hop_target(parse("cycle:10"))
    optimum = tied_optimum(target)
    edge = 2 / sharpness(target, optimum.embedding())
    start = optimum.embedding() + 1e-3 * np.random.default_rng(0).standard_normal((10, 2))
    for factor, settles in ((0.9, True), (1.1, False)):
        last = tied_descent(target, start, factor * edge, 2000).loss[-1]
        assert (last - optimum.loss < 1e-9) == settles


def test_a_rotation_and_empty_columns_change_nothing():
    target, v, _, w = setting(columns=3)
    q, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))
    assert sharpness(target, v @ q, row_weight=w) == pytest.approx(sharpness(target, v, row_weight=w), rel=SOLVER)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"embedding": np.ones((3, 2))}, "embedding"),
        ({"embedding": 1e200 * np.ones((N, 2))}, "embedding"),
        ({"context": np.ones((N, 2))}, "context"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"row_weight": np.zeros(N)}, "row_weight"),
        ({"target": np.ones((N, N))}, "row 0 sums to 4"),
    ],
)
def test_bad_input_is_refused(changes, words):
    target, v, _, _ = setting()
    with pytest.raises(ValueError, match=words):
        sharpness(**{"target": target, "embedding": v, **changes})
