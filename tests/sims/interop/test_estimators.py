"""The estimators for scikit-learn: its own checks, and the numbers against theory and `fiedler train`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from fiedler.sims.interop import Node2VecEmbedding, SoftmaxOptimumEmbedding
from fiedler.sims.models.registry import get_model
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.tasks.task import Task
from fiedler.theory import as_graph, gram_error, one_hop_target, tied_optimum

KARATE = as_graph("karate").adjacency.toarray()
OPTIMUM = SoftmaxOptimumEmbedding().fit(KARATE)
SHORT: dict[str, Any] = {"width": 8, "steps": 50, "random_state": 3}
GRAM = 1e-9  # relative, of products of eigenvectors

# Checks of scikit-learn that a graph cannot pass, and why.
NO_GRAPH = "its kernel matrix has nodes without a neighbour, which have nothing to predict"
NOT_SQUARE = "it hands over a matrix that is not square, or not symmetric, so no undirected graph"
FAILED = {
    "check_estimator_sparse_tag": NO_GRAPH,
    "check_estimator_sparse_array": NO_GRAPH,
    "check_estimator_sparse_matrix": NO_GRAPH,
    "check_fit2d_1feature": NO_GRAPH,
    "check_methods_sample_order_invariance": NOT_SQUARE,
    "check_methods_subset_invariance": NOT_SQUARE,
    "check_fit_idempotent": NOT_SQUARE,
}


@pytest.mark.parametrize(
    "estimator",
    [SoftmaxOptimumEmbedding(2, weight_decay=1.0), Node2VecEmbedding(8, steps=20, random_state=0)],
    ids=lambda e: type(e).__name__,
)
def test_scikit_learns_own_checks(estimator: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of checks that do not apply
        results = check_estimator(estimator, expected_failed_checks=FAILED, on_skip=None)
    assert sum(one["status"] == "passed" for one in results) >= 40
    assert {one["check_name"] for one in results if one["status"] == "xfail"} == FAILED.keys()


def test_the_optimum_is_that_of_theory() -> None:
    expected = tied_optimum(one_hop_target(as_graph(KARATE)))
    gram = OPTIMUM.embedding_ @ OPTIMUM.embedding_.T
    assert np.allclose(gram, expected.centred_gram, atol=GRAM * np.abs(gram).max())
    assert np.allclose(gram, OPTIMUM.gram_, atol=GRAM * np.abs(gram).max())
    assert OPTIMUM.embedding_.shape == (34, expected.rank) == (34, OPTIMUM.rank_)
    assert OPTIMUM.loss_ == expected.loss_per_node
    assert OPTIMUM.certificate_ == expected.certificate
    assert gram_error(OPTIMUM.embedding_, expected) < 1e-6
    assert (OPTIMUM.n_features_in_, len(OPTIMUM.get_feature_names_out())) == (34, expected.rank)


def test_columns_are_cut_or_filled_with_zeros() -> None:
    two, many = (SoftmaxOptimumEmbedding(k).fit_transform(KARATE) for k in (2, 40))
    assert np.array_equal(two, OPTIMUM.embedding_[:, :2])
    assert np.array_equal(many[:, : OPTIMUM.rank_], OPTIMUM.embedding_)
    assert not many[:, OPTIMUM.rank_ :].any()


def test_relabelled_nodes_get_the_same_geometry() -> None:
    order = np.random.default_rng(0).permutation(34)
    turned = SoftmaxOptimumEmbedding().fit(KARATE[np.ix_(order, order)])
    assert np.allclose(turned.gram_, OPTIMUM.gram_[np.ix_(order, order)], atol=1e-6 * np.abs(OPTIMUM.gram_).max())


def test_node2vec_is_fiedler_train_bit_for_bit() -> None:
    found = Node2VecEmbedding(**SHORT).fit(KARATE)
    model = get_model("node2vec")
    (run,) = run_seeds(Task(as_graph(KARATE)), model, model.make_settings(width=8, steps=50), [3])
    assert np.array_equal(found.embedding_, run.final.embedding)
    assert found.loss_ == run.modes.loss[-1] < found.losses_[0]
    again = Node2VecEmbedding(8, steps=50, random_state=np.random.RandomState(0)).fit(KARATE)
    assert again.seed_ == np.random.RandomState(0).randint(2**31 - 1)
    assert not np.array_equal(again.embedding_, found.embedding_)


@pytest.mark.parametrize("graph", [sp.csr_array(KARATE), sp.coo_matrix(KARATE), as_graph(KARATE), "karate"])
def test_other_forms_of_the_same_graph(graph: Any) -> None:
    found = Node2VecEmbedding(**SHORT).fit(graph)
    assert np.array_equal(found.transform(KARATE), Node2VecEmbedding(**SHORT).fit_transform(KARATE))


def test_pipelines_clones_and_grids() -> None:
    clusters = make_pipeline(SoftmaxOptimumEmbedding(2), KMeans(2, n_init=1, random_state=0))
    labels = clusters.fit_predict(KARATE)
    assert np.array_equal(clusters.predict(KARATE), labels)
    for given in ParameterGrid({"weight_decay": [0.1, 0.5], "n_components": [1, 2]}):
        one = clone(SoftmaxOptimumEmbedding()).set_params(**given)
        assert one.fit(KARATE).embedding_.shape == (34, given["n_components"])
        assert one.get_params().items() >= given.items()


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (np.ones((3, 4)), "adjacency matrix"),
        (np.triu(KARATE), "directed"),
        (-KARATE, "Negative values"),
        (np.where(KARATE > 0, np.nan, 0), "NaN"),
        ("cylce:5", "did you mean 'cycle:5'"),
    ],
)
def test_what_is_no_graph(graph: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SoftmaxOptimumEmbedding().fit(graph)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="another graph"):
        OPTIMUM.transform(np.roll(np.roll(KARATE, 1, 0), 1, 1))
    with pytest.raises(NotFittedError):
        Node2VecEmbedding().transform(KARATE)
    with pytest.raises(ValueError, match="n_components"):
        SoftmaxOptimumEmbedding(0).fit(KARATE)
    with pytest.raises(ValueError, match="learning_rate"):
        Node2VecEmbedding(learning_rate=-1).fit(KARATE)
