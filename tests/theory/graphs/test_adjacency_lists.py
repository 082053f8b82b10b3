"""Weighted lists and adjacency lists, which look alike: the first are read, the second never as edges of another."""

import re

import networkx as nx
import numpy as np
import pytest

from fiedler.theory.graphs import edge_lists
from fiedler.theory.graphs.readers import read_graph
from fiedler.theory.graphs.reading import ReadOptions

GENERATED = 60  # graphs of each kind


def read(folder, lines, name="g.txt", **options):
    file = folder / name
    file.write_text("".join(f"{line}\n" for line in lines))
    return read_graph(file, options=ReadOptions(**options))


def read_or_refused(folder, lines):
    """The graph, or None where the lines are refused as an adjacency list, with what to do instead."""
    try:
        return read(folder, lines)
    except ValueError as error:
        if re.search(r"adjacency list .*\.adjlist .* or say --delimiter space", str(error)) is None:
            raise
        return None


def some_graph(seed, shape="any"):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 10))
    if shape != "any":
        made = {"ring": nx.cycle_graph, "path": nx.path_graph}
        return made[shape](n) if shape in made else nx.random_labeled_tree(n, seed=seed)
    return nx.gnm_random_graph(n, int(rng.integers(2, n * (n - 1) // 2 + 1)), seed=seed)


def weighted(kind, seed):
    """A graph with integers as weights, and its lines."""
    rng = np.random.default_rng(seed)
    graph = some_graph(seed, kind.split()[0])
    graph.remove_nodes_from(list(nx.isolates(graph)))
    for edge in graph.edges:
        graph.edges[edge]["weight"] = int(rng.integers(1, rng.choice([2, 4, 12, 100])))
    edges = list(graph.edges(data="weight"))
    if kind == "any turned":
        edges = [(v, u, w) if rng.random() < 0.5 else (u, v, w) for u, v, w in edges]
        rng.shuffle(edges)
    elif kind == "any both ways":
        edges += [(v, u, w) for u, v, w in edges]
    elif kind == "tree by child":
        edges = [(v, u, graph.edges[u, v]["weight"]) for u, v in nx.bfs_edges(graph, 0)]
    elif kind == "ring on":  # every node begins a line
        edges = [(u, (u + 1) % len(graph), graph.edges[u, (u + 1) % len(graph)]["weight"]) for u in graph]
    return graph, [" ".join(map(str, edge)) for edge in edges]


def neighbours(kind, seed):
    """The lines of a node and its neighbours each."""
    rng = np.random.default_rng(seed)
    graph = some_graph(seed, kind.split()[0])
    if kind.endswith("full"):  # both lines of an edge name it
        return [" ".join(map(str, [u, *rng.permutation(sorted(graph[u]))])) for u in graph]
    if kind == "any directed":
        graph = nx.gnm_random_graph(len(graph), 2 * len(graph) - 2, seed=seed, directed=True)
    elif kind == "any of two":  # three fields in every line
        graph = nx.DiGraph()
        n = int(rng.integers(4, 10))
        graph.add_edges_from((u, (u + int(k)) % n) for u in range(n) for k in rng.permutation(np.arange(1, n))[:2])
    lines = list(nx.generate_adjlist(graph))
    return [line for line in lines if " " in line] if kind.endswith("short") else lines


def adjacency(graph):
    return graph.nodes, graph.adjacency.toarray().tolist()


@pytest.mark.parametrize(
    ("kind", "most_refused"),
    [("any", 0), ("any turned", 0), ("any both ways", 1), ("path", 0), ("tree", 0), ("tree by child", 0),
     ("ring", 0), ("ring on", 4)],
)  # fmt: skip
def test_weighted_lists_of_integers_are_read(tmp_path, kind, most_refused):
    refused = 0
    for seed in range(GENERATED):
        source, lines = weighted(kind, seed)
        expected = sorted(source), nx.to_numpy_array(source, nodelist=sorted(source)).tolist()
        said = read(tmp_path, lines, delimiter="space")
        assert (list(said.nodes), said.adjacency.toarray().tolist()) == expected
        found = read_or_refused(tmp_path, lines)
        assert found is None or adjacency(found) == adjacency(said)
        refused += found is None
    assert refused <= most_refused


@pytest.mark.parametrize(
    "kind",
    [
        "any",
        "any full",
        "any directed",
        "any of two",
        "ring",
        "ring full",
        "ring short",
        "path full",
        "tree",
        "tree full",
    ],
)
def test_an_adjacency_list_is_never_another_graph(tmp_path, kind):
    refused = 0
    for seed in range(GENERATED):
        lines = neighbours(kind, seed)
        expected = adjacency(read(tmp_path, lines, "g.adjlist"))
        found = read_or_refused(tmp_path, lines)
        assert found is None or adjacency(found) == expected, lines
        refused += found is None
    assert refused > 0


def test_what_is_doubtful_and_what_is_not(tmp_path):
    assert read(tmp_path, ["0 1 4"]).edge_count == 1  # three fields, and 4 is no name of a node
    assert read(tmp_path, ["0 1 4", "1 2 3", "2 3 1", "3 0 2", "0 2 3"]).edge_count == 5  # 0 begins two lines
    assert read(tmp_path, ["a b 2", "b c"]).edge_count == 2  # names are no numbers
    assert read(tmp_path, ["0 1 1", "1 2"]).edge_count == 2  # no node is a neighbour twice
    for lines in (["0 1 4", "1 2 3", "2 3 1", "3 4 2", "4 0 3"], ["0 1 4", "1 2", "2 3", "3 4"], ["0 1 2", "1", "2"]):
        with pytest.raises(ValueError, match=r"looks like an adjacency list .*\.adjlist .* or say --delimiter space"):
            read(tmp_path, lines)


def test_large_files_are_asked_whole(tmp_path, monkeypatch):
    n = 400
    doubtful = [f"{u} {(u + 1) % n} {(u + 7) % n}" for u in range(n)]
    for name, value in (("LARGE", 0), ("BLOCK", 400), ("SAMPLE", 400)):
        monkeypatch.setattr(edge_lists, name, value)
    with pytest.raises(ValueError, match="looks like an adjacency list"):
        read(tmp_path, doubtful)
    assert read(tmp_path, [*doubtful, "0 5 3"]).edge_count == n  # one more, and one of weight 0
    assert read(tmp_path, [f"{line}.5" for line in doubtful]).edge_count == n
    assert read(tmp_path, [*(f"{u} {u + 1} 2" for u in range(n)), "7 9"]).edge_count == n + 1  # of two and three fields
