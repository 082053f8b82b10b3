"""Graphs from files: edge lists, GraphML, GML, Matrix Market, SciPy sparse ``.npz`` and other formats of text. Nothing
is ever unpickled."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ..checks import brief, check_flag
from .edge_lists import read_edge_list
from .foreign_text import kind_of, looks_metis, read_foreign
from .graph import Graph
from .markup import read_markup
from .matrix_files import read_matrix_market, read_npz
from .reading import ReadOptions, check_read_options, quoted
from .text import file_path, read_text


def read_graph(path: str | os.PathLike[str], *, symmetrize: bool = False, options: ReadOptions | None = None) -> Graph:
    """Read the graph in a file, by suffix; its name is the file's name, its ``reading`` what was understood of it.

    ``.graphml``, ``.gml``: NetworkX's readers, edge weights from the attribute ``weight``, its default included; nodes
        in file order, named by their id (GraphML) or label (GML; the id where labels are missing or repeat), integers
        if all of them are as Python writes them.
    ``.mtx``: Matrix Market, coordinate or array; nodes 0 .. n-1.
    ``.npz``: ``scipy.sparse.save_npz``; nodes 0 .. n-1.
    ``.adjlist``, ``.metis``, ``.g6``, ``.s6``; DIMACS and Pajek, by their first line; see ``graphs.foreign_text``.
    Every other suffix: an edge list, always undirected; see ``read_edge_list``. What looks like one of these formats,
        but is not named so, is an error that names it.

    ``options``: the delimiter, header and comments of an edge list, and where weights are. A directed graph or
    asymmetric matrix is an error unless ``symmetrize`` (see ``graphs.graph``).
    Raises ValueError in one line naming the file: for one that does not exist, is a directory, cannot be read
    or parsed, holds pickled data or no nodes, says it is larger than it is, or breaks the conventions of
    ``graphs.graph``; for options that its format has no use for.
    """
    check_flag(symmetrize, "symmetrize")
    chosen = check_read_options(options)
    file = file_path(path)
    try:
        if file.is_dir():
            raise ValueError(f"{quoted(file)} is a directory; give the path of a graph file inside it")
        if not file.exists():
            raise ValueError(f"graph file {quoted(file)} does not exist; check the path")
        if not file.is_file():  # a pipe would be waited for, a device read without end
            raise ValueError(f"{quoted(file)} is not an ordinary file; copy the graph to one")
        return _read(file, symmetrize, chosen)
    except OSError as error:
        reason = brief(error.strerror or error)
        raise ValueError(f"cannot read {quoted(file)}: {reason}; check the path and its permissions") from None


def _read(file: Path, symmetrize: bool, options: ReadOptions) -> Graph:
    suffix = file.suffix.lower()
    if suffix in _READERS:
        return _READERS[suffix](file, symmetrize, options)
    if suffix in (".adjlist", ".metis", ".g6", ".s6"):
        return read_foreign(file, suffix, options, symmetrize)
    if suffix in (".tgf", ".gexf", ".dot", ".gv", ".json"):
        raise ValueError(f"{quoted(file)} is a {suffix} file, which is not read; export an edge list, GraphML or GML")
    kind = kind_of(file)
    if kind is None and suffix == ".graph" and looks_metis(read_text(file)):
        kind = ".metis"
    if kind in _READERS:
        return _READERS[kind](file, symmetrize, options)
    return read_edge_list(file, options) if kind is None else read_foreign(file, kind, options, symmetrize)


_READERS: dict[str | None, Callable[[Path, bool, ReadOptions], Graph]] = {
    ".graphml": read_markup,
    ".gml": read_markup,
    ".mtx": read_matrix_market,
    ".npz": read_npz,
}
