"""The least weights of logits: against nets of any weights, a minimiser, and where training with decay rests."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from fiedler.theory import LinearNet, cheapest_net, ladder_flow, ladder_logits, one_hop_target, parse
from fiedler.theory.ladder.mode_costs import mode_cost, representation_cost

ROUNDING = 1e-9  # of sums of some ten squares
AT_REST = 1e-5  # of a flow that has come to rest, in its squares
HELD = 1e-3  # entries of the logits of a penalised minimum
SEARCHED = 0.02  # of a penalised minimum: what its constraint, held to 1e-5, leaves


def squares(net):
    return sum(float((w**2).sum()) for w in (net.embedding, *(w for layer in net.layers for w in layer)))


def random_symmetric(n, seed, scale=6.0):
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    return q @ np.diag(scale * np.random.default_rng(seed + 1).standard_normal(n)) @ q.T


@pytest.mark.parametrize("z", [0.3, 2.0, 2.5, 40.0, -0.01, -3.0])
def test_a_mode_costs_the_least_of_one_number(z):
    found = [minimize_scalar(lambda y: np.exp(y) + 2 * abs(z / np.exp(y) - 1), (y0, y0 + 0.1), tol=1e-12).fun
             for y0 in (-2.0, 0.0, 2.0)]  # fmt: skip
    assert mode_cost(z) == pytest.approx(min(found), abs=1e-6)  # the least may lie at a corner
    found = minimize_scalar(lambda y: np.exp(y) + 2 * abs(z) / np.exp(y), (-1.0, 1.0), tol=1e-12).fun
    assert mode_cost(z, residual=False) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("residual", [True, False])
def test_the_cheapest_net_has_the_logits_and_their_cost(residual):
    z = random_symmetric(6, 0)
    net = cheapest_net(z, residual=residual)
    np.testing.assert_allclose(ladder_logits(net), z, atol=ROUNDING)
    assert squares(net) == pytest.approx(representation_cost(z, residual=residual), abs=ROUNDING)
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((6, 6)))[0]
    turned = representation_cost(turn @ z @ turn.T, residual=residual)
    assert turned == pytest.approx(squares(net), abs=ROUNDING)


@pytest.mark.parametrize("seed", range(20))
def test_no_net_is_cheaper(seed):
    rng = np.random.default_rng(seed)
    e, a, c = (rng.uniform(0.2, 2) * rng.standard_normal(shape) for shape in ((5, 4), (4, 3), (3, 4)))
    plain = LinearNet(e, ((a, c),))
    assert representation_cost(ladder_logits(plain), residual=False) <= squares(plain) + ROUNDING
    even = LinearNet(e, ((a, a.T),), residual=True)
    odd = LinearNet(e, ((a, -a.T),), residual=True)
    for net in (even, odd):
        assert representation_cost(ladder_logits(net)) <= squares(net) + ROUNDING


@pytest.mark.parametrize("seed", range(3))
def test_a_minimiser_finds_the_cost_from_nets_of_no_common_basis(seed):
    n, m = 3, 3
    turn = np.linalg.qr(np.random.default_rng(10 + seed).standard_normal((n, n)))[0]
    z = turn @ np.diag([6.0, 1.0, -3.0]) @ turn.T
    rng = np.random.default_rng(seed)

    def parts(x):
        return x[: n * m].reshape(n, m), x[n * m : n * m + m * m].reshape(m, m), x[n * m + m * m :].reshape(m, m)

    def value(x, weight):
        e, a, c = parts(x)
        b = np.eye(m) + a @ c
        gap = e @ b @ e.T - z
        g = 2 * weight * gap
        de = g @ e @ b.T + g.T @ e @ b + 2 * e
        inner = e.T @ g @ e
        gradient = np.concatenate([de.ravel(), (inner @ c.T + 2 * a).ravel(), (a.T @ inner + 2 * c).ravel()])
        return float((x**2).sum() + weight * (gap**2).sum()), gradient

    least = np.inf
    for _ in range(6):
        x = rng.standard_normal(n * m + 2 * m * m)
        for weight in (1.0, 30.0, 1e3, 1e5):
            x = minimize(value, x, (weight,), jac=True, method="L-BFGS-B", options={"maxiter": 4000}).x
        e, a, c = parts(x)
        if abs(e @ (np.eye(m) + a @ c) @ e.T - z).max() < HELD:  # others stay where a negative mode is missing
            least = min(least, float((x**2).sum()))
    assert least == pytest.approx(representation_cost(z), abs=SEARCHED)


@pytest.mark.parametrize("word", ["cycle:7", "hypercube:3"])
def test_training_with_decay_rests_at_the_cheapest_net_of_its_logits(word):
    target = one_hop_target(parse(word))
    n = len(target)
    start = LinearNet(0.5 * np.eye(n), ((0.3 * np.eye(n), 0.2 * np.eye(n)),), residual=True)
    run = ladder_flow(target, start, [200.0], weight_decay=0.05, rtol=1e-8)
    z = run.logits[0]
    net = LinearNet(run.net.embedding[0], (tuple(w[0] for w in run.net.layers[0]),), residual=True)
    assert squares(net) == pytest.approx(representation_cost((z + z.T) / 2), rel=AT_REST)


def test_logits_that_are_not_symmetric_have_no_formula():
    with pytest.raises(ValueError, match="give their symmetric part"):
        representation_cost(np.triu(np.ones((3, 3))))
    with pytest.raises(ValueError, match="must be symmetric"):
        cheapest_net(np.ones((3, 2)), residual=False)
