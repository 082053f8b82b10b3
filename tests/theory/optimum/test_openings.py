"""Directions in which the optimality conditions are violated: found, of use, and not opened twice."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from fiedler.theory import SmoothedTarget, from_networkx, one_hop_target, parse, tied_optimum, untied_optimum
from fiedler.theory.optimum.objectives import TiedObjective, UntiedObjective
from fiedler.theory.optimum.openings import fading, openings, violated
from fiedler.theory.optimum.target_parts import target_parts

TARGET = one_hop_target(parse("path-star:4x5"))
N = len(TARGET)
W = np.random.default_rng(0).uniform(0.5, 2.0, N)
KINDS = {"tied": (TiedObjective, 0.05), "tied with masses": (TiedObjective, 0.0), "untied": (UntiedObjective, 0.05)}


def make(kind, smoothing=0.0):
    form, decay = KINDS[kind]
    return form(target_parts(SmoothedTarget(sp.csr_array(TARGET), smoothing)), W, decay)


def optimum(objective, smoothing=0.0):
    """(F, b) of the exact optimum."""
    target = (1 - smoothing) * TARGET + smoothing / N
    if isinstance(objective, UntiedObjective):
        found = untied_optimum(target, weight_decay=objective.decay, row_weight=W, tolerance=0)
        return np.concatenate(found.factors), np.zeros(0)
    found = tied_optimum(target, weight_decay=objective.decay, row_weight=W, tolerance=0)
    return found.factor, found.bias + (found.factor**2).sum(axis=1) / 2 if objective.masses else np.zeros(0)


def none_of(objective):
    return np.zeros((N * (2 if isinstance(objective, UntiedObjective) else 1), 0)), objective.start(1)[1]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("most", [1, 3, 10])
@pytest.mark.parametrize("kind", KINDS)
def test_from_nothing_a_step_along_them_descends(kind, most, smoothing):
    objective = make(kind, smoothing)
    f, b = none_of(objective)
    assert violated(objective, f, b)
    columns = openings(objective, f, b, most, dense=True)
    assert columns.shape[0] == len(f)
    assert 1 <= columns.shape[1] <= most
    before = objective.evaluate(f, b)[0]
    assert objective.evaluate(np.concatenate([f, columns], axis=1), b)[0] < before
    for column in columns.T:
        assert objective.evaluate(column[:, None], b)[0] < before
    if objective.masses:
        assert np.allclose(columns.mean(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", KINDS)
def test_at_the_optimum_there_is_none(kind, smoothing):
    objective = make(kind, smoothing)
    point = optimum(objective, smoothing)
    assert openings(objective, *point, 5, dense=True) is None
    assert not violated(objective, *point)


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_left_out_is_found_again(kind):
    objective = make(kind)
    f, b = optimum(objective)
    left, values, _ = np.linalg.svd(f, full_matrices=False)
    for k in range(int((values > 1e-3).sum())):
        rest = np.delete(left * values, k, axis=1)
        assert violated(objective, rest, b)
        columns = openings(objective, rest, b, 10, dense=True)
        assert columns is not None
        lower = objective.evaluate(np.concatenate([rest, columns], axis=1), b)[0]
        assert lower < objective.evaluate(rest, b)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_the_optimum_lacks_fade_and_its_own_do_not(kind):
    objective = make(kind)
    f, b = optimum(objective)
    left, values, _ = np.linalg.svd(f, full_matrices=False)
    f = (left * values)[:, values > 1e-3]
    tied = isinstance(objective, TiedObjective)
    p = objective.softmax(f, b)
    r = objective.residual(p)
    if tied:
        values, modes = np.linalg.eigh((r + r.T) / 2)
        worst = modes[:, [int(np.argmin(values))]]  # the largest slack
    else:
        worst = np.random.default_rng(0).standard_normal((2 * N, 1))
        worst[:N] -= f[:N] @ np.linalg.lstsq(f[:N], worst[:N], rcond=None)[0]
        worst /= np.linalg.norm(worst)
    small = np.concatenate([f, 1e-3 * worst, 0 * worst], axis=1)
    assert fading(objective, small, b).tolist() == [False] * f.shape[1] + [True, True]
    assert not fading(objective, small, b, doubt=1e12)[:-1].any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_growing_already_is_not_opened_again(kind):
    objective = make(kind)
    f, b = none_of(objective)
    first = openings(objective, f, b, 1, dense=True)
    assert openings(objective, 0.5 * first, b, 1, dense=True) is None  # still violated, but on its way
    assert violated(objective, 0.5 * first, b)
    small = openings(objective, 0.01 * first, b, 1, dense=True)  # not seen yet
    assert small is not None
    assert abs((first * small).sum()) / np.linalg.norm(first) / np.linalg.norm(small) > 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_directions_of_little_promise_are_left_for_later(kind):
    objective = make(kind)
    f, b = none_of(objective)
    every = openings(objective, f, b, 10, dense=True).shape[1]
    kept = [0 if found is None else found.shape[1] for found in
            (openings(objective, f, b, 10, dense=True, least=x) for x in np.logspace(-9, 3, 25))]  # fmt: skip
    assert kept[0] <= every
    assert kept[0] > 0
    assert kept[-1] == 0
    assert (np.diff(kept) <= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_lanczos_finds_what_the_dense_matrix_has(kind):
    graph = nx.barabasi_albert_graph(60, 2, seed=0)
    form, decay = KINDS[kind]
    target = one_hop_target(from_networkx(graph))
    objective = form(target_parts(target), np.ones(60), decay)
    f, b = objective.start(3)
    f = 0.3 * f
    dense, sparse = (openings(objective, f, b, 4, dense=way) for way in (True, False))
    before = objective.evaluate(f, b)[0]
    gains = [before - objective.evaluate(np.concatenate([f, one], axis=1), b)[0] for one in (dense, sparse)]
    assert dense.shape == sparse.shape
    assert gains[1] == pytest.approx(gains[0], rel=0.05)
    # The leading direction is the same but for its sign.
    cosine = (dense[:, 0] @ sparse[:, 0]) / np.linalg.norm(dense[:, 0]) / np.linalg.norm(sparse[:, 0])
    assert abs(cosine) > 0.99


@pytest.mark.parametrize("kind", ["tied", "tied with masses"])
def test_lanczos_finds_none_at_the_optimum(kind):
    objective = make(kind)
    point = optimum(objective)
    # Its softmax is of single precision, whose rounding promises 1e-14 or so.
    assert openings(objective, *point, 4, dense=False, least=1e-12 * objective.evaluate(*point)[0]) is None
