"""The approximate inverses are symmetric, positive, and what their equations say."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from fiedler.theory import SmoothedTarget, from_networkx, one_hop_target
from fiedler.theory.optimum.objectives import TiedObjective, UntiedObjective
from fiedler.theory.optimum.preconditioner import SHIFT, laplacian_inverse, slack_inverse
from fiedler.theory.optimum.target_parts import target_parts

TARGET = one_hop_target(from_networkx(nx.barabasi_albert_graph(40, 2, seed=0)))
N = len(TARGET)
WEIGHTS = {
    "even": np.ones(N),
    "six decades": 10 ** np.random.default_rng(0).uniform(-3, 3, N),
    "zeros": (np.arange(N) % 4 > 0) * 1.0,
}
KINDS = {"tied": (TiedObjective, 0.1), "tied with masses": (TiedObjective, 0.0), "untied": (UntiedObjective, 0.1)}
COLUMNS = 5


def make(kind, weights="even", smoothing=0.0):
    form, decay = KINDS[kind]
    return form(target_parts(SmoothedTarget(sp.csr_array(TARGET), smoothing)), WEIGHTS[weights], decay)


def point(objective, seed):
    """A point or a direction; without decay centred, as every gradient is."""
    rng = np.random.default_rng(seed)
    rows = objective.n * (2 if isinstance(objective, UntiedObjective) else 1)
    f, b = rng.standard_normal((rows, COLUMNS)), rng.standard_normal(objective.n if objective.masses else 0)
    return objective.centred(f, b)


def inverses(objective):
    yield laplacian_inverse(objective)
    yield slack_inverse(objective, *point(objective, 7))
    yield slack_inverse(objective, *objective.start(COLUMNS))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_symmetric_and_positive_definite(kind, weights, smoothing):
    objective = make(kind, weights, smoothing)
    for apply in inverses(objective):
        for seed in range(4):
            x, y = point(objective, seed), point(objective, seed + 100)
            kept = x[0].copy(), x[1].copy()
            px, py = apply(*x), apply(*y)
            assert px[0].shape == x[0].shape
            assert px[1].shape == x[1].shape
            xy, yx = (px[0] * y[0]).sum() + px[1] @ y[1], (py[0] * x[0]).sum() + py[1] @ x[1]
            xx, yy = (px[0] * x[0]).sum() + px[1] @ x[1], (py[0] * y[0]).sum() + py[1] @ y[1]
            assert xx > 0
            assert yy > 0
            assert abs(xy - yx) <= 1e-9 * np.sqrt(xx * yy)
            assert np.array_equal(kept[0], x[0])  # the argument is left alone
            assert np.array_equal(kept[1], x[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotation_of_the_columns_commutes_with_it(kind):
    objective = make(kind)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((COLUMNS, COLUMNS)))[0]
    f, b = point(objective, 1)
    x, mass = point(objective, 2)
    plain, turned = slack_inverse(objective, f, b), slack_inverse(objective, f @ turn, b)
    assert np.allclose(turned(x @ turn, mass)[0], plain(x, mass)[0] @ turn, atol=1e-9)
    same = laplacian_inverse(objective)
    assert np.allclose(same(x @ turn, mass)[0], same(x, mass)[0] @ turn, atol=1e-10)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("dense", [False, True])
def test_the_laplacian_of_what_pulls_nodes_together_is_inverted(monkeypatch, dense, smoothing):
    monkeypatch.setattr("fiedler.theory.optimum.objectives.DENSE_UP_TO", N if dense else 0)
    objective = make("tied", "even", smoothing)
    assert sp.issparse(objective.wt) == (not dense)
    weighted = objective.w[:, None] * (1 - smoothing) * TARGET
    sym = weighted + weighted.T
    whole = sym + 2 * smoothing / N  # of the smoothed target: its uniform part counts in the row sums alone
    metric = np.diag(whole.sum(axis=1) + 2 * objective.decay + SHIFT) - sym
    x, _ = point(objective, 1)
    assert np.allclose(metric @ laplacian_inverse(objective)(x, np.zeros(0))[0], x, atol=1e-10)


def test_where_a_factorisation_would_fill_up_the_diagonal_is_taken(monkeypatch):
    monkeypatch.setattr("fiedler.theory.optimum.objectives.DENSE_UP_TO", 0)
    monkeypatch.setattr("fiedler.theory.optimum.preconditioner.MOST_FRONT", 0)
    objective = make("tied")
    x, _ = point(objective, 1)
    rows = TARGET + TARGET.T
    assert np.allclose(
        laplacian_inverse(objective)(x, np.zeros(0))[0] * (rows.sum(axis=1) + 0.2 + SHIFT)[:, None], x, atol=1e-12
    )


def test_at_the_slack_of_zero_logits_it_is_near_the_inverse_hessian():
    """There the softmax has no curvature in F, and the Hessian is 2 (l I - S) where that is positive."""
    objective = TiedObjective(target_parts(TARGET), np.ones(N), 5.0)
    none = np.zeros((N, COLUMNS))
    s = (TARGET + TARGET.T) / 2 - 1 / N
    x = point(objective, 1)[0]
    found = slack_inverse(objective, none, np.zeros(0))(x, np.zeros(0))[0]
    assert np.allclose(2 * (5.0 * np.eye(N) - s) @ found, x, atol=1e-9)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_modes_in_single_precision_precondition_as_well(monkeypatch, kind, weights):
    objective = make(kind, weights)
    at, x = objective.start(COLUMNS), point(objective, 3)
    double = slack_inverse(objective, *at)(*x)
    monkeypatch.setattr("fiedler.theory.optimum.preconditioner.SINGLE_FROM", 0)
    single = slack_inverse(objective, *at)(*x)
    assert single[0].dtype == np.float64
    assert not np.array_equal(single[0], double[0])
    assert np.allclose(single[0], double[0], atol=1e-2 * np.abs(double[0]).max())
    assert (single[0] * x[0]).sum() + single[1] @ x[1] > 0
    tiny = slack_inverse(objective, *at)(1e-60 * x[0], x[1])[0]  # no number of float32
    assert np.allclose(1e60 * tiny, single[0], rtol=1e-6, atol=1e-6 * np.abs(single[0]).max())
    assert not slack_inverse(objective, *at)(0 * x[0], x[1])[0].any()
