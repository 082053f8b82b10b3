"""The ordinary graphs of bench_any_graph, in ascending cost: made from fixed seeds, or real ones of other packages."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import networkx as nx
import numpy as np

from fiedler.theory import Graph, as_graph, parse

FOREIGN = Path(__file__).with_name("foreign.py")
REAL = ("power:200", "roads:2640", "power:9241")
ROWS = (
    "karate",
    "les-miserables",
    "grid:10x10",
    "power:200",
    "barabasi-albert:300",
    "grid:20x20",
    "watts-strogatz:400",
    "geometric:400",
    "pruned-tree:500",
    "barabasi-albert:1000",
    "blocks:1000",
    "barabasi-albert:2000",
    "grid:40x50",
    "roads:2640",
    "power:9241",
)
SEED = 1


class Unavailable(Exception):
    """A graph or a peer that cannot be had here; the message says why."""


def make(name: str, peer_python: str) -> Graph:
    """The graph of a row, its largest component. Raises Unavailable for a real one whose package is not installed."""
    family, _, size = name.partition(":")
    if name in REAL:
        graph = _foreign(name, peer_python)
    elif family == "barabasi-albert":
        graph = nx.barabasi_albert_graph(int(size), 3, seed=SEED)
    elif family == "watts-strogatz":
        graph = nx.connected_watts_strogatz_graph(int(size), 6, 0.05, seed=SEED)
    elif family == "geometric":
        graph = nx.random_geometric_graph(int(size), 0.09, seed=SEED)
    elif family == "blocks":
        chances = (np.full((4, 4), 0.002) + 0.03 * np.eye(4)).tolist()
        graph = nx.stochastic_block_model([int(size) // 4] * 4, chances, seed=SEED)
    elif family == "pruned-tree":
        graph = pruned_tree(int(size))
    else:
        return parse(name)
    largest = graph.subgraph(max(nx.connected_components(graph), key=len))
    return as_graph(nx.convert_node_labels_to_integers(nx.Graph(largest.edges())))


def pruned_tree(n: int) -> nx.Graph:
    """A balanced binary tree of depth nine, leaves of which are removed at random until n nodes are left."""
    rng = np.random.default_rng(SEED)
    tree = nx.balanced_tree(2, 9)
    while len(tree) > n:
        leaves = sorted(v for v in tree if tree.degree(v) == 1)
        tree.remove_node(leaves[int(rng.integers(len(leaves)))])
    return tree


def _foreign(name: str, peer_python: str) -> nx.Graph:
    found = subprocess.run([peer_python, str(FOREIGN), "graph", name], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        reason = (found.stderr.strip().splitlines() or ["no answer"])[-1]
        raise Unavailable(reason)
    return nx.Graph(json.loads(found.stdout.splitlines()[-1]))
