"""Target distributions: what each node is trained to predict.

One hop: T = D^-1 A. With self-edges: T = (D + I)^-1 (A + I). With label smoothing a: (1 - a) T + a 11'/n.
Source: arXiv 2510.26745, section 4 (one hop, uniform over neighbours); self-edges are the paper's variant
with the pair (u, u) added to the edges.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ..checks import Array, brief, check_flag, check_room, check_smoothing
from ..graphs.graph import Graph, check_graph


def one_hop_sparse(graph: Graph, *, self_edges: bool = False) -> sp.csr_array:
    """The one-hop target as an (n, n) float64 CSR matrix, rows summing to one.

    T_ij = A_ij / sum_k A_ik; edge weights count as repeated edges. ``self_edges`` adds one to every A_ii (on top of a
    self-loop the graph may already have).

    Raises ValueError for a node without neighbours, unless ``self_edges`` gives it itself as its only target.
    """
    adjacency = check_graph(graph).adjacency
    if check_flag(self_edges, "self_edges"):
        adjacency = sp.csr_array(adjacency + sp.eye_array(graph.n, format="csr"))
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    if (degrees == 0).any():
        alone = np.flatnonzero(degrees == 0)
        names = ", ".join(brief(graph.nodes[i]) for i in alone[:3]) + (", ..." if len(alone) > 3 else "")
        raise ValueError(
            f"{len(alone)} isolated node(s) ({names}) have no neighbour to predict; remove them or use self-edges"
        )
    return sp.csr_array(sp.diags_array(1.0 / degrees) @ adjacency)


def one_hop_target(graph: Graph, *, self_edges: bool = False, label_smoothing: float = 0.0) -> Array:
    """The one-hop target as a dense (n, n) float64 array: (1 - a) T + a 11'/n, a = ``label_smoothing`` in [0, 1).

    Raises ValueError for a smoothing outside [0, 1), or a node without neighbours (see ``one_hop_sparse``).

    >>> from fiedler.theory import one_hop_target, parse
    >>> target = one_hop_target(parse("grid:1x3"))  # a path of three nodes
    >>> target.tolist()
    [[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]
    >>> one_hop_target(parse("grid:1x3"), self_edges=True)[0].tolist()
    [0.5, 0.5, 0.0]
    """
    smoothing = check_smoothing(label_smoothing)
    check_room(float(check_graph(graph).n) ** 2, "the dense target")
    target: Array = one_hop_sparse(graph, self_edges=self_edges).toarray()
    return (1.0 - smoothing) * target + smoothing / graph.n
