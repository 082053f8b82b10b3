"""A graph from whatever describes one: a word, a file, a NetworkX graph, a matrix."""

from __future__ import annotations

import os
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp

from ..checks import check_flag
from .graph import Graph, from_dense, from_networkx, from_sparse
from .readers import read_graph
from .reading import ReadOptions, check_read_options
from .words import parse


def as_graph(obj: Any, *, symmetrize: bool = False, options: ReadOptions | None = None) -> Graph:
    """Return ``obj`` as a Graph.

    Accepted: a Graph (returned unchanged), a graph word or the path of a file (``graphs.words.parse``), a path
    object (``graphs.readers.read_graph``), a NetworkX graph, a SciPy sparse matrix or array, a dense square NumPy
    array. Raises TypeError for anything else, ValueError for data that is no graph (see the conventions
    above). ``options``: how a file is read, without effect on anything else.

    >>> import numpy as np
    >>> from fiedler.theory import as_graph
    >>> graph = as_graph(np.array([[0, 2, 0], [2, 0, 1], [0, 1, 0]]))  # a path with weights
    >>> graph.n, graph.edge_count, graph.degrees.tolist()
    (3, 2, [2.0, 3.0, 1.0])
    """
    check_flag(symmetrize, "symmetrize")
    check_read_options(options)
    if isinstance(obj, Graph):
        return obj
    if isinstance(obj, str):
        return parse(obj, symmetrize=symmetrize, options=options)
    if isinstance(obj, os.PathLike):
        return read_graph(obj, symmetrize=symmetrize, options=options)
    if isinstance(obj, nx.Graph):
        return from_networkx(obj, symmetrize=symmetrize)
    if sp.issparse(obj):
        return from_sparse(obj, symmetrize=symmetrize)
    if isinstance(obj, np.ndarray) and not isinstance(obj, np.ma.MaskedArray):  # the mask would be lost
        return from_dense(obj, symmetrize=symmetrize)
    raise TypeError(
        f"cannot make a graph from {type(obj).__name__}; "
        "give a graph word, a path, a NetworkX graph, or a SciPy sparse or dense square matrix"
    )
