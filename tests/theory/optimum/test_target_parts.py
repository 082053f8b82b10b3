"""Targets as sparse parts and a constant, against dense arrays."""

import numpy as np
import pytest
import scipy.sparse as sp

from fiedler.theory import SmoothedTarget, one_hop_target, parse, target_entropy, tied_optimum
from fiedler.theory.optimum.objectives import TiedObjective
from fiedler.theory.optimum.target_parts import target_parts

ROUNDING = 1e-13
TARGET = one_hop_target(parse("path-star:4x5"))
N = len(TARGET)
FORMS = {
    "array": lambda a: (1 - a) * TARGET + a / N,
    "lists": lambda a: ((1 - a) * TARGET + a / N).tolist(),
    "CSR": lambda a: sp.csr_array((1 - a) * TARGET + a / N),
    "CSC": lambda a: sp.csc_array((1 - a) * TARGET + a / N),
    "COO matrix": lambda a: sp.coo_matrix((1 - a) * TARGET + a / N),
    "smoothed": lambda a: SmoothedTarget(sp.csr_array(TARGET), a),
}


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_means_the_same_target(form, smoothing):
    parts = target_parts(FORMS[form](smoothing))
    dense = (1 - smoothing) * TARGET + smoothing / N
    w = np.random.default_rng(0).uniform(0.0, 2.0, N)
    assert parts.n == N
    assert np.allclose(parts.dense(), dense, rtol=0, atol=ROUNDING)
    assert float(w @ parts.entropies()) == pytest.approx(target_entropy(dense, w), rel=1e-12)
    assert np.array_equal(parts.positive_rows, (dense > 0).all(axis=1))
    weighted = parts.weighted(w).toarray() + parts.uniform * w[:, None]
    assert np.allclose(weighted, w[:, None] * dense, rtol=0, atol=ROUNDING)
    assert target_parts(parts) is parts


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("form", FORMS)
def test_the_maps_of_an_objective_are_those_of_the_dense_target(form, smoothing):
    w = np.random.default_rng(1).uniform(0.5, 2.0, N)
    objective = TiedObjective(target_parts(FORMS[form](smoothing)), w, 0.1)
    weighted = w[:, None] * ((1 - smoothing) * TARGET + smoothing / N)
    x = np.random.default_rng(2).standard_normal((N, 3))
    assert np.allclose(objective.times_target(x), weighted @ x, atol=ROUNDING)
    assert np.allclose(objective.times_transpose(x), weighted.T @ x, atol=ROUNDING)
    assert np.allclose(objective.times_symmetric(x), (weighted + weighted.T) @ x, atol=ROUNDING)
    assert np.allclose(objective.columns, weighted.sum(axis=0), atol=ROUNDING)


def test_entries_given_twice_are_added_and_zeros_are_left_out():
    twice = sp.coo_array(([0.5, 0.5, 1.0, 0.0], ([0, 0, 1, 1], [1, 1, 0, 1])), shape=(2, 2))
    parts = target_parts(twice)
    assert np.array_equal(parts.dense(), [[0, 1], [1, 0]])
    assert parts.support.nnz == 2
    assert twice.nnz == 4  # the caller's array is left alone


def test_a_part_is_the_target_of_its_nodes():
    irregular = one_hop_target(parse("irregular"))
    labels = tied_optimum(irregular).components
    for given in (irregular, sp.csr_array(irregular)):
        nodes = np.flatnonzero(labels == 1)
        assert np.array_equal(target_parts(given).part(nodes).dense(), irregular[np.ix_(nodes, nodes)])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.ones((2, 3)) / 3, "square"),
        (np.zeros((0, 0)), "at least one row"),
        (np.array([[0.0, 1.0], [1.5, -0.5]]), "row 1 holds a negative"),
        (np.array([[0.0, 1.0], [np.nan, 1.0]]), "row 1 holds a negative or non-finite"),
        (np.array([[0.5, 0.5], [0.5, 0.4]]), "row 1 sums to 0.9"),
    ],
)
def test_bad_targets_are_refused_alike(bad, message):
    for form in (bad, sp.csr_array(bad), SmoothedTarget(sp.csr_array(bad), 0.1)):
        with pytest.raises(ValueError, match=message):
            target_parts(form)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, np.nan])
def test_bad_smoothing_is_refused(smoothing):
    with pytest.raises(ValueError, match="smoothing"):
        target_parts(SmoothedTarget(sp.csr_array(TARGET), smoothing))


def test_smoothing_of_an_array_is_not_forgotten():
    assert np.allclose(target_parts(SmoothedTarget(TARGET, 0.3)).dense(), 0.7 * TARGET + 0.3 / N, atol=ROUNDING)
