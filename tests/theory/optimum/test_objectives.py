"""The factored objectives and their derivatives."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import logsumexp

from fiedler.theory import SmoothedTarget, one_hop_target, parse
from fiedler.theory.optimum.objectives import FULL_RANK_LIMIT, MOST_COLUMNS, TiedObjective, UntiedObjective, start_rank
from fiedler.theory.optimum.target_parts import target_parts

STEP = 1e-5
SLOPE = 1e-9  # of the value: central differences with that step, h^2 plus rounding / h
ROUNDING = 1e-11

TARGET = one_hop_target(parse("grid:4x5"))
N = len(TARGET)
WEIGHTS = {
    "ones": np.ones(N),
    "uneven": np.random.default_rng(0).uniform(0.5, 2.0, N),
    "zeros": np.random.default_rng(0).uniform(0.5, 2.0, N) * (np.arange(N) % 3 > 0),
}
KINDS = {"tied": (TiedObjective, 0.1), "tied with masses": (TiedObjective, 0.0), "untied": (UntiedObjective, 0.1)}


def make(kind, weights="uneven", smoothing=0.0, target=TARGET):
    form, decay = KINDS[kind]
    return form(target_parts(SmoothedTarget(sp.csr_array(target), smoothing)), WEIGHTS[weights], decay)


def point(objective, seed, columns=4):
    rng = np.random.default_rng(seed)
    rows = objective.n * (2 if isinstance(objective, UntiedObjective) else 1)
    return 0.6 * rng.standard_normal((rows, columns)), rng.standard_normal(objective.n if objective.masses else 0)


def written_out(objective, f, b):
    """The objective from its definition, with the logits of (V, a)."""
    v, u = objective.halves(f)
    a = b - (f**2).sum(axis=1) / 2 if objective.masses else 0.0
    z = v @ u.T + a
    loss = objective.w @ (logsumexp(z, axis=1) - (objective.target.dense() * z).sum(axis=1))
    return loss + objective.decay * (f**2).sum() / (2 if isinstance(objective, UntiedObjective) else 1)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradient(kind, weights, smoothing):
    objective = make(kind, weights, smoothing)
    f, b = point(objective, 1)
    value, gf, gb = objective.evaluate(f, b)
    assert value == pytest.approx(written_out(objective, f, b), rel=1e-12)
    assert value - objective.penalty(f) == pytest.approx(written_out(objective, f, b) - objective.penalty(f), rel=1e-12)
    assert gf.shape == f.shape
    assert gb.shape == b.shape
    for seed in range(2, 6):
        df, db = point(objective, seed)
        ahead = objective.evaluate(f + STEP * df, b + STEP * db)[0]
        behind = objective.evaluate(f - STEP * df, b - STEP * db)[0]
        slope = float((gf * df).sum() + gb @ db)
        assert slope == pytest.approx((ahead - behind) / (2 * STEP), abs=SLOPE * abs(value), rel=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_each_entry_of_the_gradient(kind):
    objective = make(kind, smoothing=0.1)
    f, b = point(objective, 1, columns=2)
    value, gf, gb = objective.evaluate(f, b)
    for matrix, gradient in ((f, gf), (b, gb)):
        for index in np.ndindex(matrix.shape):
            kept = matrix[index]
            matrix[index] = kept + STEP
            ahead = objective.evaluate(f, b)[0]
            matrix[index] = kept - STEP
            behind = objective.evaluate(f, b)[0]
            matrix[index] = kept
            assert gradient[index] == pytest.approx((ahead - behind) / (2 * STEP), abs=10 * SLOPE * value)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_translation_and_a_constant_mass_change_nothing_without_decay(weights):
    objective = make("tied with masses", weights)
    f, b = point(objective, 1)
    value, gf, gb = objective.evaluate(f, b)
    moved = objective.evaluate(f + np.array([3.0, -2.0, 0.5, 1.0]), b + 7.0)
    assert moved[0] == pytest.approx(value, rel=ROUNDING)
    assert np.allclose(moved[1], gf, rtol=0, atol=1e-10)
    assert np.allclose(moved[2], gb, rtol=0, atol=1e-10)
    assert np.allclose(gf.sum(axis=0), 0, atol=1e-11)  # the gradient leaves the invariant directions alone
    assert gb.sum() == pytest.approx(0, abs=1e-11)
    centred = objective.centred(f + 3.0, b + 7.0)
    assert np.allclose(centred[0].mean(axis=0), 0, atol=1e-13)
    assert objective.evaluate(*centred)[0] == pytest.approx(value, rel=ROUNDING)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotation_turns_the_gradient(kind):
    objective = make(kind)
    f, b = point(objective, 1)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    value, gf, gb = objective.evaluate(f, b)
    turned = objective.evaluate(f @ turn, b)
    assert turned[0] == pytest.approx(value, rel=ROUNDING)
    assert np.allclose(turned[1], gf @ turn, atol=1e-12)
    assert np.allclose(turned[2], gb, atol=1e-12)


def test_the_masses_are_the_bias_of_a_gaussian_kernel():
    objective = make("tied with masses")
    f, b = point(objective, 1)
    z = f @ f.T + objective.column_bias(f, b)
    kernel = b - ((f[:, None] - f[None]) ** 2).sum(axis=2) / 2
    assert np.allclose(z - logsumexp(z, axis=1)[:, None], kernel - logsumexp(kernel, axis=1)[:, None], atol=1e-12)
    for kind in ("tied", "untied"):
        assert make(kind).column_bias(*point(make(kind), 1)) is None


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_start_is_of_the_asked_rank_and_a_step_along_it_descends(kind, smoothing):
    objective = make(kind, smoothing=smoothing)
    for rank in (1, 5, N):
        f, b = objective.start(rank)
        assert f.shape[1] == rank
        assert b.shape == (N if objective.masses else 0,)
        assert np.isfinite(f).all()
    f, b = objective.start(1)
    assert objective.evaluate(0.3 * f, b)[0] < objective.evaluate(0 * f, b)[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_start_by_lanczos_spans_what_the_dense_one_does(monkeypatch, kind, smoothing):
    objective = make(kind, smoothing=smoothing)
    dense = objective.start(3)[0]
    monkeypatch.setattr("fiedler.theory.optimum.objectives.DENSE_SPECTRUM", 0)
    iterated = objective.start(3)[0]
    # Not all of it: the tolerance of the iteration is loose, and the third is near the fourth.
    assert np.linalg.norm(np.linalg.qr(dense)[0].T @ np.linalg.qr(iterated)[0][:, :1]) > 0.99


def test_the_first_number_of_columns():
    ranks = [start_rank(n) for n in range(1, 20_000)]
    assert ranks[:FULL_RANK_LIMIT] == list(range(1, FULL_RANK_LIMIT + 1))
    assert all(1 <= rank <= min(n, MOST_COLUMNS) for n, rank in enumerate(ranks, start=1) if n > FULL_RANK_LIMIT)
