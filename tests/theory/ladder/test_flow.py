import numpy as np
import pytest
from scipy.integrate import solve_ivp

from fiedler.theory import (
    LinearNet,
    follow,
    ladder_equation,
    ladder_flow,
    ladder_logits,
    one_hop_target,
    one_layer_flow,
    parse,
    stationary,
    tied_flow,
    tied_optimum,
    untied_flow,
)
from fiedler.theory.ladder.flow import ladder_problem
from linear_nets import NETS, M, at, matrices, objective, problem, random_net, relative, rotated, with_matrices

AGREEMENT = 1e-8  # two integrations at a relative tolerance of 1e-10, errors amplified by the growing modes
MONOTONE = 1e-9  # relative rounding and integration error of a loss that has stopped falling
LIMIT = 1e-3  # of a start of scale 1e-2: it moves the limit by its square
TIMES = (0.0, 0.3, 1.0, 3.0)


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_no_layer_is_node2vec(decay):
    target, w = problem()
    for tied in (True, False):
        net = random_net(len(target), "L=0", True, tied)
        found = ladder_flow(target, net, TIMES, row_weight=w, weight_decay=decay)
        if tied:  # whose penalty is l ||V||^2
            plain = tied_flow(target, net.embedding, TIMES, row_weight=w, weight_decay=decay / 2)
        else:
            plain = untied_flow(target, net.embedding, net.context, TIMES, row_weight=w, weight_decay=decay)
            assert relative(found.net.context, plain.context) < AGREEMENT
        assert relative(found.net.embedding[1:], plain.embedding[1:]) < AGREEMENT
        assert np.allclose(found.loss, plain.loss, rtol=AGREEMENT)


@pytest.mark.parametrize("trained", [(True, True), (True, False), (False, True)])
def test_one_layer_without_residual_is_the_one_layer_net(trained):
    target, w = problem()
    net = random_net(len(target), "L=1", False, True)
    options = {"row_weight": w, "weight_decay": 0.2, "train_embedding": trained[0]}
    found = ladder_flow(target, net, TIMES, **options, train_layers=trained[1])
    plain = one_layer_flow(target, net.embedding, net.layers[0][0], TIMES, **options, train_inner=trained[1])
    assert relative(found.net.embedding, plain.embedding) < AGREEMENT
    assert relative(found.net.layers[0][0], plain.inner) < AGREEMENT
    assert relative(found.balance.embedding, plain.balance) < AGREEMENT
    assert np.allclose(found.loss, plain.loss, rtol=AGREEMENT)


@pytest.mark.parametrize("depth", ["L=3", "mixed"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_the_flow_agrees_with_another_integrator(depth, residual, tied):
    target, w = problem("path-star:3x2")
    net = random_net(len(target), depth, residual, tied)
    one = ladder_problem(target, net, 0.1, w, True, True)
    start = one.pack(one.parameters)
    y = solve_ivp(
        lambda _, y: one.velocity(y.reshape(start.shape)).ravel(),
        (0, max(TIMES)),
        start.ravel(),
        method="LSODA",
        t_eval=TIMES,
        rtol=1e-11,
        atol=1e-13,
    ).y.T.reshape(-1, *start.shape)
    found = ladder_flow(target, net, TIMES, weight_decay=0.1, row_weight=w)
    assert relative(matrices(found.net), matrices(LinearNet(*one.unpack(y)))) < AGREEMENT
    losses = [objective(at(found.net, index), target, w, 0.0) for index in range(len(TIMES))]
    assert np.allclose(found.loss, losses, rtol=AGREEMENT)


@pytest.mark.parametrize(("depth", "residual", "tied"), NETS)
def test_rotations_and_relabellings_commute_with_the_flow(depth, residual, tied):
    target, w = problem("path-star:3x2")
    n, rng = len(target), np.random.default_rng(3)
    net = random_net(n, depth, residual, tied)
    q, order = np.linalg.qr(rng.standard_normal((M, M)))[0], rng.permutation(n)
    plain = ladder_flow(target, net, 2.0, row_weight=w, weight_decay=0.1)
    turned = ladder_flow(target, rotated(net, q), 2.0, row_weight=w, weight_decay=0.1)
    assert relative(matrices(turned.net), matrices(rotated(at(plain.net, 0), q))) < AGREEMENT
    count = 1 if tied else 2
    relabelled = with_matrices(net, [x[order] if i < count else x for i, x in enumerate(matrices(net))])
    other = ladder_flow(target[np.ix_(order, order)], relabelled, 2.0, row_weight=w[order], weight_decay=0.1)
    expected = [x[:, order] if i < count else x for i, x in enumerate(matrices(plain.net))]
    assert relative(matrices(other.net), expected) < AGREEMENT


@pytest.mark.parametrize(("depth", "residual", "tied"), NETS)
def test_the_objective_never_rises(depth, residual, tied):
    target, w = problem("path-star:3x2")
    net, decay = random_net(len(target), depth, residual, tied), 0.1
    found = ladder_flow(target, net, np.linspace(0, 5, 40), row_weight=w, weight_decay=decay, rtol=1e-9).net
    values = np.array([objective(at(found, index), target, w, decay) for index in range(40)])
    assert np.diff(values).max() <= MONOTONE * values[0]
    assert values[-1] < values[0]


@pytest.mark.parametrize(("depth", "expected"), [(1, 15.4368), (2, 8.6001), (3, 5.8555)])
def test_residual_layers_reach_the_tied_optimum_with_a_flatter_spectrum(depth, expected):
    """15-cycle, W(0) = 0: the logits tend to the tied optimum mu, the Gram matrix to k (1 + k/2)^(L/2) = mu."""
    target = one_hop_target(parse("cycle:15"))
    start = LinearNet(1e-2 * np.eye(15), ((np.zeros((15, 15)),),) * depth, residual=True)
    equation = ladder_equation(target, start)
    path = follow(equation, 1000.0, events=[stationary(equation, 1e-6)], rtol=1e-8)
    found = path.at(path.end)
    assert np.allclose(np.linalg.eigvalsh(found.gram[0])[-2:], expected, rtol=0, atol=LIMIT)
    optimum = np.linalg.eigvalsh(tied_optimum(target).gram)[-2:]
    assert np.allclose(np.linalg.eigvalsh(found.logits[0])[-2:], optimum, rtol=LIMIT)
    k = np.linalg.eigvalsh(found.gram[0])[-1]
    assert k * (1 + k / 2) ** (depth / 2) == pytest.approx(optimum[-1], rel=LIMIT)


def test_paths_know_the_gram_matrix_and_the_loss():
    target, w = problem()
    for tied in (True, False):
        net = random_net(len(target), "mixed", True, tied)
        equation = ladder_equation(target, net, row_weight=w)
        path, flow = follow(equation, 1.0), ladder_flow(target, net, [0.0, 0.4, 1.0], row_weight=w)
        states = path.integration.at([0.0, 0.4, 1.0])
        assert relative(equation.gram(states), flow.gram) < AGREEMENT
        assert np.allclose(equation.loss(states), flow.loss, rtol=AGREEMENT)
        assert relative(path.at([0.0, 0.4, 1.0]).logits, ladder_logits(flow.net)) < AGREEMENT


def test_bad_input_is_refused():
    target, _ = problem()
    n = len(target)
    net = random_net(n, "L=1", True, True)
    for match, call in (
        ("nothing is trained", lambda: ladder_flow(target, net, 1.0, train_embedding=False, train_layers=False)),
        ("nothing is trained", lambda: ladder_flow(target, LinearNet(net.embedding), 1.0, train_embedding=False)),
        ("rows like the target", lambda: ladder_flow(target, random_net(n - 1, "L=1", True, True), 1.0)),
        ("a batch", lambda: ladder_flow(target, ladder_flow(target, net, [0.0, 1.0]).net, 1.0)),
        ("gives logits of", lambda: ladder_flow(target, LinearNet(1e10 * net.embedding), 1.0)),
        ("weight_decay", lambda: ladder_flow(target, net, 1.0, weight_decay=-1)),
        ("times must be", lambda: ladder_flow(target, net, [-1.0])),
        ("implicit_limit", lambda: ladder_flow(target, net, 1.0, implicit_limit=-1)),
    ):
        with pytest.raises(ValueError, match=match):
            call()
