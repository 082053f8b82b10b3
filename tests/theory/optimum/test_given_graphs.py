"""What a NetworkX user passes first: a graph, or its adjacency, in the place of a target."""

import networkx as nx
import numpy as np
import pytest

from fiedler.theory import parse, tied_flow, tied_optimum, untied_optimum

GRAPHS = [nx.karate_club_graph(), parse("karate"), "karate"]
SOLVERS = [tied_optimum, untied_optimum, lambda target: tied_flow(target, np.eye(34), times=[1.0])]


@pytest.mark.parametrize("given", GRAPHS, ids=["NetworkX", "Graph", "word"])
@pytest.mark.parametrize("solver", SOLVERS, ids=["tied", "untied", "flow"])
def test_a_graph_is_told_how_to_become_a_target(given, solver):
    with pytest.raises(TypeError, match=r"^target must be .*; of a graph: one_hop_target\(as_graph\(graph\)\)$"):
        solver(given)


@pytest.mark.parametrize("form", [nx.to_numpy_array, nx.to_scipy_sparse_array])
def test_an_adjacency_is_told_what_its_rows_lack(form):
    with pytest.raises(ValueError, match=r"^target row 1 sums to 2; divide each row by its sum \(one_hop_target\)$"):
        tied_optimum(form(nx.path_graph(3)))
