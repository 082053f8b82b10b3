import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import log_softmax, softmax

from differences import numeric_gradient
from fiedler.theory import one_hop_target, parse, tied_descent, tied_flow
from fiedler.theory.flow.path import follow, stationary
from fiedler.theory.ladder.one_layer import one_layer_descent, one_layer_equation, one_layer_flow

AGREEMENT = 1e-8  # two integrations at a relative tolerance of 1e-10, errors amplified by the growing modes
SAME = 1e-12  # 50 steps of the same arithmetic in another order
DIFFERENCE = 1e-6  # central differences with a step of 1e-5, relative to the largest entry
MONOTONE = 1e-9  # relative rounding and integration error of a loss that has stopped falling

GRAPHS = ("cycle:8", "path-star:3x3", "irregular", "florentine")
TIMES = (0.0, 0.3, 1.0, 3.0)
STEPS, ETA = (0, 1, 7, 50), 0.02
TRAINED = ((True, True), (True, False), (False, True))


def relative(a, b):
    return np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(b).max()


def setting(word, m):
    target = one_hop_target(parse(word))
    rng = np.random.default_rng(0)
    n = len(target)
    return target, 0.5 * rng.standard_normal((n, m)), 0.5 * rng.standard_normal((m, m)), 0.5 + rng.random(n)


def objective(e, inner, target, w, decay):
    loss = -(w[:, None] * target * log_softmax(e @ inner @ e.T, axis=1)).sum()
    return loss + decay / 2 * ((e**2).sum() + (inner**2).sum())


def down(e, inner, target, w, decay):
    """The two gradients, written out once more."""
    r = np.diag(w) @ (target - softmax(e @ inner @ e.T, axis=1))
    return r @ e @ inner.T + r.T @ e @ inner - decay * e, e.T @ r @ e - decay * inner


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("word", GRAPHS)
def test_velocities_are_gradients_of_the_objective(word, decay):
    target, e, inner, w = setting(word, 3)
    n, options = len(target), {"weight_decay": decay, "row_weight": w}
    e_down = -numeric_gradient(lambda x: objective(x, inner, target, w, decay), e)
    w_down = -numeric_gradient(lambda x: objective(e, x, target, w, decay), inner)
    both = one_layer_equation(target, e, inner, **options)
    found = both.velocity(both.start)
    assert relative(found[:n], e_down) < DIFFERENCE
    assert relative(found[n:], w_down) < DIFFERENCE
    for kind, expected in (("train_inner", e_down), ("train_embedding", w_down)):
        equation = one_layer_equation(target, e, inner, **options, **{kind: False})
        assert relative(equation.velocity(equation.start), expected) < DIFFERENCE


@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize("m", [3, 20])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("word", GRAPHS)
def test_the_flow_agrees_with_another_integrator(word, decay, m, trained):
    target, e0, w0, w = setting(word, m)
    n = len(target)

    def rhs(_, y):
        e, inner = y[: n * m].reshape(n, m), y[n * m :].reshape(m, m)
        de, dw = down(e, inner, target, w, decay)
        return np.concatenate([de.ravel() * trained[0], dw.ravel() * trained[1]])

    y0 = np.concatenate([e0.ravel(), w0.ravel()])
    y = solve_ivp(rhs, (0, max(TIMES)), y0, method="LSODA", t_eval=TIMES, rtol=1e-11, atol=1e-13).y.T
    found = one_layer_flow(
        target,
        e0,
        w0,
        TIMES,
        weight_decay=decay,
        row_weight=w,
        train_embedding=trained[0],
        train_inner=trained[1],
    )
    e, inner = y[:, : n * m].reshape(-1, n, m), y[:, n * m :].reshape(-1, m, m)
    assert relative(found.embedding, e) < AGREEMENT
    assert relative(found.inner, inner) < AGREEMENT
    assert relative(found.logits, e @ inner @ e.transpose(0, 2, 1)) < AGREEMENT
    expected = [objective(a, b, target, w, 0.0) for a, b in zip(e, inner, strict=True)]
    assert np.allclose(found.loss, expected, rtol=AGREEMENT)


@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize("m", [3, 20])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("word", ["cycle:8", "florentine"])
def test_descent_is_the_plain_loop(word, decay, m, trained):
    target, e, inner, w = setting(word, m)
    options = {"train_embedding": trained[0], "train_inner": trained[1], "weight_decay": decay, "row_weight": w}
    found = one_layer_descent(target, e, inner, ETA, STEPS, **options)
    kept = []
    for count in range(max(STEPS) + 1):
        if count in STEPS:
            kept.append((e, inner))
        de, dw = down(e, inner, target, w, decay)
        e, inner = e + ETA * trained[0] * de, inner + ETA * trained[1] * dw
    assert relative(found.embedding, [a for a, _ in kept]) < SAME
    assert relative(found.inner, [b for _, b in kept]) < SAME
    assert np.allclose(found.times, ETA * np.array(STEPS))


def test_descent_converges_to_the_flow_at_first_order():
    target, e, inner, w = setting("florentine", 5)
    exact = one_layer_flow(target, e, inner, 1.0, weight_decay=0.1, row_weight=w)

    def error(steps):
        found = one_layer_descent(target, e, inner, 1.0 / steps, steps, weight_decay=0.1, row_weight=w)
        return np.linalg.norm(found.logits - exact.logits)

    errors = [error(steps) for steps in (400, 800, 1600)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("word", GRAPHS)
def test_the_balance_is_conserved(word, decay):
    target, e, inner, w = setting(word, 6)
    found = one_layer_flow(target, e, inner, TIMES, weight_decay=decay, row_weight=w)
    start = e.T @ e - inner @ inner.T - inner.T @ inner
    expected = np.exp(-2 * decay * np.array(TIMES))[:, None, None] * start
    assert relative(found.balance, expected) < AGREEMENT
    moved = np.abs(found.embedding[-1] - e).max()
    assert moved > 0.1


@pytest.mark.parametrize("m", [4, 30])
@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("word", GRAPHS)
def test_an_inner_weight_frozen_at_one_is_tied_node2vec(word, decay, m):
    target, e, _, w = setting(word, m)
    options = {"row_weight": w, "train_inner": False, "weight_decay": decay}
    found = one_layer_flow(target, e, np.eye(m), TIMES, **options)
    tied = tied_flow(target, e, TIMES, row_weight=w, weight_decay=decay / 2)
    assert relative(found.embedding, tied.embedding) < AGREEMENT
    assert np.allclose(found.loss, tied.loss, rtol=AGREEMENT)
    assert np.array_equal(found.inner[-1], np.eye(m))
    steps = one_layer_descent(target, e, np.eye(m), ETA, STEPS, **options)
    tied = tied_descent(target, e, ETA, STEPS, row_weight=w, weight_decay=decay / 2)
    assert relative(steps.embedding, tied.embedding) < SAME


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("m", [12, 40])
def test_frozen_orthonormal_embeddings_flow_in_the_logits(m, decay):
    # EE' = I: dZ/dt = R - l Z, one independent softmax regression a row.
    target = one_hop_target(parse("grid:3x4"))
    n = len(target)
    rng = np.random.default_rng(0)
    e = np.linalg.qr(rng.standard_normal((m, m)))[0][:n]
    inner = rng.standard_normal((m, m)) / m
    found = one_layer_flow(target, e, inner, TIMES, weight_decay=decay, train_embedding=False)
    for i in range(n):
        row = solve_ivp(
            lambda _, z, i=i: target[i] - softmax(z) - decay * z,
            (0, max(TIMES)),
            (e @ inner @ e.T)[i],
            t_eval=TIMES,
            method="LSODA",
            rtol=1e-11,
            atol=1e-13,
        ).y.T
        assert np.allclose(found.logits[:, i], row, rtol=0, atol=AGREEMENT)
    assert np.array_equal(found.embedding[-1], e)


def test_frozen_embeddings_reach_the_optimum_of_a_convex_problem():
    # Two starts, one limit; with decay the parts of W outside the row space of E vanish.
    target = one_hop_target(parse("florentine"))
    rng = np.random.default_rng(0)
    e = rng.standard_normal((len(target), 20))
    ends = []
    for scale in (0.0, 1.0):
        equation = one_layer_equation(
            target, e, scale * rng.standard_normal((20, 20)), weight_decay=0.5, train_embedding=False
        )
        path = follow(equation, 1e3, events=[stationary(equation, 1e-8)])
        assert path.stopped_by == "stationary"
        ends.append(path.at(path.end))
    p = softmax(ends[0].logits[0], axis=1)
    assert relative(ends[0].inner, e.T @ (target - p) @ e / 0.5) < 1e-6
    assert np.abs(ends[0].logits - ends[1].logits).max() < 1e-6
    assert np.abs(ends[0].inner - ends[1].inner).max() < 2 * np.exp(-0.5 * ends[1].times[0]) * 4 + 1e-6


@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize("word", GRAPHS)
def test_the_objective_never_rises(word, trained):
    target, e, inner, w = setting(word, 4)
    times, decay = np.linspace(0, 10, 60), 0.1
    found = one_layer_flow(
        target, e, inner, times, weight_decay=decay, row_weight=w, train_embedding=trained[0], train_inner=trained[1]
    )
    values = np.array([objective(a, b, target, w, decay) for a, b in zip(found.embedding, found.inner, strict=True)])
    assert np.diff(values).max() <= MONOTONE * values[0]
    assert values[-1] < values[0]


@pytest.mark.parametrize("trained", TRAINED)
def test_rotations_and_relabellings_commute_with_the_flow(trained):
    target, e, inner, w = setting("florentine", 5)
    n = len(target)
    rng = np.random.default_rng(3)
    q, order = np.linalg.qr(rng.standard_normal((5, 5)))[0], rng.permutation(n)
    options = {"train_embedding": trained[0], "train_inner": trained[1]}
    plain = one_layer_flow(target, e, inner, TIMES, row_weight=w, **options)
    rotated = one_layer_flow(target, e @ q, q.T @ inner @ q, TIMES, row_weight=w, **options)
    assert relative(rotated.embedding, plain.embedding @ q) < AGREEMENT
    assert relative(rotated.inner, q.T @ plain.inner @ q) < AGREEMENT
    moved = one_layer_flow(target[np.ix_(order, order)], e[order], inner, TIMES, row_weight=w[order], **options)
    assert relative(moved.embedding, plain.embedding[:, order]) < AGREEMENT
    assert relative(moved.inner, plain.inner) < AGREEMENT


@pytest.mark.parametrize("trained", TRAINED)
def test_paths_know_the_embedding_and_the_loss(trained):
    target, e, inner, w = setting("cycle:8", 12)
    options = {"train_embedding": trained[0], "train_inner": trained[1], "weight_decay": 0.1, "row_weight": w}
    equation = one_layer_equation(target, e, inner, **options)
    path = follow(equation, 2.0)
    found, flow = path.at([0.0, 0.7, 2.0]), one_layer_flow(target, e, inner, [0.0, 0.7, 2.0], **options)
    assert relative(found.inner, flow.inner) < AGREEMENT
    states = path.integration.at([0.0, 0.7, 2.0])
    assert relative(equation.gram(states), flow.embedding @ flow.embedding.transpose(0, 2, 1)) < AGREEMENT
    assert np.allclose(equation.loss(states), flow.loss, rtol=AGREEMENT)


def test_bad_input_is_refused():
    target, e, inner, _ = setting("cycle:8", 3)
    for call in (
        lambda **k: one_layer_flow(target, e, inner, 1.0, **k),
        lambda **k: one_layer_descent(target, e, inner, 0.1, 1, **k),
    ):
        with pytest.raises(ValueError, match="nothing is trained"):
            call(train_embedding=False, train_inner=False)
        with pytest.raises(ValueError, match="weight_decay"):
            call(weight_decay=-1)
        with pytest.raises(ValueError, match="row_weight"):
            call(row_weight=np.ones(3))
    with pytest.raises(ValueError, match="embedding0"):
        one_layer_flow(target, e[:4], inner, 1.0)
    with pytest.raises(ValueError, match="inner0"):
        one_layer_flow(target, e, inner[:, :2], 1.0)
    with pytest.raises(ValueError, match="times must be"):
        one_layer_flow(target, e, inner, [-1.0])
    with pytest.raises(ValueError, match="step_size"):
        one_layer_descent(target, e, inner, 0.0, 1)
    with pytest.raises(ValueError, match="steps must be"):
        one_layer_descent(target, e, inner, 0.1, 1.5)
    with pytest.raises(FloatingPointError, match="smaller step size"):
        one_layer_descent(target, e, inner, 1e6, 500)
