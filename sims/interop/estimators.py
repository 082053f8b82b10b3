"""Estimators for scikit-learn: the certified optimum and a trained Node2Vec as transformers of a graph.

Like ``sklearn.manifold.SpectralEmbedding`` with affinity="precomputed" they take an adjacency matrix (n, n), dense or
sparse, symmetric and non-negative; they also take whatever ``theory.as_graph`` does. An embedding is of the graph it
was fitted on: ``transform`` gives it back for that graph and refuses any other.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import scipy.sparse as sp

from fiedler.theory import Graph, as_graph, tied_optimum

from ..extras import require
from ..models.registry import get_model
from ..runs.engine import run_seeds
from ..tasks.task import Task

EXTRA = "scikit-learn"
LARGEST_SEED = 2**31 - 1

require("sklearn", EXTRA)

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin  # noqa: E402
from sklearn.utils import check_random_state  # noqa: E402
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data  # noqa: E402


class _GraphEmbedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What both share: reading the graph, and transforming only it."""

    def fit_transform(self, X: Any, y: None = None) -> Any:
        """Fit to the graph ``X`` and return its embedding (n, columns) float64."""
        return self.fit(X).embedding_.copy()

    def transform(self, X: Any) -> Any:
        """The fitted embedding. Raises ValueError unless ``X`` is the graph that was fitted: there is no rule for
        another."""
        check_is_fitted(self)
        graph = self._read(X, reset=False)
        if _digest(graph) != self._digest:
            raise ValueError(
                f"{type(self).__name__} has learned another graph than X: an embedding holds for the graph it was "
                "fitted on; call fit_transform"
            )
        return self.embedding_.copy()

    def _read(self, X: Any, *, reset: bool) -> Graph:
        if isinstance(X, np.ndarray) or sp.issparse(X) or not _is_graph(X):
            X = validate_data(self, X, reset=reset, accept_sparse="csr", dtype=np.float64, ensure_min_samples=2)
            check_non_negative(X, type(self).__name__)
            if X.shape[0] != X.shape[1]:
                raise ValueError(
                    f"X must be an adjacency matrix (n, n), or a graph; got shape {X.shape}: make one from samples "
                    "with sklearn.neighbors.kneighbors_graph"
                )
            return as_graph(X)
        graph = as_graph(X)
        if reset:
            self.n_features_in_ = graph.n
        return graph

    def _keep(self, graph: Graph, embedding: Any, loss: float) -> None:
        self._digest = _digest(graph)
        self.embedding_, self.loss_ = embedding, loss
        self.nodes_ = graph.nodes
        self._n_features_out = embedding.shape[1]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = True
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = True
        return tags


class SoftmaxOptimumEmbedding(_GraphEmbedding):
    """The optimum that tied Node2Vec converges to, found by convex optimisation and certified (``tied_optimum``).

    ``n_components``: columns; None for the rank of the optimum, fewer keep the largest eigenvalues of the Gram matrix,
    more are zero. ``weight_decay``: l of L + l ||V||^2. ``self_edges``, ``label_smoothing``: of the target. No random
    numbers: the columns are eigenvectors, each with its entry of largest size positive.

    Attributes: ``embedding_`` (n, n_components) float64 with embedding_ embedding_' = ``gram_`` where no rank is cut;
    ``gram_`` (n, n), the centred one: rows less their mean in each component; ``rank_``; ``loss_``, mean cross-entropy
    per node in nats; ``certificate_``: max_violation and duality_gap; ``nodes_``; ``n_features_in_``.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        weight_decay: float = 0.0,
        self_edges: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        self.n_components = n_components
        self.weight_decay = weight_decay
        self.self_edges = self_edges
        self.label_smoothing = label_smoothing

    def fit(self, X: Any, y: None = None) -> SoftmaxOptimumEmbedding:
        """Find the optimum of the graph ``X``. Raises ValueError for what is no graph or has an isolated node."""
        if self.n_components is not None and not (
            isinstance(self.n_components, (int, np.integer)) and self.n_components >= 1
        ):
            raise ValueError(f"n_components must be None or a whole number from 1; got {self.n_components!r}")
        graph = self._read(X, reset=True)
        task = Task(graph, self.self_edges, self.label_smoothing)
        optimum = tied_optimum(task.solver_target, weight_decay=self.weight_decay)
        full = optimum.embedding()
        width = full.shape[1] if self.n_components is None else int(self.n_components)
        embedding = np.zeros((graph.n, width))
        shared = min(width, full.shape[1])
        embedding[:, :shared] = full[:, :shared]
        largest = np.abs(embedding).argmax(axis=0)
        embedding *= np.where(embedding[largest, np.arange(width)] < 0, -1.0, 1.0)
        self._keep(graph, embedding, optimum.loss_per_node)
        self.gram_, self.rank_, self.certificate_ = full @ full.T, optimum.rank, optimum.certificate
        return self


class Node2VecEmbedding(_GraphEmbedding):
    """Tied Node2Vec of arXiv 2510.26745, trained by full-batch gradient descent on the full softmax.

    ``width``, ``steps``, ``learning_rate``, ``init_std``, ``weight_decay``: as of ``fiedler train``, whose run with
    --seed ``random_state`` ends in the same bits. ``random_state``: a whole number, a RandomState or None.

    Attributes: ``embedding_`` (n, width) float64; ``loss_``, mean cross-entropy per node in nats at the last step;
    ``losses_`` at ``steps_``; ``seed_``; ``nodes_``; ``n_features_in_``.
    """

    def __init__(
        self,
        width: int = 100,
        *,
        steps: int = 10_000,
        learning_rate: float = 0.01,
        init_std: float = 1.0,
        weight_decay: float = 0.0,
        random_state: Any = None,
    ) -> None:
        self.width = width
        self.steps = steps
        self.learning_rate = learning_rate
        self.init_std = init_std
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(self, X: Any, y: None = None) -> Node2VecEmbedding:
        """Train on the graph ``X``. Raises ValueError for what is no graph or has an isolated node, and for settings
        out of range; FloatingPointError where training diverges."""
        graph = self._read(X, reset=True)
        model = get_model("node2vec")
        settings = model.make_settings(
            width=self.width,
            steps=self.steps,
            learning_rate=self.learning_rate,
            init_std=self.init_std,
            weight_decay=self.weight_decay,
        )
        if isinstance(self.random_state, (int, np.integer)):
            self.seed_ = int(self.random_state)
        else:
            self.seed_ = int(check_random_state(self.random_state).randint(LARGEST_SEED))
        (run,) = run_seeds(Task(graph), model, settings, [self.seed_])
        self._keep(graph, np.asarray(run.final.embedding), float(run.modes.loss[-1]))
        self.losses_, self.steps_ = run.modes.loss, run.modes.steps
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = self.random_state is None
        return tags


def _is_graph(X: Any) -> bool:
    import networkx as nx

    return isinstance(X, (Graph, nx.Graph, str)) or hasattr(X, "__fspath__")


def _digest(graph: Graph) -> str:
    found = hashlib.sha256()
    adjacency = graph.adjacency
    for part in (adjacency.indptr.astype("<i8"), adjacency.indices.astype("<i8"), adjacency.data.astype("<f8")):
        found.update(part.tobytes())
    return found.hexdigest()
