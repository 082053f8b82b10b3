import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import log_softmax, ndtr

from fiedler.theory import (
    PreNormNet,
    Sublayer,
    layer_norm,
    norm_clock,
    one_hop_target,
    parse,
    pre_norm_descent,
    pre_norm_descents,
    pre_norm_equation,
    pre_norm_features,
    pre_norm_flow,
    pre_norm_logits,
    tied_flow,
)
from fiedler.theory.flow.progress import listening
from fiedler.theory.ladder.normed_flow import make_problem

DIFFERENCE = 1e-6  # central differences with a step of 1e-6 across norms of .2, relative to the largest entry
AGREEMENT = 1e-7  # two integrations at 1e-9, errors amplified by the growing modes
SAME = 1e-12  # the same arithmetic in another order
MONOTONE = 1e-9  # rounding of a loss that has stopped falling

NORMS = ("layer", "rms", "none")


def relative(a, b):
    return np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(b).max()


def make(word, norm="layer", m=5, units=("identity", "gelu"), seed=0, std=0.5):
    target = one_hop_target(parse(word))
    rng = np.random.default_rng(seed)
    draw = lambda *shape: std * rng.standard_normal(shape)  # noqa: E731
    sublayers = tuple(Sublayer(draw(m, m + 1 + k), draw(m + 1 + k, m), u, 1 + draw(m)) for k, u in enumerate(units))
    return target, PreNormNet(draw(len(target), m), sublayers, 1 + draw(m), norm)


def normalised(x, norm, e=1e-5):
    if norm == "none":
        return x
    x = x - x.mean(1, keepdims=True) * (norm == "layer")
    return x / np.sqrt((x**2).mean(1, keepdims=True) + e)


def logits(state, net):
    """The net written out once more, from the state as one vector."""
    n, m = net.embedding.shape
    e, at = state[: n * m].reshape(n, m), n * m
    x = e
    for one in net.sublayers:
        h = one.read.shape[1]
        a, at = state[at : at + m * h].reshape(m, h), at + m * h
        c, at = state[at : at + m * h].reshape(h, m), at + m * h
        g, at = state[at : at + m], at + m
        z = (normalised(x, net.norm) * (g if net.norm != "none" else 1)) @ a
        x = x + {"identity": z, "relu": np.maximum(z, 0), "gelu": z * ndtr(z)}[one.activation] @ c
    g = state[at:] if net.norm != "none" else 1
    return (normalised(x, net.norm) * g) @ e.T


@pytest.mark.parametrize("units", [(), ("gelu", "identity"), ("identity", "relu")])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("word", ["cycle:7", "path-star:3x2"])
def test_the_velocity_is_the_gradient(word, norm, units):
    target, net = make(word, norm, units=units)
    w = 0.5 + np.random.default_rng(1).random(len(target))
    equation = pre_norm_equation(target, net, row_weight=w)
    assert relative(pre_norm_logits(net), logits(equation.start, net)) < SAME

    def loss(state):
        return -(w[:, None] * target * log_softmax(logits(state, net), axis=1)).sum()

    numeric = np.empty_like(equation.start)
    for i in range(len(numeric)):
        step = np.zeros_like(numeric)
        step[i] = 1e-6
        numeric[i] = -(loss(equation.start + step) - loss(equation.start - step)) / 2e-6
    assert relative(equation.velocity(equation.start), numeric) < DIFFERENCE
    held = pre_norm_equation(target, net, row_weight=w, train_gain=False).velocity(equation.start)
    problem = make_problem(target, net, False, w)
    for index, (still, free) in enumerate(
        zip(problem.parts(held), problem.parts(equation.velocity(equation.start)), strict=True)
    ):
        is_gain = (index and index % 3 == 0) or index == 1 + 3 * len(units)
        assert np.array_equal(still, np.zeros_like(free) if is_gain else free)


@pytest.mark.parametrize("norm", NORMS)
def test_the_flow_agrees_with_another_integrator_and_the_loss_never_rises(norm):
    target, net = make("path-star:3x2", norm, m=9)
    equation, times = pre_norm_equation(target, net), np.linspace(0, 0.5, 30)
    other = solve_ivp(
        lambda _, y: equation.velocity(y), (0, 0.5), equation.start, "LSODA", times, rtol=1e-10, atol=1e-12
    )
    run = pre_norm_flow(target, net, times)
    assert relative(run.embedding, other.y.T[:, : net.embedding.size].reshape(run.embedding.shape)) < AGREEMENT
    assert np.allclose(run.loss, equation.loss(other.y.T), rtol=AGREEMENT)
    assert relative(run.gram, equation.gram(other.y.T)) < AGREEMENT
    assert relative(run.logits[-1], logits(other.y[:, -1], net)) < AGREEMENT
    assert np.diff(run.loss).max() <= MONOTONE * run.loss[0]
    assert run.loss[-1] < 0.9 * run.loss[0]


def test_without_norm_and_sublayers_it_is_tied_node2vec():
    target, net = make("cycle:7", "none", units=())
    run = pre_norm_flow(target, net, [0, 1, 5])
    assert relative(run.embedding, tied_flow(target, net.embedding, [0, 1, 5]).embedding) < AGREEMENT


def test_descent_is_the_plain_loop():
    target, net = make("path-star:3x2")
    state, velocity = pre_norm_equation(target, net).start, pre_norm_equation(target, net).velocity
    for _ in range(20):
        state = state + 0.01 * velocity(state)
    run = pre_norm_descent(target, net, 0.01, [0, 20])
    assert relative(run.embedding[-1].ravel(), state[: net.embedding.size]) < SAME
    assert np.allclose(run.times, [0, 0.2])


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_nets_descended_together_are_those_descended_alone(norm):
    """Each to the bit, for both are the same operations on the same numbers."""
    target, net = make("path-star:3x2", norm)
    others = [PreNormNet((1 + 0.3 * i) * net.embedding, net.sublayers, net.gain, norm) for i in range(3)]
    together = pre_norm_descents(target, others, 0.01, [0, 7, 20])
    for found, one in zip(together, others, strict=True):
        alone = pre_norm_descent(target, one, 0.01, [0, 7, 20])
        assert np.array_equal(found.embedding, alone.embedding)
        assert np.array_equal(found.loss, alone.loss)
        assert np.array_equal(found.nets[-1].sublayers[0].gain, alone.nets[-1].sublayers[0].gain)
    with pytest.raises(ValueError, match=r"nets\[1\] differs"):
        pre_norm_descents(target, [net, PreNormNet(net.embedding, norm=norm)], 0.01, [1])


def test_a_descent_tells_how_far_it_has_come_and_can_be_ended():
    target, net = make("path-star:3x2")
    heard = []
    with listening(heard.append):
        pre_norm_descent(target, net, 0.001, [10, 200])
    assert heard == sorted(heard)
    assert heard[-1] == 1.0

    def end(fraction):
        raise InterruptedError

    with listening(end), pytest.raises(InterruptedError):
        pre_norm_descent(target, net, 0.001, [200])


@pytest.mark.parametrize("norm", ["rms", "none"])
def test_a_flow_without_gain_turns_with_the_columns(norm):
    target, net = make("path-star:3x2", norm)
    q = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))[0]
    turned = tuple(Sublayer(q.T @ one.read, one.write @ q, one.activation) for one in net.sublayers)
    plain = tuple(Sublayer(one.read, one.write, one.activation) for one in net.sublayers)
    runs = [
        pre_norm_flow(target, PreNormNet(e, layers, norm=norm), [0.3], train_gain=False).gram
        for e, layers in ((net.embedding, plain), (net.embedding @ q, turned))
    ]
    assert relative(*runs) < AGREEMENT


def test_nodes_may_be_renumbered():
    target, net = make("path-star:3x2", m=9)
    order = np.random.default_rng(4).permutation(len(target))
    moved = PreNormNet(net.embedding[order], net.sublayers, net.gain)
    a = pre_norm_flow(target, net, [0.3]).gram[0]
    b = pre_norm_flow(target[np.ix_(order, order)], moved, [0.3]).gram[0]
    assert relative(b, a[np.ix_(order, order)]) < AGREEMENT


def test_the_final_norm_conserves_the_embedding_against_its_gain():
    target, net = make("path-star:3x2", m=9, units=())
    run = pre_norm_flow(target, PreNormNet(net.embedding, gain=net.gain, epsilon=0.0), [0, 1, 5])
    e = run.embedding - run.embedding.mean(axis=2, keepdims=True)
    kept = (run.embedding**2).sum(axis=(1, 2)) - [(one.gain**2).sum() for one in run.nets]
    assert np.abs(kept - kept[0]).max() < AGREEMENT * abs(kept[0])
    assert np.ptp((e**2).sum(axis=(1, 2))) > 1


def test_layer_norm_features_and_clock():
    x = np.random.default_rng(0).standard_normal((4, 6))
    y = layer_norm(x, epsilon=0.0)
    assert np.allclose(y.mean(1), 0)
    assert np.allclose((y**2).mean(1), 1)
    assert np.array_equal(layer_norm(x, 2 * np.ones(6), norm="none"), 2 * x)
    assert np.allclose(layer_norm(x, norm="rms"), normalised(x, "rms"))
    centred = x - x.mean(1, keepdims=True)
    assert np.allclose(norm_clock(centred @ centred.T, 6)[:, None] * centred, layer_norm(x))
    _, net = make("cycle:7", units=("relu",))
    wanted = np.maximum((normalised(net.embedding, "layer") * net.sublayers[0].gain) @ net.sublayers[0].read, 0)
    assert relative(pre_norm_features(net, 0), wanted) < SAME


def test_what_does_not_fit_is_refused():
    e = np.ones((3, 4))
    with pytest.raises(ValueError, match="write must be a matrix of shape 2 x 4"):
        Sublayer(np.ones((4, 2)), np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"sublayers\[0\] must read 4 columns"):
        PreNormNet(e, (Sublayer(np.ones((5, 2)), np.ones((2, 5))),))
    with pytest.raises(TypeError, match="sublayers must be a tuple"):
        PreNormNet(e, Sublayer(np.ones((4, 2)), np.ones((2, 4))))
    with pytest.raises(ValueError, match="unknown activation 'tanh'"):
        Sublayer(np.ones((4, 2)), np.ones((2, 4)), "tanh")
    with pytest.raises(ValueError, match="net must have 7 rows"):
        pre_norm_flow(one_hop_target(parse("cycle:7")), PreNormNet(e), [1.0])
