"""Graphs from files: edge lists, GraphML, GML, Matrix Market and SciPy sparse ``.npz``. Nothing is ever
unpickled."""

from __future__ import annotations

import ast
import csv
import math
import os
import re
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import scipy.io
import scipy.sparse as sp

from ..checks import brief, check_flag, shown
from .graph import Graph, from_dense, from_networkx, from_sparse

# First lines of .csv and .tsv files that name columns rather than an edge.
_HEADERS = {("source", "target"), ("from", "to"), ("src", "dst")}

# Two sums of the same weights in a different order differ by rounding only.
_WEIGHT_RTOL = 1e-12


def read_graph(path: str | os.PathLike[str], *, symmetrize: bool = False) -> Graph:
    """Read the graph in a file, by suffix; its name is the file's name.

    ``.graphml``, ``.gml``: NetworkX's readers, edge weights from the attribute ``weight``; nodes in file order,
        named by their id (GraphML) or label (GML; the id where there are no labels), integers if all of them are.
    ``.mtx``: Matrix Market, coordinate or array; nodes 0 .. n-1.
    ``.npz``: ``scipy.sparse.save_npz``; nodes 0 .. n-1.
    Every other suffix: an edge list, always undirected; see ``read_edge_list``.

    A directed graph or asymmetric matrix is an error unless ``symmetrize`` (see ``graphs.graph``).
    Raises ValueError in one line naming the file: for one that does not exist, is a directory, cannot be read
    or parsed, holds pickled data or no nodes, or breaks the conventions of ``graphs.graph``.
    """
    check_flag(symmetrize, "symmetrize")
    file = _path(path)
    reader = _READERS.get(file.suffix.lower())
    try:
        if file.is_dir():
            raise ValueError(f"{_quoted(file)} is a directory; give the path of a graph file inside it")
        if not file.exists():
            raise ValueError(f"graph file {_quoted(file)} does not exist; check the path")
        if not file.is_file():  # a pipe would be waited for, a device read without end
            raise ValueError(f"{_quoted(file)} is not an ordinary file; copy the graph to one")
        if reader is None:
            return read_edge_list(file)
        return reader(file, symmetrize)
    except OSError as error:
        reason = brief(error.strerror or error)
        raise ValueError(f"cannot read {_quoted(file)}: {reason}; check the path and its permissions") from None


def read_edge_list(path: str | os.PathLike[str]) -> Graph:
    """Read an undirected edge list in UTF-8: one edge ``u v [weight]`` a line.

    Fields are separated by white space, a comma, or ``=`` (``u=v``); in ``.csv`` and ``.tsv`` files a line
    with a comma (tab) is separated by it alone, so labels may contain spaces or be quoted, and a first line
    ``source,target[,weight]`` is a header. ``#`` and ``%`` start comments. A line with one name is an
    isolated node. NetworkX's ``u v {'weight': w}`` is read too.

    Labels are integers if all of them are (rows ascending), else strings in order of first appearance.
    Repeated lines add their weights. If the list holds every edge in both orientations with equal weights it
    is read once (the files of arXiv 2510.26745 are like that); otherwise ``u v`` and ``v u`` are parallel
    edges and add. A repeated self-loop always adds.

    Raises ValueError naming the file, line number and line for a line that is no edge; naming the file when
    it is not text or holds no nodes.
    """
    file = _path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f"{_quoted(file)} is not a UTF-8 text file; an edge list has one 'u v [weight]' a line")
    lines = [
        (number, content, line.strip())
        for number, line in enumerate(text.split("\n"), start=1)
        if (content := re.split("[#%]", line, maxsplit=1)[0].strip())
    ]
    suffix = file.suffix.lower()
    names: dict[str, None] = {}
    edges: list[tuple[str, str, float]] = []
    for number, content, line in lines[1:] if lines and _is_header(lines[0][1], suffix) else lines:
        try:
            labels, weight = _parse_line(content, suffix)
        except ValueError as error:
            raise ValueError(f"{file}:{number}: {_one_line(error)} in {shown(line)}; write 'u v [weight]'") from None
        names.update(dict.fromkeys(labels))
        if len(labels) == 2:
            edges.append((labels[0], labels[1], weight))
    if not names:
        raise ValueError(f"{_quoted(file)} has no edges and no nodes; an edge list has one 'u v [weight]' a line")
    nodes: list[Hashable] = list(names)
    row = {name: i for i, name in enumerate(names)}
    if _all_integers(names):
        nodes = [*sorted({int(name) for name in names})]
        position = {node: i for i, node in enumerate(nodes)}
        row = {name: position[int(name)] for name in names}
    return _from_oriented(((row[u], row[v], weight) for u, v, weight in edges), nodes, file.name)


def _path(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a string or a path; got {shown(path)}")
    file = Path(path)
    if "\0" in str(file):
        raise ValueError(f"path {shown(str(file))} holds a null character; check the path")
    return file


def _quoted(file: Path) -> str:
    """The path for a message, its end when it is long."""
    text = str(file)
    return repr(text if len(text) <= 200 else "..." + text[-197:])


def _from_oriented(edges: Iterable[tuple[int, int, float]], nodes: list[Hashable], name: str) -> Graph:
    weights: dict[tuple[int, int], float] = {}
    for u, v, weight in edges:
        if weight > 0:
            weights[u, v] = weights.get((u, v), 0.0) + weight
    twice = all(math.isclose(w, weights.get((v, u), -1.0), rel_tol=_WEIGHT_RTOL) for (u, v), w in weights.items())
    rows, columns, values = [], [], []
    for (u, v), w in weights.items():
        rows.append(u)
        columns.append(v)
        values.append(w)
        if not twice and u != v:
            rows.append(v)
            columns.append(u)
            values.append(w)
    shape = (len(nodes), len(nodes))
    return from_sparse(sp.coo_array((np.array(values, dtype=np.float64), (rows, columns)), shape=shape), name, nodes)


def _split(content: str, suffix: str) -> list[str]:
    own = {".csv": ",", ".tsv": "\t"}.get(suffix)
    if own is not None and own in content:
        try:
            return [field.strip() for field in next(csv.reader([content], delimiter=own, skipinitialspace=True))]
        except csv.Error as error:
            raise ValueError(str(error)) from None
    return re.split(r"\s*[,=]\s*|\s+", content)


def _is_header(content: str, suffix: str) -> bool:
    if suffix not in (".csv", ".tsv"):
        return False
    fields = [field.lower() for field in re.split(r"[\s,]+", content)]
    return tuple(fields[:2]) in _HEADERS and fields[2:] in ([], ["weight"])


def _parse_line(content: str, suffix: str) -> tuple[list[str], float]:
    """The one or two labels of a line and its weight; ValueError says what is wrong with it."""
    weight: Any = 1.0
    attributes = re.fullmatch(r"(.*\S)\s+(\{.*\})", content)
    if attributes:
        try:
            weight = dict(ast.literal_eval(attributes[2])).get("weight", 1.0)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise ValueError("unreadable edge attributes") from None
        content = attributes[1]
    fields = _split(content, suffix)
    if not all(fields):
        raise ValueError("an empty field")
    if len(fields) > (2 if attributes else 3):
        raise ValueError(f"{len(fields)} fields")
    if len(fields) == 3:
        weight = fields[2]
    try:
        value = float(weight)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"the weight {weight!r} is not a number") from None
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"the weight {weight} is negative or not finite")
    return fields[:2], value


def _all_integers(names: Iterable[str]) -> bool:
    # ASCII digits only, and few enough for int(): Python's own rule also takes "1_000".
    return all(re.fullmatch(r"[+-]?[0-9]{1,4000}", name) for name in names)


def _read_networkx(file: Path, symmetrize: bool) -> Graph:
    try:
        graph = _read_gml(file) if file.suffix.lower() == ".gml" else nx.read_graphml(file)
    except OSError:
        raise
    except Exception as error:  # the parsers raise a dozen types: XML, KeyError, NetworkXError, ...
        kind = file.suffix[1:]
        reason = f"is not a readable {kind} file: {_one_line(error)}"
        raise ValueError(f"{_quoted(file)} {reason}; export it again") from None
    labels = [str(node) for node in graph.nodes]
    if _all_integers(labels) and len(set(map(int, labels))) == len(labels):
        graph = nx.relabel_nodes(graph, {node: int(str(node)) for node in graph.nodes})
    return _named(file, lambda: from_networkx(graph, file.name, symmetrize=symmetrize))


def _read_gml(file: Path) -> nx.Graph:
    try:
        return nx.read_gml(file, label="label")
    except nx.NetworkXError as error:
        if "no 'label' attribute" not in str(error):
            raise
        return nx.read_gml(file, label="id")


def _read_matrix_market(file: Path, symmetrize: bool) -> Graph:
    try:
        matrix = scipy.io.mmread(file)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            f"{_quoted(file)} is not a readable Matrix Market file: {_one_line(error)}; export it again"
        ) from None
    return _named(file, lambda: _renamed(matrix, file.name, symmetrize))


def _read_npz(file: Path, symmetrize: bool) -> Graph:
    try:
        matrix: Any = sp.load_npz(file)  # never unpickles: it loads with allow_pickle=False
        if matrix.format in ("csr", "csc", "bsr"):
            matrix.check_format(full_check=True)  # indices beyond the shape would be read out of bounds later
    except OSError:
        raise
    except Exception as error:
        detail = _one_line(error)
        if "pickle" in detail.lower():
            detail = "it holds pickled objects, which are never loaded"
        raise ValueError(
            f"{_quoted(file)} is not a SciPy sparse .npz: {detail}; write it with scipy.sparse.save_npz"
        ) from None
    return _named(file, lambda: from_sparse(matrix, file.name, symmetrize=symmetrize))


def _renamed(matrix: Any, name: str, symmetrize: bool) -> Graph:
    if sp.issparse(matrix):
        return from_sparse(matrix, name, symmetrize=symmetrize)
    return from_dense(np.asarray(matrix), name, symmetrize=symmetrize)


def _named(file: Path, build: Callable[[], Graph]) -> Graph:
    try:
        return build()
    except (TypeError, ValueError) as error:
        message = str(error)
        raise ValueError(message if file.name in message else f"{_quoted(file)}: {message}") from None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


_READERS: dict[str, Callable[[Path, bool], Graph]] = {
    ".graphml": _read_networkx,
    ".gml": _read_networkx,
    ".mtx": _read_matrix_market,
    ".npz": _read_npz,
}
