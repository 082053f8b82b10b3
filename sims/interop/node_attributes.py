"""Embeddings as node attributes of NetworkX graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray


def set_embedding(graph: nx.Graph, embedding: ArrayLike, name: str = "embedding") -> None:
    """Give node i of ``graph``, in the order of ``graph.nodes``, row i of ``embedding`` (n, m) as the attribute
    ``name``: a 1-D array of its own, of the embedding's dtype.

    Node order is that of ``theory.as_graph`` too. Raises TypeError for what is no NetworkX graph, ValueError for an
    array that is not (n, m) or not finite; the graph is then as it was.
    """
    _check_graph(graph)
    rows = np.array(embedding)
    n = graph.number_of_nodes()
    if rows.ndim != 2 or len(rows) != n or rows.dtype.kind not in "iuf":
        raise ValueError(
            f"embedding must be numbers of shape ({n}, m), one row a node; got shape {rows.shape}, dtype {rows.dtype}"
        )
    if not np.isfinite(rows).all():
        raise ValueError("embedding holds NaN or infinity: use a checkpoint from before training diverged")
    for node, row in zip(graph.nodes, rows, strict=True):
        graph.nodes[node][name] = row


def get_embedding(graph: nx.Graph, name: str = "embedding") -> NDArray[Any]:
    """The attributes ``name`` of all nodes as rows (n, m), in the order of ``graph.nodes``.

    Raises TypeError for what is no NetworkX graph, ValueError where a node has no such attribute, one that is no vector
    of numbers, or one of another length than the first node's.
    """
    _check_graph(graph)
    if not graph.number_of_nodes():
        raise ValueError("the graph has no nodes, so there is no embedding to take")
    rows: list[NDArray[Any]] = []
    for node, attributes in graph.nodes(data=True):
        if name not in attributes:
            raise ValueError(f"node {node!r} has no attribute {name!r}: set it with set_embedding")
        row = _vector(attributes[name])
        if row is None:
            raise ValueError(f"attribute {name!r} of node {node!r} is no vector of numbers: give a 1-D array or a list")
        if rows and len(row) != len(rows[0]):
            raise ValueError(
                f"attribute {name!r} of node {node!r} has length {len(row)}, that of the first node {len(rows[0])}: "
                "give all nodes vectors of one length"
            )
        rows.append(row)
    return np.stack(rows)


def _vector(value: object) -> NDArray[Any] | None:
    if not isinstance(value, (np.ndarray, Sequence)) or isinstance(value, (str, bytes)):
        return None
    try:
        row = np.asarray(value)
    except ValueError:  # a ragged list
        return None
    return row if row.ndim == 1 and row.dtype.kind in "iuf" else None


def _check_graph(graph: object) -> None:
    if not isinstance(graph, nx.Graph):
        raise TypeError(f"graph must be a NetworkX graph, not {type(graph).__name__}")
