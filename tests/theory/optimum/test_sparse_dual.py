"""The dual bound without n x n arrays: never above the optimum, near the dense one."""

from functools import cache

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigh
from scipy.special import entr, softmax

from fiedler.theory import SmoothedTarget, from_networkx, one_hop_target, parse, tied_optimum, untied_optimum
from fiedler.theory.optimum import sparse_dual
from fiedler.theory.optimum.certificate import tied_dual_value, untied_certificate
from fiedler.theory.optimum.lbfgs import LBFGS
from fiedler.theory.optimum.objectives import TiedObjective, UntiedObjective
from fiedler.theory.optimum.preconditioner import laplacian_inverse
from fiedler.theory.optimum.sparse_dual import (
    largest_generalised,
    sparse_dual_value,
    sparse_softmax,
    sparse_untied_dual_value,
)
from fiedler.theory.optimum.target_parts import target_parts

ROUNDING = 1e-10
NEAR = 0.5  # of the dense gap

TARGETS = {
    "florentine": one_hop_target(parse("florentine")),
    "grid": one_hop_target(parse("grid:4x4")),
    "scale-free": one_hop_target(from_networkx(nx.barabasi_albert_graph(30, 2, seed=1))),
    "directed cycle": np.roll(np.eye(14), 1, axis=1),
}


def weights(n, uneven):
    return np.random.default_rng(0).uniform(0.3, 3.0, n) if uneven else np.ones(n)


@cache
def settings_of(name, decay, smoothing=0.0, uneven=False):
    """The objective, a point near its optimum, and the value there, which no bound may exceed."""
    sparse = SmoothedTarget(sp.csr_array(TARGETS[name]), smoothing)
    w = weights(len(TARGETS[name]), uneven)
    objective = TiedObjective(target_parts(sparse), w, decay)
    found = tied_optimum(sparse, weight_decay=decay, row_weight=w, tolerance=1e-9)
    b = found.bias + (found.factor**2).sum(axis=1) / 2 if objective.masses else np.zeros(0)
    return objective, found.factor, b, found.objective


def moved(objective, f, b, size, seed=0):
    rng = np.random.default_rng(seed)
    return f + size * rng.standard_normal(f.shape), b + size * rng.standard_normal(b.shape)


def dense_value(objective, f, b):
    a = objective.column_bias(f, b)
    p = softmax(f @ f.T + (0.0 if a is None else a), axis=1)
    return tied_dual_value(objective.target.dense(), objective.w, objective.decay, p)


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("name", TARGETS)
def test_it_is_finite_and_below_the_optimum(name, decay, smoothing, uneven):
    objective, f, b, best = settings_of(name, decay, smoothing, uneven)
    for size in (0.0, 0.01, 0.1):
        value = sparse_dual_value(objective, *moved(objective, f, b, size))
        assert np.isfinite(value)
        assert value <= best * (1 + ROUNDING)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_it_is_near_the_dense_value(decay, smoothing):
    """Of 300 nodes and as many steps of Lanczos' method, whose bound takes part^2 of the range of eigenvalues."""
    target = one_hop_target(from_networkx(nx.barabasi_albert_graph(300, 2, seed=1)))
    objective = TiedObjective(target_parts(SmoothedTarget(sp.csr_array(target), smoothing)), np.ones(300), decay)
    descent = LBFGS(objective.evaluate, *objective.start(20), laplacian_inverse(objective))
    for _ in range(60):
        descent.step()
    sparse, dense = (value(objective, descent.f, descent.b) for value in (sparse_dual_value, dense_value))
    assert dense < descent.value
    assert sparse < descent.value  # it may be above the dense one, which repairs nothing here
    assert dense - sparse < NEAR * (descent.value - dense)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("part", [0.6, 0.3, 0.1, 0.0])
def test_a_background_makes_it_weaker_and_never_wrong(monkeypatch, part, decay, smoothing):
    objective, f, b, best = settings_of("scale-free", decay, smoothing)
    full = sparse_dual_value(objective, f, b)
    monkeypatch.setattr(sparse_dual, "MOST_ENTRIES", max(1, int(part * objective.n**2)))
    for size in (0.0, 0.1, 1.0):
        assert sparse_dual_value(objective, *moved(objective, f, b, size)) <= best * (1 + ROUNDING)
    found = sparse_dual_value(objective, f, b)
    assert found < full - 1e-9 * best  # something was averaged
    if part >= 0.3:
        assert best - found < 0.2 * best


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("name", ["florentine", "grid"])
def test_untied(monkeypatch, name, uneven, smoothing):
    sparse = SmoothedTarget(sp.csr_array(TARGETS[name]), smoothing)
    n, decay = len(TARGETS[name]), 0.1
    w = weights(n, uneven)
    objective = UntiedObjective(target_parts(sparse), w, decay)
    found = untied_optimum(sparse, weight_decay=decay, row_weight=w, tolerance=1e-9)
    f, none = np.concatenate(found.factors), np.zeros(0)
    for size in (0.0, 0.01, 0.1, 1.0):
        point, _ = moved(objective, f, none, size)
        value = objective.evaluate(point, none)[0]
        dense = value - untied_certificate(objective.target.dense(), w, decay, point).duality_gap
        bound = sparse_untied_dual_value(objective, point, none)
        assert bound <= found.objective * (1 + ROUNDING)
        assert bound <= dense + 1e-6 * found.objective
    monkeypatch.setattr(sparse_dual, "MOST_ENTRIES", n * n // 3)
    assert sparse_untied_dual_value(objective, f, none) <= found.objective * (1 + ROUNDING)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(10, 25), st.integers(0, 10**6), st.sampled_from([0.0, 0.02, 0.3]), st.floats(0.0, 3.0))
def test_it_is_below_the_objective_of_every_point(n, seed, decay, size):
    """Weak duality, with no optimum needed: the bound of one point is below the value of any other."""
    graph = nx.random_labeled_tree(n, seed=seed)
    rng = np.random.default_rng(seed)
    graph.add_edges_from((int(i), int(j)) for i, j in rng.integers(0, n, (n // 2, 2)) if i != j)
    objective = TiedObjective(target_parts(one_hop_target(from_networkx(graph))), rng.uniform(0.3, 3, n), decay)
    f, b = objective.start(4)
    bounds, values = [], []
    for k in range(3):
        point = moved(objective, f, b, size, seed + k)
        bounds.append(sparse_dual_value(objective, *point))
        values.append(objective.evaluate(*point)[0])
    assert max(bounds) <= min(values) * (1 + ROUNDING)


@pytest.mark.parametrize("part", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("uneven", [False, True])
def test_the_softmax_is_stochastic_and_has_its_column_sums(monkeypatch, part, uneven):
    target = TARGETS["scale-free"]
    n, w = len(target), weights(len(target), uneven)
    monkeypatch.setattr(sparse_dual, "MOST_ENTRIES", max(1, int(part * n * n)))
    rng = np.random.default_rng(0)
    v, c = rng.standard_normal((n, 3)), rng.standard_normal(n)
    dense = softmax(v @ v.T + c, axis=1)
    p = sparse_softmax(v, v, c, w, lambda: None)
    whole = p.stored.toarray() + np.outer(p.rest, p.background)
    assert (whole >= 0).all()
    assert p.stored.nnz <= max(1, part * n * n) * 1.1 + n
    assert np.allclose(whole.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert np.allclose(w @ whole, w @ dense, rtol=1e-5)
    stored = p.stored.toarray() > 0
    assert np.allclose(whole[stored & (np.outer(p.rest, p.background) == 0)],
                       dense[stored & (np.outer(p.rest, p.background) == 0)], rtol=1e-4)  # fmt: skip
    x = rng.standard_normal(n)
    assert np.allclose(p.times(x), whole @ x, atol=1e-12)
    assert np.allclose(p.transpose_times(x), whole.T @ x, atol=1e-12)
    exact = sparse_dual._with_column_sums(p, w, w @ target, lambda: None)
    fixed = exact.stored.toarray() + np.outer(exact.rest, exact.background)
    assert (fixed >= 0).all()
    assert np.allclose(w @ fixed, w @ target, rtol=0, atol=1e-11)
    assert np.allclose(fixed.sum(axis=1), 1, rtol=0, atol=1e-11)


@pytest.mark.parametrize("uniform", [0.0, 0.01])
def test_the_entropy_is_that_of_the_whole_rows(uniform):
    rng = np.random.default_rng(0)
    n = 40
    stored = sp.random_array((n, n), density=0.2, rng=rng, format="csr")
    rest, background, w = rng.random(n), rng.dirichlet(np.ones(n)), rng.random(n)
    whole = stored.toarray() + np.outer(rest, background) + uniform
    expected = float(w @ entr(whole).sum(axis=1))
    assert sparse_dual._entropy(sp.csr_array(stored), rest, background, np.full(n, uniform), w) == pytest.approx(
        expected, rel=1e-12
    )


@pytest.mark.parametrize("front", [3000, 0])  # a factorisation, conjugate gradients
@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_the_largest_eigenvalue_is_never_missed(monkeypatch, seed, singular, front):
    monkeypatch.setattr(sparse_dual, "MOST_FRONT", front)
    n, rng = 150, np.random.default_rng(seed)
    graph = nx.random_labeled_tree(n, seed=seed)
    laplacian = nx.laplacian_matrix(graph).astype(float)
    slack = sp.csr_array(laplacian + (0 if singular else 0.1) * sp.eye_array(n))
    matrix = rng.standard_normal((n, n))
    matrix = matrix + matrix.T
    if singular:
        matrix -= matrix.mean(axis=0)
        matrix -= matrix.mean(axis=1, keepdims=True)
        metric = slack.toarray() + 1.0 / n
    else:
        metric = slack.toarray()
    values = eigh(matrix, metric, eigvals_only=True)
    found = largest_generalised(lambda x: matrix @ x, slack, sparse_dual._solver(slack, singular))
    assert found >= values[-1] - 1e-8 * np.abs(values).max()
    assert found <= values[-1] + 0.2 * (values[-1] - values[0])
    below = largest_generalised(lambda x: matrix @ x - (values[-1] + 1) * (metric @ x - (x.mean() if singular else 0)),
                                slack, sparse_dual._solver(slack, singular))  # fmt: skip
    assert below >= -1 - 1e-8 * np.abs(values).max()


def test_a_smoothed_directed_cycle():
    smoothed = SmoothedTarget(sp.csr_array(np.roll(np.eye(10), 1, axis=1)), 0.1)
    objective = TiedObjective(target_parts(smoothed), np.ones(10), 0.0)
    best = tied_optimum(smoothed, tolerance=1e-9)
    b = best.bias + (best.factor**2).sum(axis=1) / 2
    for size in (0.01, 0.03):
        assert sparse_dual_value(objective, *moved(objective, best.factor, b, size)) <= best.objective * (1 + ROUNDING)


@pytest.mark.parametrize("part", [1.0, 0.3])
def test_on_a_star_only_the_column_sums_are_wrong(monkeypatch, part):
    """The softmax of zero logits violates no eigenvalue there, and its entropy is far above the optimum."""
    target = one_hop_target(from_networkx(nx.star_graph(14)))
    monkeypatch.setattr(sparse_dual, "MOST_ENTRIES", int(part * 15**2))
    objective = TiedObjective(target_parts(sp.csr_array(target)), np.ones(15), 0.0)
    best = tied_optimum(target, tolerance=1e-10).objective
    for scale in (0.0, 0.5):
        b = scale * np.random.default_rng(0).standard_normal(15)
        value = sparse_dual_value(objective, np.zeros((15, 1)), b)
        assert 0 < value <= best * (1 + ROUNDING)


def test_smoothing_joins_components():
    apart = one_hop_target(from_networkx(nx.disjoint_union(nx.cycle_graph(9), nx.path_graph(8))))
    smoothed = SmoothedTarget(sp.csr_array(apart), 0.1)
    objective = TiedObjective(target_parts(smoothed), np.ones(17), 0.0)
    f, b = objective.start(5)
    assert np.isfinite(dense_value(objective, f, b))
    assert np.isfinite(sparse_dual_value(objective, f, b))
