from functools import partial

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import softmax

from cases import SMALL
from fiedler.theory import (
    centre_gram,
    one_hop_target,
    parse,
    tied_flow,
    tied_gram_flow,
    tied_optimum,
    untied_flow,
    untied_gram_flow,
)

AGREEMENT = 1e-8  # two integrations at a relative tolerance of 1e-10, errors amplified by the growing modes
FORM = 1e-8  # Gram against V form, relative to the largest entry
MONOTONE = 1e-9  # relative rounding and integration error of a loss that has stopped falling
LIMIT = 1e-6  # the slowest mode of the 15-cycle dies like exp(-0.12 t): 1e-10 at t = 200

GRAPHS = ("cycle:15", "path-star:4x5", "grid:4x4", "irregular", "florentine")
TIMES = (0.0, 0.3, 1.0, 3.0)


def relative(a, b):
    return np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(b).max()


def normal(*shape, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).standard_normal(shape)


def orthogonal_rows(n, m, seed=0):
    return np.linalg.qr(normal(m, m, seed=seed))[0][:n]


def integrate(rhs, start, times):
    """An integration with nothing in common with the package: LSODA on the flat state."""
    solution = solve_ivp(
        lambda _, y: rhs(y.reshape(start.shape)).ravel(),
        (0, max(times)),
        start.ravel(),
        method="LSODA",
        t_eval=times,
        rtol=1e-11,
        atol=1e-13,
    )
    return solution.y.T.reshape(len(times), *start.shape)


def force(logits, target, w):
    """-dL/dZ, one row at a time."""
    return np.array([w[i] * (target[i] - softmax(logits[i])) for i in range(len(w))])


@pytest.mark.parametrize("columns", [2, 40])
@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("word", GRAPHS)
def test_tied_flow_agrees_with_another_integrator(word, decay, columns):
    target = one_hop_target(parse(word))
    n = len(target)
    w, v0 = 0.5 + np.random.default_rng(1).random(n), normal(n, columns, seed=2)

    def rhs(v):
        r = force(v @ v.T, target, w)
        return r @ v + r.T @ v - 2 * decay * v

    found = tied_flow(target, v0, TIMES, weight_decay=decay, row_weight=w)
    assert found.embedding.shape == (len(TIMES), n, columns)
    assert relative(found.embedding, integrate(rhs, v0, TIMES)) < AGREEMENT


@pytest.mark.parametrize("columns", [3, 36])
@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("word", GRAPHS)
def test_untied_flow_agrees_with_another_integrator(word, decay, columns):
    target = one_hop_target(parse(word))
    n = len(target)
    w, start = 0.5 + np.random.default_rng(1).random(n), normal(2, n, columns, seed=2)

    def rhs(state):
        r = force(state[0] @ state[1].T, target, w)
        return np.stack([r @ state[1], r.T @ state[0]]) - decay * state

    found = untied_flow(target, start[0], start[1], TIMES, weight_decay=decay, row_weight=w)
    expected = integrate(rhs, start, TIMES)
    assert relative(found.embedding, expected[:, 0]) < AGREEMENT
    assert relative(found.context, expected[:, 1]) < AGREEMENT


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("word", GRAPHS)
def test_gram_flow_from_the_identity_is_the_flow_of_orthogonal_rows(word, scale):
    target = one_hop_target(parse(word))
    n = len(target)
    gram = tied_gram_flow(target, scale**2 * np.eye(n), TIMES)
    wide = tied_flow(target, scale * orthogonal_rows(n, n + 7), TIMES)
    for k in range(len(TIMES)):
        assert relative(gram.gram[k], wide.gram[k]) < FORM
    assert np.allclose(gram.loss, wide.loss, rtol=AGREEMENT)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_gram_flow_follows_any_embedding_with_weights_and_decay(decay):
    target = one_hop_target(parse("florentine"))
    n = len(target)
    options = {"weight_decay": decay, "row_weight": 0.5 + np.random.default_rng(1).random(n)}
    v0 = normal(n, 4, seed=3)
    assert (
        relative(tied_gram_flow(target, v0 @ v0.T, TIMES, **options).gram, tied_flow(target, v0, TIMES, **options).gram)
        < FORM
    )


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("word", ["cycle:15", "path-star:4x5", "florentine"])
def test_untied_gram_flow_follows_the_untied_flow(word, decay):
    target = one_hop_target(parse(word))
    n = len(target)
    options = {"weight_decay": decay, "row_weight": 0.5 + np.random.default_rng(1).random(n)}
    v0, u0 = normal(2, n, 6, seed=4)
    factors = untied_flow(target, v0, u0, TIMES, **options)
    grams = untied_gram_flow(target, v0 @ v0.T, u0 @ u0.T, v0 @ u0.T, TIMES, **options)
    assert relative(grams.gram_embedding, factors.embedding @ factors.embedding.transpose(0, 2, 1)) < FORM
    assert relative(grams.gram_context, factors.context @ factors.context.transpose(0, 2, 1)) < FORM
    assert relative(grams.logits, factors.logits) < FORM
    assert np.allclose(grams.loss, factors.loss, rtol=AGREEMENT)


@pytest.mark.parametrize("n", [5, 8, 15])
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_on_the_cycle_the_flow_is_diagonal_in_the_fourier_basis(n, scale):
    target_modes = np.cos(2 * np.pi * np.arange(n) / n)

    def rhs(g):
        return 4 * (target_modes - np.fft.fft(softmax(np.fft.ifft(g).real)).real) * g

    times = (0.0, 1.0, 5.0, 20.0)
    modes = integrate(rhs, np.full(n, scale**2), times)
    found = tied_gram_flow(one_hop_target(parse(f"cycle:{n}")), scale**2 * np.eye(n), times).gram
    assert relative(np.fft.fft(found[:, 0]).real, modes) < AGREEMENT
    assert relative(found[:, 2], np.roll(found[:, 0], 2, axis=1)) < AGREEMENT


@pytest.mark.parametrize("word", SMALL)
def test_the_loss_never_rises(word):
    target = one_hop_target(parse(word))
    n = len(target)
    times = np.linspace(0, 10, 60)
    v0, u0 = normal(2, n, 5, seed=5, scale=2.0)
    for loss in (tied_flow(target, v0, times).loss, untied_flow(target, v0, u0, times).loss):
        assert np.diff(loss).max() <= MONOTONE * loss[0]
        assert loss[-1] < 0.9 * loss[0]


@pytest.mark.parametrize("word", SMALL)
def test_with_decay_the_objective_never_rises(word):
    target, decay = one_hop_target(parse(word)), 0.4
    n = len(target)
    times = np.linspace(0, 10, 60)
    v0, u0 = normal(2, n, 5, seed=5, scale=2.0)
    tied = tied_flow(target, v0, times, weight_decay=decay)
    untied = untied_flow(target, v0, u0, times, weight_decay=decay)
    for objective in (
        tied.loss + decay * (tied.embedding**2).sum(axis=(1, 2)),
        untied.loss + decay / 2 * ((untied.embedding**2) + untied.context**2).sum(axis=(1, 2)),
    ):
        assert np.diff(objective).max() <= MONOTONE * objective[0]


@pytest.mark.parametrize("columns", [4, 30])
def test_a_rotation_of_the_columns_commutes_with_the_flow(columns):
    target = one_hop_target(parse("florentine"))
    v0, q = normal(len(target), columns), orthogonal_rows(columns, columns)
    plain, rotated = tied_flow(target, v0, TIMES), tied_flow(target, v0 @ q, TIMES)
    assert relative(rotated.embedding, plain.embedding @ q) < AGREEMENT
    u0 = normal(len(target), columns, seed=1)
    plain, rotated = untied_flow(target, v0, u0, TIMES), untied_flow(target, v0 @ q, u0 @ q, TIMES)
    assert relative(rotated.context, plain.context @ q) < AGREEMENT


@pytest.mark.parametrize("word", GRAPHS)
def test_relabelling_the_nodes_relabels_the_flow(word):
    target = one_hop_target(parse(word))
    n = len(target)
    order = np.random.default_rng(0).permutation(n)
    moved, v0, w = target[np.ix_(order, order)], normal(n, 3), 1 + np.arange(n) / n
    plain = tied_flow(target, v0, TIMES, row_weight=w).embedding
    assert relative(tied_flow(moved, v0[order], TIMES, row_weight=w[order]).embedding, plain[:, order]) < AGREEMENT


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_row_weights_all_equal_only_change_the_clock(factor):
    target = one_hop_target(parse("grid:4x4"))
    v0, times = normal(16, 4), np.array([0.5, 1.0, 2.0])
    slow = tied_flow(target, v0, times)
    fast = tied_flow(target, v0, times / factor, row_weight=np.full(16, factor))
    assert relative(fast.embedding, slow.embedding) < AGREEMENT
    assert np.allclose(fast.loss, factor * slow.loss, rtol=AGREEMENT)


def test_many_columns_are_compressed_exactly():
    target = one_hop_target(parse("path-star:4x5"))
    n, m = len(target), 500
    v0, u0 = normal(n, m, scale=0.2), normal(n, m, seed=1, scale=0.2)
    q, factor = np.linalg.qr(v0.T)
    few = tied_flow(target, factor.T, TIMES).embedding @ q.T
    assert relative(tied_flow(target, v0, TIMES).embedding, few) < AGREEMENT
    q, factor = np.linalg.qr(np.concatenate([v0, u0]).T)
    few = untied_flow(target, factor.T[:n], factor.T[n:], TIMES)
    many = untied_flow(target, v0, u0, TIMES)
    assert relative(many.embedding, few.embedding @ q.T) < AGREEMENT
    assert relative(many.context, few.context @ q.T) < AGREEMENT
    assert np.allclose(many.loss, few.loss, rtol=AGREEMENT)


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_a_long_flow_on_the_cycle_reaches_the_optimum(scale):
    target = one_hop_target(parse("cycle:15"))
    optimum = tied_optimum(target)
    end = tied_flow(target, scale * np.eye(15), [250.0])
    assert relative(centre_gram(end.gram[0]), optimum.centred_gram) < LIMIT
    assert end.loss[0] == pytest.approx(optimum.loss, abs=LIMIT)


def test_the_state_at_time_zero_is_the_start():
    target = one_hop_target(parse("cycle:5"))
    v0, u0 = normal(5, 30), normal(5, 30, seed=1)
    for times in ([0.0], [0.0, 1.0]):
        assert np.allclose(tied_flow(target, v0, times).embedding[0], v0, rtol=0, atol=1e-14)
        assert np.allclose(untied_flow(target, v0, u0, times).context[0], u0, rtol=0, atol=1e-14)
    assert np.array_equal(tied_flow(target, v0, 2.0).times, [2.0])
    assert np.array_equal(tied_gram_flow(target, np.eye(5), 0).gram, np.eye(5)[None])


def test_a_repeated_time_gives_its_state_twice():
    target = one_hop_target(parse("cycle:5"))
    found = tied_flow(target, normal(5, 3), [0.0, 0.0, 0.5, 0.5, 1.0])
    assert found.embedding.shape == (5, 5, 3)
    assert np.array_equal(found.times, [0.0, 0.0, 0.5, 0.5, 1.0])
    assert np.array_equal(found.embedding[0], found.embedding[1])
    assert np.array_equal(found.embedding[2], found.embedding[3])
    assert np.array_equal(found.embedding[[0, 2, 4]], tied_flow(target, normal(5, 3), [0.0, 0.5, 1.0]).embedding)


@pytest.mark.parametrize("s", [1e-3, 1e-6])
def test_the_two_forms_agree_relative_to_a_tiny_start(s):
    # Below an absolute tolerance of 1e-12 the Gram form, of size s^2, would keep no digit.
    target = one_hop_target(parse("cycle:15"))
    gram = tied_gram_flow(target, s**2 * np.eye(15), [2.0]).gram[0]
    assert relative(tied_flow(target, s * np.eye(15), [2.0]).gram[0], gram) < FORM


FLOWS = {
    "tied": lambda target, times, **kw: tied_flow(target, np.ones((5, 2)), times, **kw),
    "tied gram": lambda target, times, **kw: tied_gram_flow(target, np.eye(5), times, **kw),
    "untied": lambda target, times, **kw: untied_flow(target, np.ones((5, 2)), np.ones((5, 2)), times, **kw),
    "untied gram": lambda target, times, **kw: untied_gram_flow(
        target, np.eye(5), np.eye(5), np.zeros((5, 5)), times, **kw
    ),
}


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
class TestErrors:
    target = one_hop_target(parse("cycle:5"))

    @pytest.mark.parametrize("times", [[], [1.0, 0.5], [-1.0], [np.nan], [0.0, np.inf], [[0.0, 1.0]]])
    def test_bad_times(self, flow, times):
        with pytest.raises(ValueError, match="times must be"):
            flow(self.target, times)

    def test_bad_options(self, flow):
        with pytest.raises(ValueError, match="weight_decay"):
            flow(self.target, [1.0], weight_decay=-1)
        with pytest.raises(ValueError, match="row_weight"):
            flow(self.target, [1.0], row_weight=np.ones(4))
        with pytest.raises(ValueError, match="row 0 sums"):
            flow(2 * self.target, [1.0])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (partial(tied_flow, embedding0=np.ones((4, 2))), "embedding0"),
        (partial(tied_flow, embedding0=np.ones(5)), "embedding0"),
        (partial(tied_flow, embedding0=np.full((5, 2), np.nan)), "embedding0 holds NaN"),
        (partial(tied_gram_flow, gram0=np.ones((5, 2))), "gram0"),
        (partial(untied_flow, embedding0=np.ones((5, 2)), context0=np.ones((5, 3))), "context0"),
        (partial(untied_flow, embedding0=np.ones((4, 2)), context0=np.ones((4, 2))), "embedding0"),
        (
            partial(untied_gram_flow, gram_embedding0=np.eye(5), gram_context0=np.eye(4), logits0=np.eye(5)),
            "gram_context0",
        ),
        (partial(untied_gram_flow, gram_embedding0=np.eye(5), gram_context0=np.eye(5), logits0=np.eye(4)), "logits0"),
    ],
)
def test_a_start_of_the_wrong_shape_is_refused_by_name(call, name):
    with pytest.raises(ValueError, match=name):
        call(one_hop_target(parse("cycle:5")), times=[1.0])


def test_a_start_whose_softmax_is_lost_to_rounding_is_refused():
    target = one_hop_target(parse("cycle:5"))
    with pytest.raises(ValueError, match=r"embedding0 gives logits of 1\.0e\+14, above 1e\+12"):
        tied_flow(target, 1e7 * np.eye(5), [1.0])
    with pytest.raises(ValueError, match="gram0 gives logits"):
        tied_gram_flow(target, 1e13 * np.eye(5), [1.0])


def test_a_time_beyond_which_nothing_is_resolved_is_refused():
    with pytest.raises(ValueError, match=r"times must be .* <= 1e\+08"):
        tied_flow(one_hop_target(parse("cycle:5")), np.eye(5), [1e12])
