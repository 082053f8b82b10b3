"""Graphs: what is trained on, from words, files, NetworkX and matrices."""

from .convert import as_graph
from .graph import Graph, from_networkx, from_sparse
from .readers import read_graph
from .reading import Reading, ReadOptions
from .words import parse

__all__ = [
    "Graph",
    "ReadOptions",
    "Reading",
    "as_graph",
    "from_networkx",
    "from_sparse",
    "parse",
    "read_graph",
]
