import numpy as np
import pytest

from fiedler.theory import LinearNet, ladder_balance, ladder_descent, ladder_flow
from fiedler.theory.ladder.flow import ladder_problem
from linear_nets import DEPTHS, NETS, at, matrices, moved, problem, random_net

AGREEMENT = 1e-8  # two integrations at a relative tolerance of 1e-10
ROUNDING = 1e-11  # of derivatives that are sums of a few hundred terms of order one
TIMES = [0.0, 0.5, 3.0]

# What is conserved, counted by hand: with residual connections nothing beside a layer of two matrices, only within it.
COUNTS = {
    "L=0": ((0, 1), (0, 1)),  # (tied, untied) without residual, then with
    "L=1": ((1, 2), (1, 2)),
    "L=3": ((3, 4), (3, 4)),
    "pair": ((2, 3), (1, 1)),
    "pairs": ((4, 5), (2, 2)),
    "mixed": ((4, 5), (2, 3)),
}


def rates(net, decay):
    """d/dt of every conserved difference along the velocity, by a step that is exact: they are quadratic in each."""
    target, w = problem()
    one = ladder_problem(target, net, decay, w, True, True)
    changes = matrices(LinearNet(*one.unpack(one.velocity(one.pack(one.parameters)))))

    def along(step):
        return ladder_balance(moved(net, changes, step)).conserved

    h = 1e-3  # five points: exact for the quartics that products of two factors make
    points = [along(k * h) for k in (-2, -1, 1, 2)]
    return [(a - 8 * b + 8 * c - d) / (12 * h) for a, b, c, d in zip(*points, strict=True)]


@pytest.mark.parametrize(("depth", "residual", "tied"), NETS)
def test_as_many_are_conserved_as_counted(depth, residual, tied):
    found = ladder_balance(random_net(5, depth, residual, tied))
    assert len(found.conserved) == COUNTS[depth][residual][not tied]
    assert len(found.within) == len(DEPTHS[depth])
    assert len(found.between) == max(len(DEPTHS[depth]) - 1, 0)


@pytest.mark.parametrize(("depth", "residual", "tied"), NETS)
def test_they_are_conserved_by_any_gradient(depth, residual, tied):
    net = random_net(15, depth, residual, tied)
    for rate in rates(net, 0.0):
        assert np.abs(rate).max() < ROUNDING * 100
    target, w = problem()
    found = ladder_flow(target, net, TIMES, row_weight=w)
    assert np.abs(found.net.embedding[-1] - net.embedding).max() > 0.1
    for along in found.balance.conserved:
        assert np.abs(along - along[0]).max() < AGREEMENT * np.abs(along[0]).max()


@pytest.mark.parametrize(("depth", "residual", "tied"), [one for one in NETS if not one[1]])
def test_they_decay_by_themselves_without_residual(depth, residual, tied):
    target, w = problem()
    decay = 0.3
    found = ladder_flow(target, random_net(len(target), depth, residual, tied), TIMES, row_weight=w, weight_decay=decay)
    left = np.exp(-2 * decay * np.array(TIMES))[:, None, None]
    for along in found.balance.conserved:
        assert np.abs(along - left * along[0]).max() < AGREEMENT * np.abs(along[0]).max()


@pytest.mark.parametrize("tied", [False, True])
def test_with_residual_the_decay_of_w_feeds_them(tied):
    """dD/dt = -2 l D + l (s(X) - s(Y)), s(B) = B + B', s(E) = 0; within a layer of two matrices, -2 l D."""
    decay, net = 0.3, random_net(15, "L=3", True, tied)
    s = [b + b.T for b in net.products]
    feeds = [-s[0] - s[2]] if tied else [-s[0], -s[2]]
    feeds += [s[0] - s[1], s[1] - s[2]]
    for rate, one, feed in zip(rates(net, decay), ladder_balance(net).conserved, feeds, strict=True):
        assert np.abs(rate - decay * (feed - 2 * one)).max() < ROUNDING * 100
    pair = random_net(15, "pair", True, tied)
    (rate,), (one,) = rates(pair, decay), ladder_balance(pair).conserved
    assert np.abs(rate + 2 * decay * one).max() < ROUNDING * 100


def test_beside_a_residual_layer_of_two_matrices_nothing_is_conserved():
    """The difference of embedding and B moves: that it is left out is no oversight."""
    target, w = problem()
    found = ladder_flow(target, random_net(len(target), "pair", True, True), [0.0, 3.0], row_weight=w).net
    (b,), e = found.products, found.embedding
    bt = b.swapaxes(-1, -2)
    difference = e.swapaxes(-1, -2) @ e - b @ bt - bt @ b
    assert np.abs(difference[1] - difference[0]).max() > 0.1


@pytest.mark.parametrize(("depth", "residual", "tied"), [("L=3", True, True), ("pairs", False, False)])
def test_descent_moves_them_by_the_order_of_its_step(depth, residual, tied):
    target, w = problem()
    net = random_net(len(target), depth, residual, tied)

    def drift(steps):
        found = ladder_descent(target, net, 1.0 / steps, [0, steps], row_weight=w)
        return np.array([np.abs(along[1] - along[0]).max() for along in found.balance.conserved])

    coarse, fine = drift(400), drift(800)
    assert (coarse > 1e-6).all()
    assert np.allclose(coarse / fine, 2, rtol=0.05)


def test_a_trajectory_has_the_balance_of_its_nets():
    target, _ = problem()
    found = ladder_flow(target, random_net(len(target), "mixed", False, False), TIMES)
    for index in range(len(TIMES)):
        single = ladder_balance(at(found.net, index)).conserved
        assert all(np.allclose(a[index], b) for a, b in zip(found.balance.conserved, single, strict=True))
