"""Lines of a graph in one direction: which neighbours a node is trained to predict, and how much it counts.

A line u -> v of training data asks for v after u. "both": every edge gives two lines. "forward": away from the root,
along the order of the rows, u < v; on cycles and tori, which have no first node, the next node around in each
coordinate, so that a cycle has one forward line a node. "backward": the reverse lines. Self-loops of the graph are
lines of every direction, weights of edges count as repeated lines, and self-edges add the line u -> u to every node.

    T_uv = lines u -> v / lines_u,        lines_u = sum_v lines u -> v
    w_u = 1                          "node": every node that has a line counts the same
    w_u = lines_u n / sum_k lines_k  "line": every line counts the same

A node without a line has w_u = 0: the loss holds no term for it, though its embedding still moves as a target of others
and as a wrong answer. Its row of T means nothing and is uniform, which is exact without any weight for untied logits
(their optimal row is then zero). Line weights sum to n, node weights to the number of nodes that have a line.
Source: the forward-only runs of the public release of arXiv 2510.26745, whose Transformers average over lines
("line") and whose Node2Vec over nodes ("node").
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..checks import Array, check_choice
from ..graphs.graph import Graph, check_graph
from .one_hop import one_hop_sparse
from .walks import directed_target

DIRECTIONS = ("both", "forward", "backward")
LINE_WEIGHTS = ("node", "line")
CYCLIC = ("cycle", "torus")


def one_way_arcs(graph: Graph, direction: str = "forward") -> sp.csr_array:
    """The adjacency (n, n) of the lines in ``direction``: float64 CSR, entry (u, v) the weight of u -> v.

    "forward" and "backward" are each other's transposes and, but for self-loops, sum to "both", the adjacency itself.
    Raises ValueError for an unknown direction.
    """
    check_choice(direction, "direction", DIRECTIONS)
    adjacency = check_graph(graph).adjacency
    if direction == "both":
        return adjacency
    entries = adjacency.tocoo()
    u, v = entries.coords
    keep = u <= v if graph.family not in CYCLIC else _next_around(u, v, graph.parameters)
    arcs = sp.csr_array((entries.data[keep], (u[keep], v[keep])), shape=adjacency.shape)
    return arcs if direction == "forward" else sp.csr_array(arcs.T)


def one_way_target(
    graph: Graph,
    direction: str = "forward",
    *,
    self_edges: bool = False,
    label_smoothing: float = 0.0,
    weights: str = "node",
) -> tuple[Array, Array]:
    """The one-hop target T (n, n) of the lines in ``direction``, row-stochastic, and the row weights w (n,).

    ``label_smoothing`` a in [0, 1): (1 - a) T + a 11'/n. ``weights``: "node" or "line", see the module. Where nodes
    without a line have weight zero, ``tied_optimum`` needs a weight decay above zero.
    Raises ValueError for an unknown direction or weighting, a smoothing out of range, and a node without neighbours in
    either direction (unless ``self_edges``).
    """
    lines = one_way_arcs(graph, direction)
    check_choice(weights, "weights", LINE_WEIGHTS)
    one_hop_sparse(graph, self_edges=self_edges)  # the error for isolated nodes, which names them
    target = directed_target(lines, dangling="uniform", self_edges=self_edges, label_smoothing=label_smoothing)
    return target, line_weights(lines, self_edges, weights)


def line_weights(lines: sp.csr_array, self_edges: bool, weights: str) -> Array:
    """w (n,) of the module for the ``lines`` of ``one_way_arcs``, of which there is at least one."""
    count = np.asarray(lines.sum(axis=1)).ravel() + float(self_edges)
    return np.asarray(count / count.mean() if weights == "line" else count > 0, dtype=np.float64)


def _next_around(u: NDArray[np.integer], v: NDArray[np.integer], sides: tuple[int, ...]) -> NDArray[np.bool_]:
    """Whether v is one further than u in exactly one coordinate, around its cycle."""
    at = zip(np.unravel_index(u, sides), np.unravel_index(v, sides), sides, strict=True)
    return np.asarray(sum((b - a) % side for a, b, side in at) == 1)
