"""Embeddings as NetworkX node attributes."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from fiedler.sims.interop import get_embedding, set_embedding
from fiedler.theory import as_graph

GRAPH = nx.relabel_nodes(nx.path_graph(4), {0: "d", 1: "a", 2: ("c", 1), 3: 7})
ROWS = np.arange(12.0).reshape(4, 3)


def test_there_and_back_in_the_order_of_as_graph() -> None:
    graph = GRAPH.copy()
    set_embedding(graph, ROWS)
    assert np.array_equal(get_embedding(graph), ROWS)
    for node, row in zip(as_graph(graph).nodes, ROWS, strict=True):
        assert np.array_equal(graph.nodes[node]["embedding"], row)
    graph.nodes["a"]["embedding"][0] = 99  # a row of its own
    assert ROWS[1, 0] == 3


def test_names_and_dtypes_are_kept_and_lists_are_read() -> None:
    graph = GRAPH.copy()
    set_embedding(graph, ROWS.astype(np.float32), name="v")
    assert get_embedding(graph, "v").dtype == np.float32
    nx.set_node_attributes(graph, {node: [1, 2] for node in graph}, "w")
    assert get_embedding(graph, "w").shape == (4, 2)


@pytest.mark.parametrize("rows", [ROWS[:3], ROWS[0], ROWS * np.nan, np.full((4, 2), "x")])
def test_wrong_arrays_leave_the_graph_alone(rows: np.ndarray) -> None:
    graph = GRAPH.copy()
    with pytest.raises(ValueError, match="embedding"):
        set_embedding(graph, rows)
    assert not any(data for _, data in graph.nodes(data=True))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "node 'a' has no attribute"),
        ([1.0, 2.0], "length 2, that of the first node 3"),
        ("abc", "is no vector"),
        ([[1.0], [2.0, 3.0]], "is no vector"),
    ],
)
def test_wrong_attributes(value: object, message: str) -> None:
    graph = GRAPH.copy()
    set_embedding(graph, ROWS)
    if value is None:
        del graph.nodes["a"]["embedding"]
    else:
        graph.nodes["a"]["embedding"] = value
    with pytest.raises(ValueError, match=message):
        get_embedding(graph)


def test_other_things_are_no_graphs() -> None:
    with pytest.raises(TypeError, match="NetworkX"):
        set_embedding(ROWS, ROWS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no nodes"):
        get_embedding(nx.Graph())
