"""The training task both sides share: a graph and the target distribution on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fiedler.theory import Eigenspaces, Graph, laplacian_eigenspaces, node2vec_target, window_target


@dataclass(frozen=True, eq=False)
class Task:
    """Predict a neighbour of each node, with optional self-edges and label smoothing, or with ``window`` > 1 or ``p``,
    ``q`` other than one the contexts within that window of a (p, q) second-order walk (node2vec), in exact proportion.

    Raises ValueError, from ``target``, for isolated nodes, a smoothing outside [0, 1) or a bad walk.
    """

    graph: Graph
    self_edges: bool = False
    label_smoothing: float = 0.0
    window: int = 1
    p: float = 1.0
    q: float = 1.0

    @property
    def one_hop(self) -> bool:
        """Whether the contexts are the neighbours themselves."""
        return self.window == 1 and self.p == self.q == 1.0

    @cached_property
    def target(self) -> NDArray[np.float64]:
        """T (n, n), row-stochastic, dense float64."""
        options: dict[str, Any] = {"self_edges": self.self_edges, "label_smoothing": self.label_smoothing}
        if self.p == self.q == 1.0:
            return window_target(self.graph, self.window, **options)
        return node2vec_target(self.graph, self.p, self.q, self.window, **options)

    @cached_property
    def sparse_target(self) -> sp.csr_array:
        """T as CSR."""
        return sp.csr_array(self.target)

    @cached_property
    def spaces(self) -> Eigenspaces:
        """Eigenspaces of (I - D^-1 A) + (I - D^-1 A)', the modes every energy is measured in. The self-edges change
        this matrix, so they are not put into it: the modes of a graph stay the same under every target."""
        return laplacian_eigenspaces(self.graph, "symmetrized-random-walk")

    def describe(self) -> dict[str, Any]:
        """What a run folder keeps of the task."""
        return {
            "graph": self.graph.name,
            "n": self.graph.n,
            "edges": self.graph.edge_count,
            "self_edges": self.self_edges,
            "label_smoothing": self.label_smoothing,
            "window": self.window,
            "p": self.p,
            "q": self.q,
        }
