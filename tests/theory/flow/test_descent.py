import numpy as np
import pytest
import torch
from scipy.special import softmax

from fiedler.theory import (
    one_hop_target,
    parse,
    tied_descent,
    tied_flow,
    tied_gram_descent,
    untied_descent,
    untied_flow,
)

SAME = 1e-12  # 50 steps of the same arithmetic in another order
FORM = 1e-10  # K form against V form, relative to the largest entry, after 200 steps

GRAPHS = ("cycle:15", "path-star:4x5", "grid:4x4", "irregular", "florentine")
STEPS = (0, 1, 7, 50)
ETA = 0.05


def relative(a, b):
    return np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(b).max()


def setting(word, columns, scale=1.0):
    target = one_hop_target(parse(word))
    rng = np.random.default_rng(0)
    v0, u0 = scale * rng.standard_normal((2, len(target), columns))
    return target, v0, u0, 0.5 + rng.random(len(target))


def plain_loop(step, state):
    kept = []
    for count in range(max(STEPS) + 1):
        if count in STEPS:
            kept.append(state)
        state = step(state)
    return np.array(kept)


@pytest.mark.parametrize("columns", [3, 40])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("word", GRAPHS)
def test_descent_is_the_plain_loop(word, decay, columns):
    target, v0, u0, w = setting(word, columns)

    def tied(v):
        r = np.diag(w) @ (target - softmax(v @ v.T, axis=1))
        return v + ETA * (r + r.T) @ v - 2 * ETA * decay * v

    def untied(state):
        v, u = state
        r = np.diag(w) @ (target - softmax(v @ u.T, axis=1))
        return np.array([v + ETA * r @ u - ETA * decay * v, u + ETA * r.T @ v - ETA * decay * u])

    found = tied_descent(target, v0, ETA, STEPS, weight_decay=decay, row_weight=w)
    assert relative(found.embedding, plain_loop(tied, v0)) < SAME
    both = untied_descent(target, v0, u0, ETA, STEPS, weight_decay=decay, row_weight=w)
    expected = plain_loop(untied, np.array([v0, u0]))
    assert relative(both.embedding, expected[:, 0]) < SAME
    assert relative(both.context, expected[:, 1]) < SAME


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("word", GRAPHS)
def test_descent_is_what_autograd_does(word, tied, decay):
    target, v0, u0, w = setting(word, 10)
    parameters = [torch.tensor(x, requires_grad=True) for x in ([v0] if tied else [v0, u0])]
    optimiser = torch.optim.SGD(parameters, lr=ETA)
    for _ in range(50):
        optimiser.zero_grad()
        logits = parameters[0] @ parameters[-1].T
        each = torch.nn.functional.cross_entropy(logits, torch.tensor(target), reduction="none")
        loss = (each * torch.tensor(w)).sum()
        penalty = sum((p**2).sum() for p in parameters) * (decay if tied else decay / 2)
        (loss + penalty).backward()
        optimiser.step()
    options = {"weight_decay": decay, "row_weight": w}
    found = tied_descent(target, v0, ETA, 50, **options) if tied else untied_descent(target, v0, u0, ETA, 50, **options)
    assert relative(found.embedding[0], parameters[0].detach().numpy()) < SAME
    if not tied:
        assert relative(found.context[0], parameters[1].detach().numpy()) < SAME


@pytest.mark.parametrize("columns", [4, 40])
@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("word", GRAPHS)
def test_gram_descent_is_the_gram_matrix_of_descent(word, decay, columns):
    target, v0, _, w = setting(word, columns)
    options = {"weight_decay": decay, "row_weight": w}
    steps = (0, 1, 10, 200)
    grams = tied_gram_descent(target, v0 @ v0.T, ETA, steps, **options)
    embeddings = tied_descent(target, v0, ETA, steps, **options)
    assert relative(grams.gram, embeddings.gram) < FORM
    assert np.allclose(grams.loss, embeddings.loss, rtol=FORM)
    assert np.array_equal(grams.times, embeddings.times)


@pytest.mark.parametrize("word", GRAPHS)
def test_the_reported_loss_is_that_of_the_state(word):
    target, v0, u0, w = setting(word, 40)
    tied, untied = (
        tied_descent(target, v0, ETA, STEPS, weight_decay=0.1, row_weight=w),
        untied_descent(target, v0, u0, ETA, STEPS, weight_decay=0.1, row_weight=w),
    )
    for loss, logits in ((tied.loss, tied.gram), (untied.loss, untied.logits)):
        with torch.no_grad():
            expected = [
                torch.nn.functional.cross_entropy(torch.tensor(z), torch.tensor(target), reduction="none").numpy() @ w
                for z in logits
            ]
        assert np.allclose(loss, expected, rtol=SAME)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("word", ["cycle:15", "irregular", "florentine"])
def test_descent_converges_to_the_flow_at_first_order(word, tied):
    target, v0, u0, w = setting(word, 4)
    options = {"weight_decay": 0.1, "row_weight": w}
    end = 1.0

    def error(steps):
        if tied:
            exact = tied_flow(target, v0, end, **options)
            found = tied_descent(target, v0, end / steps, steps, **options)
        else:
            exact = untied_flow(target, v0, u0, end, **options)
            found = untied_descent(target, v0, u0, end / steps, steps, **options)
        assert found.times[0] == pytest.approx(end)
        return np.linalg.norm(found.embedding - exact.embedding)

    errors = [error(steps) for steps in (200, 400, 800)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)  # eta / 100 of second order left
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.03)


def test_times_are_steps_times_step_size():
    target, v0, u0, _ = setting("cycle:5", 2)
    found = tied_descent(target, v0, 0.1, [0, 3, 3, 10])
    assert np.allclose(found.times, [0, 0.3, 0.3, 1.0])
    assert np.array_equal(found.embedding[0], v0)
    assert np.array_equal(found.embedding[1], found.embedding[2])
    assert untied_descent(target, v0, u0, 0.1, np.int32(4)).embedding.shape == (1, 5, 2)


DESCENTS = {
    "tied": lambda target, eta, steps: tied_descent(target, 2 * np.eye(5), eta, steps),
    "gram": lambda target, eta, steps: tied_gram_descent(target, 4 * np.eye(5), eta, steps),
    "untied": lambda target, eta, steps: untied_descent(target, 2 * np.eye(5), np.eye(5), eta, steps),
}


@pytest.mark.parametrize("descent", DESCENTS.values(), ids=DESCENTS)
class TestErrors:
    target = one_hop_target(parse("cycle:5"))

    def test_divergence_is_an_error(self, descent):
        with pytest.raises(FloatingPointError, match="smaller step size"):
            descent(self.target, 1e6, 500)

    @pytest.mark.parametrize("eta", [0.0, -0.1, np.nan, np.inf])
    def test_bad_step_size(self, descent, eta):
        with pytest.raises(ValueError, match="step_size"):
            descent(self.target, eta, 1)

    @pytest.mark.parametrize("steps", [[], 1.0, [1.5], [[1]]])
    def test_steps_that_are_not_integers(self, descent, steps):
        with pytest.raises(ValueError, match="steps must be an integer"):
            descent(self.target, 0.1, steps)

    @pytest.mark.parametrize("steps", ["3", True, None, [10**30]])
    def test_steps_that_are_not_numbers(self, descent, steps):
        with pytest.raises(TypeError, match="steps must"):
            descent(self.target, 0.1, steps)

    def test_steps_that_would_never_end(self, descent):
        with pytest.raises(ValueError, match="steps must be at most"):
            descent(self.target, 0.1, 10**12)

    @pytest.mark.parametrize("steps", [[2, 1], -1, [-1, 2]])
    def test_steps_out_of_order(self, descent, steps):
        with pytest.raises(ValueError, match="ascending"):
            descent(self.target, 0.1, steps)


def test_a_start_of_the_wrong_shape_is_refused():
    target = one_hop_target(parse("cycle:5"))
    with pytest.raises(ValueError, match="embedding0"):
        tied_descent(target, np.ones((4, 2)), 0.1, 1)
    with pytest.raises(ValueError, match="gram0"):
        tied_gram_descent(target, np.ones((5, 2)), 0.1, 1)
    with pytest.raises(ValueError, match="context0"):
        untied_descent(target, np.ones((5, 2)), np.ones((5, 3)), 0.1, 1)
    with pytest.raises(ValueError, match="NaN"):
        tied_descent(target, np.full((5, 2), np.nan), 0.1, 1)


def test_iterates_whose_loss_overflows_have_diverged():
    target = one_hop_target(parse("cycle:5"))
    with pytest.raises(FloatingPointError, match="its loss overflows"):
        tied_descent(target, np.eye(5), 1e170, 1)  # entries of 1e170, and their squares
