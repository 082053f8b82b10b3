"""Input and output embeddings of an untied model against each other, and whether one hop can be fed to the next.

    alignment = <V, U> / (||V|| ||U||) = tr Z / (||V|| ||U||),   Z = VU',  P = softmax Z

is 1 where a node's output embedding is its input embedding. Then what one hop gives, the mean PU of the output
embeddings it predicts, is a mean of input embeddings, and PUU' are the logits of two hops; without it they are not. At
a minimum of the nuclear norm V and U are the two halves of Z's singular vectors: modes of positive eigenvalue are
aligned and those of negative ones opposed, and examples u -> u, which raise the diagonal of Z, are the bridge between
the two (arXiv 2509.24653; here the self-edges of a graph).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fiedler.theory import row_softmax

from ...scores.line_scores import leading_share
from ...tasks.task import Task


@dataclass(frozen=True)
class Bridge:
    """``alignment`` of V and U; ``two_hops``: of the pairs u, c with a walk of two training edges from u to c, the
    share found among the largest entries of row u of PUU', as many as it has."""

    alignment: float
    two_hops: float

    @staticmethod
    def of(task: Task, embedding: NDArray[np.floating], context: NDArray[np.floating]) -> Bridge:
        """Of V and U (n, m) on the graph of ``task``."""
        v, u = np.asarray(embedding, dtype=np.float64), np.asarray(context, dtype=np.float64)
        sizes = float(np.linalg.norm(v) * np.linalg.norm(u))
        edges = task.graph.adjacency.toarray() > 0
        if task.self_edges:
            edges |= np.eye(len(edges), dtype=np.bool_)
        walks = sp.csr_array((edges.astype(np.float64) @ edges) > 0)
        hop = row_softmax(v @ u.T) @ u
        return Bridge(float((v * u).sum()) / sizes if sizes > 0 else float("nan"), leading_share(hop @ u.T, walks))
