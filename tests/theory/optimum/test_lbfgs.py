"""L-BFGS over a factor whose columns are turned, dropped and added while it runs."""

import numpy as np
import pytest

from fiedler.theory import one_hop_target, parse, tied_optimum
from fiedler.theory.optimum.lbfgs import LBFGS, MEMORY, Pairs
from fiedler.theory.optimum.objectives import TiedObjective
from fiedler.theory.optimum.preconditioner import laplacian_inverse
from fiedler.theory.optimum.target_parts import target_parts

TARGET = one_hop_target(parse("florentine"))
N = len(TARGET)


def quadratic(rows, columns, masses, seed=0):
    """1/2 x'Ax - c'x over (F, b) with a condition number of a million, and its minimiser."""
    rng = np.random.default_rng(seed)
    size = rows * columns + masses
    turn = np.linalg.qr(rng.standard_normal((size, size)))[0]
    a = (turn * np.logspace(-3, 3, size)) @ turn.T
    best = rng.standard_normal(size)

    def evaluate(f, b):
        miss = np.concatenate([f.ravel(), b]) - best
        slope = a @ miss
        return 0.5 * float(miss @ slope), slope[: rows * columns].reshape(rows, columns), slope[rows * columns :]

    return evaluate, a, best


def graph_descent(decay=0.0, steps=0, columns=6):
    objective = TiedObjective(target_parts(TARGET), np.ones(N), decay)
    descent = LBFGS(objective.evaluate, *objective.start(columns), laplacian_inverse(objective))
    for _ in range(steps):
        descent.step()
    return objective, descent


def run(descent, steps):
    for _ in range(steps):
        descent.step()
        if descent.stalled:
            break


@pytest.mark.parametrize("masses", [0, 5])
def test_a_quadratic_is_solved(masses):
    evaluate, _, best = quadratic(4, 3, masses)
    descent = LBFGS(evaluate, np.zeros((4, 3)), np.zeros(masses), lambda f, b: (f, b))
    values = [descent.value]
    for _ in range(2000):
        descent.step()
        values.append(descent.value)
    assert (np.diff(values) <= 1e-14 * values[0]).all()
    assert descent.value < 1e-12 * values[0]
    assert np.allclose(np.concatenate([descent.f.ravel(), descent.b]), best, atol=1e-3)
    assert descent.gradient_norm == pytest.approx(0, abs=1e-4)
    assert len(descent.pairs) <= MEMORY


def test_the_inverse_hessian_as_preconditioner_solves_it_in_a_step():
    evaluate, a, best = quadratic(4, 3, 5)
    inverse = np.linalg.inv(a)

    def newton(df, db):
        x = inverse @ np.concatenate([df.ravel(), db])
        return x[:12].reshape(4, 3), x[12:]

    descent = LBFGS(evaluate, np.zeros((4, 3)), np.zeros(5), newton)
    descent.step()
    assert np.allclose(np.concatenate([descent.f.ravel(), descent.b]), best, atol=1e-8)
    # The scale is found from the last pair: the inverse of twice the Hessian does as well from the second step on.
    late = LBFGS(evaluate, np.zeros((4, 3)), np.zeros(5), lambda df, db: tuple(x / 1000 for x in newton(df, db)))
    run(late, 2)
    assert np.allclose(np.concatenate([late.f.ravel(), late.b]), best, atol=1e-6)


def test_a_new_preconditioner_is_scaled_to_the_last_pair():
    evaluate, _, _ = quadratic(4, 3, 5)
    descent = LBFGS(evaluate, np.zeros((4, 3)), np.zeros(5), lambda f, b: (f, b))
    run(descent, 10)
    gamma = descent.gamma
    descent.replace_preconditioner(lambda f, b: (100 * f, 100 * b))
    assert descent.gamma == pytest.approx(gamma / 100, rel=1e-12)
    descent.pairs = Pairs()
    descent.replace_preconditioner(lambda f, b: (f, b))
    assert descent.gamma == 1


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_a_rotation_changes_neither_the_value_nor_the_steps_to_come(decay):
    _, plain = graph_descent(decay, steps=12)
    objective, turned = graph_descent(decay, steps=12)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    turned.rotate(turn)
    assert objective.evaluate(turned.f, turned.b)[0] == pytest.approx(plain.value, rel=1e-13)
    assert np.allclose(turned.df, objective.evaluate(turned.f, turned.b)[1], atol=1e-12)
    assert len(turned.pairs) == len(plain.pairs)
    for _ in range(8):
        plain.step()
        turned.step()
        assert turned.value == pytest.approx(plain.value, rel=1e-10)
    assert np.allclose(turned.f, plain.f @ turn, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_columns_of_zeros_change_nothing_and_go_again(decay):
    _, plain = graph_descent(decay, steps=12)
    objective, wide = graph_descent(decay, steps=12)
    wide.append(np.zeros((N, 3)))
    wide.move(wide.f, wide.b)
    assert wide.f.shape == wide.df.shape == (N, 9)
    assert wide.value == pytest.approx(plain.value, rel=1e-13)
    for _ in range(4):
        plain.step()
        wide.step()
        assert wide.value == pytest.approx(plain.value, rel=1e-10)
    wide.rotate(np.eye(9)[:, :6])
    assert wide.f.shape == wide.df.shape == (N, 6)
    assert objective.evaluate(wide.f, wide.b)[0] == pytest.approx(plain.value, rel=1e-10)
    for _ in range(4):
        plain.step()
        wide.step()
        assert wide.value == pytest.approx(plain.value, rel=1e-9)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_it_converges_through_changes_of_the_columns(decay):
    best = tied_optimum(TARGET, weight_decay=decay, tolerance=0).objective
    objective, descent = graph_descent(decay, columns=3)
    rng = np.random.default_rng(0)
    for _ in range(12):
        run(descent, 40)
        before = descent.value
        _, _, turn = np.linalg.svd(descent.f, full_matrices=False)
        descent.rotate(turn.T)
        descent.move(descent.f, descent.b)
        assert descent.value == pytest.approx(before, rel=1e-12)
        if descent.f.shape[1] < N:
            descent.append(1e-3 * rng.standard_normal((N, 2)))
            descent.move(descent.f, descent.b)
        descent.replace_preconditioner(laplacian_inverse(objective))
    run(descent, 300)
    assert descent.value == pytest.approx(best, rel=1e-8)


def test_a_minimum_stalls_and_loses_its_memory():
    _, descent = graph_descent(0.05, steps=4)
    descent.move(np.zeros_like(descent.f), descent.b, keep=False)  # stationary: the gradient is zero
    assert not len(descent.pairs)
    descent.step()
    assert descent.stalled
    before = descent.value
    descent.step()
    assert descent.value == before
    descent.move(descent.f + 0.1, descent.b)
    assert not descent.stalled
    descent.step()
    assert not descent.stalled


def test_a_direction_that_does_not_descend_is_given_up():
    evaluate, _, _ = quadratic(4, 3, 0)
    descent = LBFGS(evaluate, np.zeros((4, 3)), np.zeros(0), lambda f, b: (f, b))
    run(descent, 5)
    f, value = descent.f.copy(), descent.value
    descent.replace_preconditioner(lambda df, db: (-1e3 * df, -1e3 * db))
    run(descent, 30)
    assert descent.value <= value
    assert np.isfinite(descent.f).all()
    assert descent.stalled or not np.array_equal(descent.f, f)
