"""The factored objectives, their derivatives, and the Newton iteration over them."""

import numpy as np
import pytest
from scipy.linalg import svd

from fiedler.theory import one_hop_target, parse, tied_optimum, untied_optimum
from fiedler.theory.optimum.newton_cg import newton_cg
from fiedler.theory.optimum.objectives import TiedObjective, UntiedObjective

STEP = 1e-5
SLOPE = 1e-8  # central differences with that step of functions of order ten: h^2 plus rounding / h
CURVATURE = 1e-7  # the same of a gradient

WEIGHT = np.random.default_rng(0).uniform(0.5, 2.0, 12)
TARGET = one_hop_target(parse("grid:3x4"))
OBJECTIVES = {
    "tied": TiedObjective(TARGET, WEIGHT, 0.1, with_bias=False),
    "tied with bias": TiedObjective(TARGET, WEIGHT, 0.0, with_bias=True),
    "untied": UntiedObjective(TARGET, WEIGHT, 0.1),
}


def point(objective, seed, columns=4):
    rng = np.random.default_rng(seed)
    f, a = objective.start()
    f = 0.6 * rng.standard_normal((len(f), columns))
    if isinstance(objective, TiedObjective) and objective.with_bias:
        return objective.centre(f), objective.centre(rng.standard_normal(a.shape))
    return f, np.zeros_like(a)


def orthogonal(f):
    left, values, _ = svd(f, full_matrices=False)
    return left * values


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradient_and_hessian(name):
    objective = OBJECTIVES[name]
    f, a = point(objective, 1)
    df, da = point(objective, 2)
    value, gf, ga = objective.value_and_gradient(f, a)
    ahead = objective.value_and_gradient(f + STEP * df, a + STEP * da)
    behind = objective.value_and_gradient(f - STEP * df, a - STEP * da)
    slope = (gf * df).sum() + ga @ da
    assert slope == pytest.approx((ahead[0] - behind[0]) / (2 * STEP), abs=SLOPE * abs(value))
    hf, ha = objective.hessian(f, a)(df, da)
    assert np.allclose(hf, (ahead[1] - behind[1]) / (2 * STEP), rtol=0, atol=CURVATURE * np.abs(hf).max())
    if ha.size:
        assert np.allclose(ha, (ahead[2] - behind[2]) / (2 * STEP), rtol=0, atol=CURVATURE * np.abs(hf).max())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_preconditioner_is_symmetric_and_positive(name):
    objective = OBJECTIVES[name]
    f, a = point(objective, 3)
    f = orthogonal(f)
    apply = objective.preconditioner(f, a)
    x, y = point(objective, 4), point(objective, 5)
    px, py = apply(*x), apply(*y)
    assert (px[0] * y[0]).sum() + px[1] @ y[1] == pytest.approx((py[0] * x[0]).sum() + py[1] @ x[1], rel=1e-12)
    assert (px[0] * x[0]).sum() + px[1] @ x[1] > 0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_escape_direction_lowers_the_objective(name):
    objective = OBJECTIVES[name]
    f, a = objective.start()
    f = np.zeros((len(f), 1))  # a stationary point, far from optimal
    value, gf, _ = objective.value_and_gradient(f, np.zeros_like(a))
    assert not gf.any()
    direction = objective.escape_direction(f, np.zeros_like(a))
    assert direction is not None
    assert objective.value_and_gradient(np.concatenate([f, direction], axis=1), np.zeros_like(a))[0] < value


@pytest.mark.parametrize("name", OBJECTIVES)
def test_newton_steps_reach_the_optimum(name):
    objective = OBJECTIVES[name]

    def truncate(f):
        left, values, _ = svd(f, full_matrices=False)
        keep = values**2 > 1e-12 * max(1.0, values[0] ** 2)
        return left[:, keep] * values[keep]

    f, a = newton_cg(objective, *objective.start(), goal=1e-11, truncate=truncate)
    value, gf, ga = objective.value_and_gradient(f, a)
    assert np.sqrt((gf**2).sum() + ga @ ga) <= 1e-11 * objective.scale
    assert objective.escape_direction(f, a) is None
    if name == "untied":
        whole = untied_optimum(TARGET, weight_decay=0.1, row_weight=WEIGHT)
        expected = whole.loss + 0.1 * whole.singular_values.sum()
    else:
        decay = objective.decay
        whole = tied_optimum(TARGET, weight_decay=decay, row_weight=WEIGHT)
        expected = whole.loss + decay * np.trace(whole.gram)
    assert value == pytest.approx(expected, rel=1e-10)
