"""The one zoo of small graphs that tests are parametrised over: graph words for ``fiedler.theory.parse``, and
graphs that have no word, by name, for ``zoo_graph``."""

from __future__ import annotations

import networkx as nx
import numpy as np

from fiedler.theory import Graph, from_networkx, parse

# The four graphs of arXiv 2510.26745.
PAPER = ("path-star:4x5", "grid:4x4", "cycle:15", "irregular")

GRAPHS: dict[str, str] = {
    "odd cycle": "cycle:15",
    "even cycle": "cycle:8",
    "triangle": "cycle:3",
    "path-star": "path-star:4x5",
    "star": "path-star:5x2",
    "path": "path-star:1x7",
    "tree-star": "tree-star:3x4",
    "grid": "grid:4x4",
    "oblong grid": "grid:3x5",
    "box": "grid:2x3x4",
    "torus": "torus:4x4",
    "oblong torus": "torus:3x5",
    "cube": "hypercube:4",
    "hamming": "hamming:2,3",
    "complete": "hamming:1,5",
    "tree": "tree:3,2",
    "random": "random:9,13,0",
    "irregular": "irregular",
    "petersen": "petersen",
    "karate": "karate",
    "les-miserables": "les-miserables",
    "florentine": "florentine",
    "davis": "davis",
}

ALL = tuple(GRAPHS.values())
DISCONNECTED = ("irregular",)
CONNECTED = tuple(word for word in ALL if word not in DISCONNECTED)
BIPARTITE = (
    *("cycle:8", "path-star:4x5", "path-star:5x2", "path-star:1x7", "tree-star:3x4", "grid:4x4", "grid:3x5"),
    *("grid:2x3x4", "torus:4x4", "hypercube:4", "tree:3,2", "davis"),
)
REGULAR = (
    *("cycle:15", "cycle:8", "cycle:3", "torus:4x4", "torus:3x5", "hypercube:4", "hamming:2,3", "hamming:1,5"),
    "petersen",
)
# Small enough for tests that solve an optimum or train.
SMALL = tuple(word for word in ALL if word not in ("karate", "les-miserables", "davis", "grid:2x3x4"))


def _weighted(graph: nx.Graph, seed: int) -> nx.Graph:
    rng = np.random.default_rng(seed)
    nx.set_edge_attributes(graph, {edge: float(rng.uniform(0.2, 3.0)) for edge in graph.edges}, "weight")
    return graph


# Distance-regular, weighted, random and disconnected graphs.
WORDLESS = {
    "heawood": nx.heawood_graph,
    "pappus": nx.pappus_graph,
    "dodecahedron": nx.dodecahedral_graph,
    "icosahedron": nx.icosahedral_graph,
    "weighted tree": lambda: _weighted(nx.balanced_tree(2, 3), 0),
    "weighted grid": lambda: _weighted(nx.convert_node_labels_to_integers(nx.grid_2d_graph(3, 4)), 1),
    "random": lambda: nx.connected_watts_strogatz_graph(16, 4, 0.4, seed=3),
    "random weighted": lambda: _weighted(nx.connected_watts_strogatz_graph(14, 4, 0.5, seed=5), 2),
    "scale-free": lambda: nx.barabasi_albert_graph(18, 2, seed=1),
    "two components": lambda: nx.disjoint_union(nx.cycle_graph(5), nx.path_graph(4)),
    "with a loop": lambda: nx.Graph([(0, 0), (0, 1), (1, 2), (2, 3), (3, 0), (0, 4)]),
}


def zoo_graph(name: str) -> Graph:
    """The graph called ``name``: a word or a key of WORDLESS."""
    return from_networkx(WORDLESS[name]()) if name in WORDLESS else parse(name)
