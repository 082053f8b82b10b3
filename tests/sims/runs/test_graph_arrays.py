"""Tests of graphs kept beside results."""

from __future__ import annotations

import io

import networkx as nx
import numpy as np
import pytest

from fiedler.sims.runs.graph_arrays import graph_arrays, graph_of_arrays
from fiedler.theory import Graph, as_graph, parse

LABELS = nx.Graph([("a b", "ä"), ("ä", "c")])
MIXED = nx.Graph([(1, "1"), ("1", 2.5)])
WEIGHTED = nx.Graph([(7, 3, {"weight": 0.25}), (3, 3, {"weight": 2.0})])


@pytest.mark.parametrize("graph", [parse("karate"), as_graph(LABELS), as_graph(MIXED), as_graph(WEIGHTED)])
def test_a_graph_comes_back(graph: Graph) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **graph_arrays(graph))
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as arrays:
        found = graph_of_arrays(dict(arrays), graph.name)
    assert found is not None
    assert (found.adjacency != graph.adjacency).nnz == 0
    assert len(set(found.nodes)) == graph.n
    if all(isinstance(node, int) for node in graph.nodes):
        assert found.nodes == graph.nodes


def test_folders_of_earlier_versions_hold_none() -> None:
    assert graph_of_arrays({"steps": np.zeros(3)}, "karate") is None
