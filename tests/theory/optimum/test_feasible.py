"""Strictly feasible points of the dual: Q = T + W^-1 Lap(b)."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigvalsh

from fiedler.theory import from_networkx, one_hop_target, parse
from fiedler.theory.optimum import feasible
from fiedler.theory.optimum.feasible import circulation, laplacian_of, with_column_sums

ROUNDING = 1e-12


def directed(seed, n=12):
    """A directed cycle with chords and weights: strongly connected, and hardly an arc has a partner."""
    rng = np.random.default_rng(seed)
    a = np.roll(np.eye(n), 1, axis=1) * rng.uniform(0.1, 2.0, (n, 1))
    for _ in range(n // 2):
        i, j = rng.integers(0, n, 2)
        a[i, j] += rng.uniform(0.1, 2.0)
    return a / a.sum(axis=1, keepdims=True)


def weighted(seed):
    graph = nx.barabasi_albert_graph(15, 2, seed=seed)
    rng = np.random.default_rng(seed)
    nx.set_edge_attributes(graph, {edge: float(10 ** rng.uniform(-3, 3)) for edge in graph.edges}, "weight")
    return one_hop_target(from_networkx(graph))


TARGETS = {
    **{word: one_hop_target(parse(word)) for word in ("cycle:15", "path-star:4x5", "grid:4x4", "karate", "cycle:3")},
    "self-edges": one_hop_target(parse("path-star:4x5"), self_edges=True),
    "six decades": weighted(0),
    "directed cycle": np.roll(np.eye(7), 1, axis=1),
    "directed": directed(0),
    "directed too": directed(1),
}


def weights(n, kind):
    rng = np.random.default_rng(3)
    return {"even": np.ones(n), "uneven": rng.uniform(0.2, 3.0, n), "decades": 10 ** rng.uniform(-3, 3, n)}[kind]


def check(target, w, decay):
    n = len(target)
    flow = circulation(sp.csr_array(w[:, None] * target), w, decay)
    assert flow is not None
    b = flow.toarray()
    plan = w[:, None] * target
    assert (b >= 0).all()
    assert not b.diagonal().any()
    assert (b <= plan * (1 + ROUNDING)).all()  # no more flows along an arc than it has
    assert np.allclose(b.sum(axis=0), b.sum(axis=1), rtol=1e-9, atol=ROUNDING * b.max())
    laplacian = laplacian_of(flow).toarray()
    assert np.allclose(laplacian, np.diag(b.sum(axis=1)) - b)
    q = target + laplacian / w[:, None]
    assert (q >= -ROUNDING).all()
    assert np.allclose(q.sum(axis=1), 1, rtol=0, atol=ROUNDING)
    if decay == 0:
        assert np.allclose(w @ q, w @ target, rtol=1e-9, atol=ROUNDING * w.max())
    s = w[:, None] * (target - q)
    s = (s + s.T) / 2
    values = eigvalsh(s)
    assert values[-1] <= ROUNDING * max(1.0, np.abs(values[0]))  # S(Q) <= 0
    if decay == 0:
        # Strictly, but for the constant: of n eigenvalues one is zero.
        outside = eigvalsh(s - np.ones((n, n)) * np.abs(values[0]))
        assert outside[-1] < 0


@pytest.mark.parametrize("kind", ["even", "uneven", "decades"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", TARGETS)
def test_q_is_feasible(name, decay, kind):
    target = TARGETS[name]
    check(target, weights(len(target), kind), decay)


@st.composite
def strong_targets(draw):
    n = draw(st.integers(2, 10))
    arcs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=2 * n))
    a = np.roll(np.eye(n), 1, axis=1)
    for i, j in arcs:
        a[i, j] += draw(st.floats(1e-3, 1e3))
    return a / a.sum(axis=1, keepdims=True)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(strong_targets(), st.sampled_from(["even", "uneven", "decades"]), st.sampled_from([0.0, 0.1]))
def test_every_strongly_connected_target_has_one(target, kind, decay):
    check(target, weights(len(target), kind), decay)


def test_there_is_none_where_the_arcs_do_not_connect():
    apart = np.kron(np.eye(2), np.ones((3, 3)) / 3)
    one_way = np.array([[0, 1, 0], [0, 0.5, 0.5], [0, 1, 0]])  # no way back to node 0
    for target in (apart, one_way):
        n = len(target)
        assert circulation(sp.csr_array(target), np.ones(n), 0.0) is None
        check(target, np.ones(n), 0.1)  # with decay every b does


# Rows that do not sum to one: the sparse part of a smoothed target.
def test_the_rows_of_the_sparse_part_of_a_smoothed_target():
    for target in (TARGETS["directed cycle"], TARGETS["directed"]):
        w = weights(len(target), "uneven")
        b = circulation(sp.csr_array(w[:, None] * 0.9 * target), w, 0.0).toarray()
        assert np.allclose(b.sum(axis=0), b.sum(axis=1), rtol=1e-9, atol=ROUNDING)


@pytest.mark.parametrize("steps", [0, 1, 30])
@pytest.mark.parametrize("kind", ["even", "uneven", "decades"])
def test_column_sums_are_exact_after_any_number_of_newton_steps(kind, steps, monkeypatch):
    monkeypatch.setattr(feasible, "NEWTON_STEPS", steps)
    target = TARGETS["karate"]
    n, w = len(target), weights(len(target), kind)
    rng = np.random.default_rng(0)
    columns = w @ target
    for scale in (0.0, 1.0, 30.0):
        p = np.exp(scale * rng.standard_normal((n, n)))
        p /= p.sum(axis=1, keepdims=True)
        found = with_column_sums(p, w, columns)
        assert (found >= 0).all()
        assert np.allclose(found.sum(axis=1), 1, rtol=0, atol=ROUNDING)
        assert np.allclose(w @ found, columns, rtol=0, atol=ROUNDING * w.sum())
    again = with_column_sums(target, w, columns)  # what is right already is left alone
    assert np.allclose(again, target, atol=1e-14)
