"""The two solvers over the blocks of a symmetry, each on its own."""

import numpy as np
import pytest
from scipy.linalg import eigvalsh

from fiedler.theory import graph_symmetry, parse
from fiedler.theory.symmetry.factor_descent import descend
from fiedler.theory.symmetry.interior_point import FINAL_BARRIER, minimise_over_blocks
from fiedler.theory.symmetry.problem import ReducedProblem, smat, svec

STEP = 1e-5
SLOPE = 1e-7  # central differences with that step of functions of order one
# mu M^-1 where M is singular to rounding: the duals only tell which directions belong to M.
DUAL = 1e-2
STATIONARY = 1e-9  # of the reduced objective, which is of order one


def problem(word, decay, *, tied=True, family=True):
    symmetry = graph_symmetry(parse(word), family=family)
    types = len(symmetry.algebra.type_sizes)
    return ReducedProblem(symmetry.algebra, symmetry.target(), np.ones(types), decay, tied=tied)


def random_point(p, seed):
    rng = np.random.default_rng(seed)
    blocks = [(lambda f: f @ f.T)(rng.standard_normal((d, d)) / np.sqrt(d)) for d in p.dimensions]
    return p.join(blocks, 0.1 * rng.standard_normal(p.bias_frame.shape[1]))


def test_symmetric_vectors():
    rng = np.random.default_rng(0)
    a, b = (x + x.T for x in rng.standard_normal((2, 5, 5)))
    assert svec(a) @ svec(b) == pytest.approx((a * b).sum(), rel=1e-14)
    assert np.allclose(smat(svec(a)), a)


@pytest.mark.parametrize(
    ("word", "decay", "tied"),
    [("path-star:4x5", 0.0, True), ("grid:3x4", 0.1, True), ("path-star:4x5", 0.1, False), ("petersen", 0.2, False)],
)
def test_derivatives_of_the_reduced_objective(word, decay, tied):
    p = problem(word, decay, tied=tied)
    y, dy = random_point(p, 1), random_point(p, 2)
    slope = (p.value(y + STEP * dy) - p.value(y - STEP * dy)) / (2 * STEP)
    assert p.gradient(y) @ dy == pytest.approx(slope, abs=SLOPE)
    bend = (p.gradient(y + STEP * dy) - p.gradient(y - STEP * dy)) / (2 * STEP)
    assert np.allclose(p.hessian(y) @ dy, bend, rtol=0, atol=SLOPE)


@pytest.mark.parametrize(("word", "decay"), [("petersen", 0.0), ("path-star:4x5", 0.0), ("grid:3x4", 0.1)])
def test_the_interior_point_and_the_descent_meet(word, decay):
    p = problem(word, decay)
    blocks, duals, free = minimise_over_blocks(p)
    for m, z, nu, piece in zip(blocks, duals, p.weights, p.pieces, strict=True):
        if not len(m):  # all of a trivial block of one type is the constant vector
            continue
        assert eigvalsh(m).min() > 0
        assert eigvalsh(z).min() > 0
        assert np.allclose(m @ z, (m @ z)[0, 0] * np.eye(len(m)), atol=1e-8)  # on the central path
        assert (m @ z)[0, 0] >= FINAL_BARRIER / 10
        slack = smat(p.gradient(p.join(blocks, free))[piece]) / nu
        assert np.allclose(slack, z, rtol=0, atol=DUAL)
    factors, other = descend(p)
    inner, outer = p.value(p.join(blocks, free)), p.value(p.join([f @ f.T for f in factors], other))
    assert inner == pytest.approx(outer, abs=1e-9)
    assert inner >= outer - 1e-12  # the barrier keeps it inside


@pytest.mark.parametrize("tied", [True, False])
def test_the_descent_is_stationary_and_does_not_depend_on_the_start(tied):
    p = problem("path-star:4x5", 0.05, tied=tied)
    rng = np.random.default_rng(3)
    starts = [None, [rng.standard_normal((d, d)) for d in p.dimensions]]
    values = []
    for start in starts:
        factors, _ = descend(p, start)
        y = p.join([f @ f.T for f in factors], np.zeros(0))
        slopes = p.slopes(p.gradient(y))
        for slope, f in zip(slopes, factors, strict=True):
            assert np.abs(slope @ f).max() < STATIONARY * 10
            assert eigvalsh(slope).min() > -1e-8
        values.append(p.value(y))
    assert values[0] == pytest.approx(values[1], rel=1e-11)


def test_a_problem_without_a_minimum_is_an_error():
    with pytest.raises(RuntimeError, match="the interior point did not arrive in 300 steps"):
        minimise_over_blocks(problem("path-star:5000x5", 0.01, tied=False))
