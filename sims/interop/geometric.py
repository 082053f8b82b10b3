"""Graphs and embeddings as ``torch_geometric.data.Data``."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from fiedler.theory import Graph, as_graph
from fiedler.theory.graphs.graph import SYMMETRY_TOLERANCE

from ..extras import require

EXTRA = "torch-geometric"


def to_data(graph: Any, embedding: ArrayLike | None = None) -> Any:
    """``Data`` of ``graph`` (anything ``as_graph`` takes): edge_index (2, arcs) int64, both directions of every edge
    and a self-loop once, edge_weight (arcs,) float64, num_nodes, and, where given, x (n, m) float32, as layers take it.

    Raises ImportError without PyTorch Geometric, ValueError for an embedding that is not (n, m).
    """
    data = require("torch_geometric.data", EXTRA)
    import torch

    found = as_graph(graph)
    arcs = found.adjacency.tocoo()
    parts = {
        "edge_index": torch.from_numpy(np.stack([arcs.row, arcs.col]).astype(np.int64)),
        "edge_weight": torch.from_numpy(arcs.data.astype(np.float64)),
        "num_nodes": found.n,
    }
    if embedding is not None:
        rows = np.asarray(embedding)
        if rows.ndim != 2 or len(rows) != found.n:
            raise ValueError(f"embedding must have shape ({found.n}, m), one row a node; got {rows.shape}")
        parts["x"] = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))
    return data.Data(**parts)


def from_data(data: Any, name: str = "data") -> Graph:
    """The graph of an undirected ``Data``: nodes 0 .. num_nodes - 1, weights from edge_weight, or else from weight (as
    ``torch_geometric.utils.from_networkx`` calls it), or else from an edge_attr of one column, or else one. Weights of
    the two directions that differ by rounding are averaged, as in ``theory.from_sparse``.

    Repeated arcs add up, as in SciPy. Raises ValueError for a directed one (make it undirected with
    ``torch_geometric.transforms.ToUndirected``), for an edge_index out of range and for weights no edge may have.
    """
    kind = require("torch_geometric.data", EXTRA).Data
    if not isinstance(data, kind):
        raise TypeError(f"data must be a torch_geometric.data.Data, not {type(data).__name__}")
    if data.edge_index is None:
        raise ValueError("data has no edge_index, so it is no graph")
    n = int(data.num_nodes)
    ends = data.edge_index.detach().cpu().numpy()
    if ends.ndim != 2 or len(ends) != 2 or (ends.size and (ends.min() < 0 or ends.max() >= n)):
        raise ValueError(f"edge_index must be (2, arcs) of nodes 0 to {n - 1}; got shape {ends.shape}")
    weights = _weights(data, ends.shape[1])
    adjacency = sp.coo_array((weights, (ends[0], ends[1])), shape=(n, n)).tocsr()
    if abs(adjacency - adjacency.T).max() > SYMMETRY_TOLERANCE * abs(adjacency).max():
        raise ValueError("data is directed: make it undirected with torch_geometric.transforms.ToUndirected()")
    graph = as_graph(adjacency)
    return Graph(graph.adjacency, graph.nodes, name)


def _weights(data: Any, arcs: int) -> Any:
    weight = getattr(data, "edge_weight", None)
    if weight is None and getattr(data, "weight", None) is not None and data.weight.numel() == arcs:
        weight = data.weight
    if weight is None and getattr(data, "edge_attr", None) is not None:
        weight = data.edge_attr
        if weight.numel() != arcs:
            raise ValueError(f"edge_attr has shape {tuple(weight.shape)}: give one weight an arc as edge_weight")
    if weight is None:
        return np.ones(arcs)
    found = weight.detach().cpu().double().numpy().reshape(-1)  # NumPy has no bfloat16
    if len(found) != arcs:
        raise ValueError(f"edge_weight has {len(found)} entries for {arcs} arcs")
    return found
