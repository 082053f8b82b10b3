"""A graph as arrays beside a run's results, so that a run folder can be read where the graph's file is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fiedler.theory import Graph

PREFIX = "graph/"
PARTS = ("data", "indices", "indptr")


def graph_arrays(graph: Graph) -> dict[str, NDArray[Any]]:
    """The CSR adjacency (``graph/data``, ``graph/indices``, ``graph/indptr``) and the labels of the nodes, integers
    where all are, else text (``graph/nodes``)."""
    adjacency = graph.adjacency
    numbers = all(isinstance(node, (int, np.integer)) and not isinstance(node, bool) for node in graph.nodes)
    small = numbers and all(abs(int(node)) < 2**63 for node in graph.nodes)  # type: ignore[call-overload]
    labels = [str(node) for node in graph.nodes]
    if len(set(labels)) < len(labels):  # 1 beside "1"
        labels = [repr(node) for node in graph.nodes]
    nodes = np.array(graph.nodes, dtype=np.int64) if small else np.array(labels)
    return {**{PREFIX + part: getattr(adjacency, part) for part in PARTS}, f"{PREFIX}nodes": nodes}


def graph_of_arrays(arrays: Mapping[str, NDArray[Any]], name: str) -> Graph | None:
    """The graph that ``runs.graph_arrays`` wrote; None where the arrays hold none, as in folders of earlier versions.

    Raises ValueError for arrays that are no graph's.
    """
    if any(PREFIX + part not in arrays for part in (*PARTS, "nodes")):
        return None
    nodes = tuple(arrays[f"{PREFIX}nodes"].tolist())
    parts = (arrays[PREFIX + part] for part in PARTS)
    return Graph(sp.csr_array(tuple(parts), shape=(len(nodes), len(nodes))), nodes, name)
