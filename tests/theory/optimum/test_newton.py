"""The dense Hessian against differences of the gradient, and Newton steps with it."""

import numpy as np
import pytest
import scipy.sparse as sp

from fiedler.theory import SmoothedTarget, one_hop_target, parse, tied_optimum, untied_optimum
from fiedler.theory.optimum.newton import (
    GOAL,
    _add_rotations,
    _along,
    _flat_gradient,
    gradient_norm,
    hessian,
    newton,
    unknowns,
)
from fiedler.theory.optimum.objectives import TiedObjective, UntiedObjective
from fiedler.theory.optimum.target_parts import target_parts

STEP = 1e-5
CURVATURE = 1e-8  # of the largest entry: central differences with that step

TARGET = one_hop_target(parse("path-star:3x4"))
N = len(TARGET)
WEIGHTS = {
    "even": np.ones(N),
    "uneven": np.random.default_rng(0).uniform(0.5, 2.0, N),
    "zeros": (np.arange(N) % 3 > 0) * 1.5,
}
KINDS = {"tied": (TiedObjective, 0.1), "tied with a bias": (TiedObjective, 0.0), "untied": (UntiedObjective, 0.1)}


def make(kind, weights="uneven", smoothing=0.0):
    form, decay = KINDS[kind]
    return form(target_parts(SmoothedTarget(sp.csr_array(TARGET), smoothing)), WEIGHTS[weights], decay)


def flat(objective, f, a):
    """Unknowns in the Hessian's order."""
    halves = [f] if isinstance(objective, TiedObjective) else [f[:N], f[N:]]
    return np.concatenate([half.T.ravel() for half in halves] + [a])


def shaped(objective, x, columns):
    halves = 1 if isinstance(objective, TiedObjective) else 2
    size = halves * N * columns
    f = np.concatenate([half.reshape(columns, N).T for half in np.split(x[:size], halves)])
    return f, x[size:]


def gradient(objective, f, a):
    """In (F, a), of the objective's in (F, b)."""
    b = a + (f * f).sum(axis=1) / 2 if objective.masses else a
    _, df, db = objective.evaluate(f, b)
    return _flat_gradient(objective, f, df, db)[0]


def point(objective, columns, seed=1):
    rng = np.random.default_rng(seed)
    rows = N * (2 if isinstance(objective, UntiedObjective) else 1)
    return 0.7 * rng.standard_normal((rows, columns)), rng.standard_normal(N if objective.masses else 0)


@pytest.mark.parametrize("columns", [0, 1, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_hessian_is_the_derivative_of_the_gradient(kind, weights, smoothing, columns):
    objective = make(kind, weights, smoothing)
    f, a = point(objective, columns)
    b = a + (f * f).sum(axis=1) / 2 if objective.masses else a
    h = hessian(objective, f, b)
    size = unknowns(objective, columns)
    assert h.shape == (size, size)
    if size == 0:
        return
    assert np.allclose(h, h.T, rtol=0, atol=1e-13 * np.abs(h).max())
    x, differences = flat(objective, f, a), np.empty((size, size))
    for k in range(size):
        ahead, behind = (
            gradient(objective, *shaped(objective, x + s * STEP * np.eye(size)[k], columns)) for s in (1, -1)
        )
        differences[k] = (ahead - behind) / (2 * STEP)
    assert np.allclose(h, differences, rtol=0, atol=CURVATURE * max(1.0, np.abs(h).max()))


@pytest.mark.parametrize("weights", ["even", "uneven"])
@pytest.mark.parametrize("kind", KINDS)
def test_from_near_the_optimum_it_converges_to_rounding(kind, weights, monkeypatch):
    objective = make(kind, weights)
    w = objective.w
    if kind == "untied":
        found = untied_optimum(TARGET, weight_decay=0.1, row_weight=w, tolerance=0)
        f, b, best = np.concatenate(found.factors), np.zeros(0), found.objective
    else:
        found = tied_optimum(TARGET, weight_decay=objective.decay, row_weight=w, tolerance=0)
        f, best = found.factor, found.objective
        b = found.bias + (f**2).sum(axis=1) / 2 if objective.masses else np.zeros(0)
    rng = np.random.default_rng(0)
    start, mass = f + 0.05 * rng.standard_normal(f.shape), b + 0.05 * rng.standard_normal(b.shape)
    calls, evaluate = [], objective.evaluate
    monkeypatch.setattr(objective, "evaluate", lambda *point: calls.append(1) or evaluate(*point))
    end = newton(objective, start, mass)
    assert len(calls) < 30
    assert gradient_norm(objective, *end) <= 10 * GOAL * objective.scale
    assert objective.evaluate(*end)[0] == pytest.approx(best, rel=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_it_never_raises_the_objective(kind):
    objective = make(kind)
    for seed in range(3):
        f, b = point(objective, 3, seed)
        assert objective.evaluate(*newton(objective, f, b))[0] < objective.evaluate(f, b)[0]


def test_no_steps_leave_the_point_alone():
    objective = make("tied")
    f, b = point(objective, 2)
    assert np.array_equal(newton(objective, f, b, steps=0)[0], f)


def test_the_check_is_asked():
    objective = make("tied")

    def check():
        raise KeyboardInterrupt

    objective.check = check
    with pytest.raises(KeyboardInterrupt):
        newton(objective, *point(objective, 2))


def test_a_long_step_keeps_the_part_of_the_gram_matrix_in_the_column_space():
    """FF' + FD' + DF' + NN' to third order, N the part of D outside the column space of F."""
    rng = np.random.default_rng(0)
    f, d = rng.standard_normal((N, 3)), rng.standard_normal((N, 3))
    basis = np.linalg.qr(f)[0]
    misses = []
    for size in (1e-1, 1e-2):
        step = size * d
        outside = step - basis @ (basis.T @ step)
        moved = _along(f, step)
        expected = f @ f.T + f @ step.T + step @ f.T + outside @ outside.T
        misses.append(np.abs(moved @ moved.T - expected).max())
    assert misses[1] < 2e-3 * misses[0]
    turn = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    turned = _along(f, 1e-2 * f @ turn)  # a rotation of the columns does not change the Gram matrix
    assert np.abs(turned @ turned.T - f @ f.T).max() < 1e-5
    assert _along(np.zeros((N, 0)), np.zeros((N, 0))).shape == (N, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_term_along_rotations_fixes_the_gauge_and_nothing_else(kind):
    objective = make(kind)
    f, a = point(objective, 3)
    b = a + (f * f).sum(axis=1) / 2 if objective.masses else a
    size = unknowns(objective, 3)
    term = np.zeros((size, size))
    _add_rotations(term, objective, f, 2.0)
    assert np.allclose(term, term.T, atol=1e-14)
    assert np.linalg.eigvalsh(term).min() > -1e-12
    assert np.linalg.matrix_rank(term, tol=1e-9) == 3  # pairs of columns
    slope = _flat_gradient(objective, f, *objective.evaluate(f, b)[1:])[0]
    assert np.allclose(term @ slope, 0, atol=1e-9)
    omega = np.array([[0.0, 1, 2], [-1, 0, 3], [-2, -3, 0]])
    turned = flat(objective, f @ omega, np.zeros(len(a)))
    assert turned @ term @ turned > 0.1 * turned @ turned
