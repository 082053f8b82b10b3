"""Complete multipartite graphs: recognised from the adjacency, and only they are."""

import networkx as nx
import numpy as np
import pytest
from networkx.generators.atlas import graph_atlas_g
from scipy.linalg import eigvalsh

from fiedler.theory import from_networkx, one_hop_target
from fiedler.theory.closed_forms.multipartite import multipartite_parts
from fiedler.theory.closed_forms.tied import (
    closed_form_optimum,
    multipartite_optimum,
)
from tied_forms import compare, dense


class TestMultipartite:
    @pytest.mark.parametrize(
        "parts", [(1, 5), (2, 3), (4, 4), (1, 2, 3), (2, 2, 2), (1, 1, 4), (1, 1, 1, 2), (3, 3, 5, 5), (1, 1, 1, 1)]
    )
    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    def test_they_are_recognised_from_the_adjacency_in_any_order(self, parts, smoothing):
        graph = nx.complete_multipartite_graph(*parts)
        order = np.random.default_rng(0).permutation(len(graph)).tolist()
        moved = from_networkx(nx.relabel_nodes(graph, dict(enumerate(order))))
        found = closed_form_optimum(moved, label_smoothing=smoothing)
        assert found.family == "complete multipartite"
        compare(found, dense(moved, label_smoothing=smoothing))
        assert found.attained == (len(set(parts)) == 1)
        target = one_hop_target(moved, label_smoothing=smoothing)
        s = (target + target.T) / 2
        s = s - s.mean(axis=0)
        s = s - s.mean(axis=1, keepdims=True)
        top = np.sort(eigvalsh(s))[-2:]  # one zero is the constant mode
        assert found.excess == pytest.approx(0.0 if max(parts) > 1 else top[0], abs=1e-14)

    @pytest.mark.parametrize("parts", [(1, 5), (2, 3), (1, 2, 3), (1, 1, 4), (3, 3, 5, 5), (3, 3)])
    def test_under_decay(self, parts):
        graph = from_networkx(nx.complete_multipartite_graph(*parts))
        target = one_hop_target(graph)
        edge = eigvalsh((target + target.T) / 2 - 1 / len(target)).max()
        assert multipartite_optimum(*parts, weight_decay=2.0).zero_from == pytest.approx(edge, abs=1e-12)
        compare(
            closed_form_optimum(graph, weight_decay=1.01 * edge + 1e-3), dense(graph, weight_decay=1.01 * edge + 1e-3)
        )
        found = closed_form_optimum(graph, weight_decay=2.0)
        assert found.excess == pytest.approx(edge - 2.0, abs=1e-12)
        if len(set(parts)) > 1:
            assert closed_form_optimum(graph, weight_decay=0.9 * edge) is None
            assert dense(graph, weight_decay=0.9 * edge).rank > 0

    def test_weights_loops_and_missing_edges_are_not_recognised(self):
        graph = nx.complete_bipartite_graph(3, 4)
        assert closed_form_optimum(from_networkx(graph)) is not None
        doubled = nx.Graph((u, v, {"weight": 2.0}) for u, v in graph.edges)
        assert closed_form_optimum(from_networkx(doubled)) is not None
        doubled[0][3]["weight"] = 3.0
        assert closed_form_optimum(from_networkx(doubled)) is None
        for change in (lambda g: g.add_edge(0, 0), lambda g: g.remove_edge(0, 3), lambda g: g.add_edge(0, 1)):
            other = graph.copy()
            change(other)
            assert closed_form_optimum(from_networkx(other)) is None

    def test_recognition_is_exact_on_all_graphs_of_six_nodes(self):
        for graph in graph_atlas_g():
            if len(graph) in (0, 7) or min(dict(graph.degree).values()) == 0:
                continue
            other = nx.complement(graph)
            cliques = [other.subgraph(part) for part in nx.connected_components(other)]
            expected = all(part.number_of_edges() == len(part) * (len(part) - 1) // 2 for part in cliques)
            found = multipartite_parts(from_networkx(graph))
            assert sorted(found or ()) == (sorted(len(part) for part in cliques) if expected else [])

    def test_degrees_alone_do_not_make_a_multipartite_graph(self):
        # Names and degrees fit parts (3, 1, 3), but edges run inside a part.
        edges = ["01", "02", "04", "06", "12", "13", "14", "15", "16", "23", "25", "34", "35", "46", "56"]
        graph = nx.Graph()
        graph.add_nodes_from(range(7))
        graph.add_edges_from((int(u), int(v)) for u, v in edges)
        assert multipartite_parts(from_networkx(graph)) is None

    def test_self_edges_only_on_complete_graphs(self):
        complete, star = (from_networkx(g) for g in (nx.complete_graph(4), nx.star_graph(4)))
        compare(closed_form_optimum(complete, self_edges=True), dense(complete, self_edges=True))
        assert closed_form_optimum(star, self_edges=True) is None
        assert dense(star, self_edges=True).rank > 0
