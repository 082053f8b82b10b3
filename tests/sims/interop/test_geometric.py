"""Graphs and embeddings as PyTorch Geometric's Data."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch_geometric.data import Data
from torch_geometric.utils import from_networkx, to_networkx

from fiedler.sims.interop import from_data, to_data
from fiedler.theory import as_graph, parse

WEIGHTED = as_graph(np.array([[0, 0.1, 2.5], [0.1, 3.0, 0], [2.5, 0, 0]]))  # with a self-loop


@pytest.mark.parametrize("graph", [parse("karate"), parse("tree:3,2"), WEIGHTED])
def test_there_and_back(graph: object) -> None:
    found = from_data(to_data(graph))
    expected = as_graph(graph)
    assert (found.adjacency != expected.adjacency).nnz == 0


def test_agrees_with_its_own_converters() -> None:
    graph = parse("petersen")
    rows = np.random.default_rng(0).standard_normal((10, 3))
    data = to_data(graph, rows)
    assert data.is_undirected()
    assert (data.num_nodes, data.num_edges, data.x.dtype) == (10, 30, torch.float32)
    assert np.allclose(data.x.numpy(), rows, atol=1e-6)
    network = to_networkx(data, to_undirected=True)
    assert (as_graph(network).adjacency != graph.adjacency).nnz == 0
    assert (from_data(from_networkx(network)).adjacency != graph.adjacency).nnz == 0


def test_edge_attr_of_one_column_is_the_weight() -> None:
    ends = torch.tensor([[0, 1], [1, 0]])
    found = from_data(Data(edge_index=ends, edge_attr=torch.tensor([[2.0], [2.0]]), num_nodes=3))
    assert np.array_equal(
        found.adjacency.toarray(), sp.csr_array(([2.0, 2.0], ([0, 1], [1, 0])), shape=(3, 3)).toarray()
    )


def test_weight_of_networkx_converter_is_the_weight() -> None:
    source = nx.Graph()
    source.add_edge(0, 1, weight=2.5)
    source.add_edge(1, 2, weight=4.0)
    assert (from_data(from_networkx(source)).adjacency != as_graph(source).adjacency).nnz == 0


def test_bfloat16_weights() -> None:
    ends = torch.tensor([[0, 1], [1, 0]])
    found = from_data(Data(edge_index=ends, edge_weight=torch.tensor([2.5, 2.5], dtype=torch.bfloat16), num_nodes=2))
    assert found.adjacency[0, 1] == 2.5


def test_sums_in_another_order_are_no_direction() -> None:
    ends = torch.tensor([[0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    weight = torch.tensor([0.1, 0.2, 0.3, 0.3, 0.2, 0.1], dtype=torch.float64)
    found = from_data(Data(edge_index=ends, edge_weight=weight, num_nodes=2))
    assert found.adjacency[0, 1] == found.adjacency[1, 0] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2), "directed.*ToUndirected"),
        (Data(edge_index=torch.tensor([[0], [5]]), num_nodes=2), "nodes 0 to 1"),
        (Data(num_nodes=2), "no edge_index"),
        (Data(edge_index=torch.tensor([[0, 1], [1, 0]]), edge_weight=torch.ones(3), num_nodes=2), "3 entries"),
        (Data(edge_index=torch.tensor([[0, 1], [1, 0]]), edge_attr=torch.ones(2, 4), num_nodes=2), "edge_attr"),
        (Data(edge_index=torch.tensor([[0, 1], [1, 0]]), edge_weight=-torch.ones(2), num_nodes=2), "weight"),
    ],
)
def test_refusals(data: Data, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_data(data)


def test_wrong_embeddings_and_types() -> None:
    with pytest.raises(ValueError, match="one row a node"):
        to_data(parse("petersen"), np.ones((3, 2)))
    with pytest.raises(TypeError, match="Data"):
        from_data(parse("petersen"))
