import numpy as np
import pytest

from differences import numeric_gradient
from fiedler.theory import LinearNet, ladder_equation, ladder_flow, tied_flow
from fiedler.theory.ladder.flow import ladder_problem
from fiedler.theory.ladder.velocity import compress_net, rotate, steepest_descent
from linear_nets import (
    NETS,
    logits,
    matrices,
    objective,
    problem,
    product,
    random_net,
    relative,
    rotated,
    with_matrices,
)

DIFFERENCE = 1e-7  # central differences with a step of 1e-5, relative to the largest entry
SAME = 1e-12  # the same arithmetic in another order
AGREEMENT = 1e-8  # two integrations at a relative tolerance of 1e-10


def velocities(net, target, w, decay=0.0, **trained):
    """The velocity of every matrix, in the order of ``matrices``; of those that are not trained, their value."""
    one = ladder_problem(target, net, decay, w, *(trained.get(k, True) for k in ("train_embedding", "train_layers")))
    return [np.array(x) for x in matrices(LinearNet(*one.unpack(one.velocity(one.pack(one.parameters)))))]


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize(("depth", "residual", "tied"), NETS)
def test_velocities_are_gradients_of_the_objective(depth, residual, tied, decay):
    target, w = problem("path-star:3x2")
    net = random_net(len(target), depth, residual, tied)
    values, found = matrices(net), velocities(net, target, w, decay)
    for index, value in enumerate(values):

        def f(x, index=index):
            return objective(with_matrices(net, [*values[:index], x, *values[index + 1 :]]), target, w, decay)

        assert relative([found[index]], [-numeric_gradient(f, value)]) < DIFFERENCE


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_velocities_are_the_equations_of_the_page(residual, tied):
    """With the (m, m) products that the computation avoids."""
    target, w = problem()
    net = random_net(len(target), "mixed", residual, tied)
    p, (b1, b2, b3), e = product(net), net.products, net.embedding
    z = logits(net)
    r = w[:, None] * (target - np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))
    u = e if tied else net.context
    m, (a, c) = e.T @ r @ u, net.layers[1]
    g1, g2, g3 = m @ (b2 @ b3).T, b1.T @ m @ b3.T, (b1 @ b2).T @ m
    first = [r @ e @ p.T + r.T @ e @ p] if tied else [r @ u @ p.T, r.T @ e @ p]
    assert relative(velocities(net, target, w), [*first, g1, g2 @ c.T, a.T @ g2, g3]) < SAME


@pytest.mark.parametrize(("depth", "residual", "tied"), NETS)
def test_what_is_not_trained_stays(depth, residual, tied):
    target, w = problem()
    net = random_net(len(target), depth, residual, tied)
    count, free = 1 if tied else 2, velocities(net, target, w, 0.2)
    kept = velocities(net, target, w, 0.2, train_layers=False)
    assert relative(kept[:count], free[:count]) < SAME
    assert all(np.array_equal(a, b) for a, b in zip(kept[count:], matrices(net)[count:], strict=True))
    if net.layers:
        kept = velocities(net, target, w, 0.2, train_embedding=False)
        assert relative(kept[count:], free[count:]) < SAME
        assert all(np.array_equal(a, b) for a, b in zip(kept[:count], matrices(net)[:count], strict=True))


@pytest.mark.parametrize(("depth", "residual", "tied"), NETS)
def test_velocities_of_a_stack_are_those_of_its_states(depth, residual, tied):
    target, w = problem("path-star:3x2")
    equation = ladder_equation(target, random_net(len(target), depth, residual, tied), row_weight=w, weight_decay=0.1)
    states = equation.start * np.linspace(0.5, 1.5, 5)[:, None, None]
    assert relative(equation.velocity(states), [equation.velocity(state) for state in states]) < SAME


def wide_net(n, depth, residual, tied, m=40, seed=0):
    """Wide, and with layers on a space of r columns that holds the rows of E and U: with that space's net."""
    rng = np.random.default_rng(seed)
    small = random_net(n, depth, residual, tied, m=n if tied else 2 * n, scale=0.3, seed=seed)
    q = np.linalg.qr(rng.standard_normal((m, small.embedding.shape[1])))[0]
    return rotated(small, q.T), small, q


@pytest.mark.parametrize(("depth", "residual", "tied"), NETS)
def test_a_wide_net_moves_in_the_space_of_its_rows(depth, residual, tied):
    target, w = problem("path-star:3x2")
    net, small, q = wide_net(len(target), depth, residual, tied)
    options = {"row_weight": w, "weight_decay": 0.1}
    assert ladder_equation(target, net, **options).start.shape == ladder_equation(target, small, **options).start.shape
    found, plain = ladder_flow(target, net, [0.0, 1.0], **options).net, ladder_flow(target, small, 1.0, **options).net
    assert relative([x[1] for x in matrices(found)], [x[0] for x in matrices(rotated(plain, q.T))]) < AGREEMENT
    full = steepest_descent(net.parameters, residual, target, w)  # of all columns: the same space
    inside = steepest_descent(compress_net(net.parameters)[0], residual, target, w)
    back = rotate(inside, compress_net(net.parameters)[1].T)
    assert relative(matrices(LinearNet(*back)), matrices(LinearNet(*full))) < SAME


def test_columns_that_layers_use_are_kept():
    """The compression is exact or not made: one entry of a layer outside the space of the rows, and all m stay."""
    target, _ = problem("path-star:3x2")
    n = len(target)
    net, _, _ = wide_net(n, "L=1", True, True)
    assert compress_net(net.parameters)[1] is not None
    spoilt = LinearNet(net.embedding, ((net.layers[0][0] + 1e-9 * np.eye(40),),), residual=True)
    assert compress_net(spoilt.parameters)[1] is None
    zero = LinearNet(net.embedding, ((np.zeros((40, 40)),),), residual=True)
    assert ladder_equation(target, zero).start.shape == (2 * n, n)


def test_the_frozen_identity_is_tied_node2vec():
    target, w = problem()
    e = random_net(len(target), "L=0", False, True).embedding
    net = LinearNet(e, ((np.zeros((3, 3)),),) * 2, residual=True)
    found = ladder_flow(target, net, [0.3, 2.0], row_weight=w, train_layers=False)
    assert relative(found.net.embedding, tied_flow(target, e, [0.3, 2.0], row_weight=w).embedding) < AGREEMENT
    assert not found.net.layers[1][0].any()
