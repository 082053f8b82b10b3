"""Other formats of text: read where their suffix or first line names them, refused by name where they look like edges.

METIS: a line ``nodes edges [weights]``, then a line of neighbours a node, from 1, every edge in both lines. DIMACS:
lines ``c``, ``p edge nodes edges``, ``e u v`` or ``a u v weight``. Adjacency list: ``u v w ...``, the neighbours of u.
Pajek, graph6 and sparse6: NetworkX's readers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import networkx as nx
import numpy as np
import scipy.sparse as sp

from ..checks import shown
from .graph import Graph, from_networkx, from_sparse
from .markup import with_integers
from .pairs import check_node_count, graph_of_pairs
from .reading import WEIGHT, Reading, ReadOptions, check_options, integer_names, named, one_line, quoted
from .text import Line, read_text, text_lines

# Beginnings of files that only look like lists of edges, and what they are.
_REFUSED = {
    r"(?:strict\s+)?(?:di)?graph\b[^{]*\{|graph\s*$": "DOT (Graphviz)",
    r"[{\[]": "JSON",
    r"<[?!a-zA-Z]": "XML (GraphML is read from .graphml)",
    r"dl\b.*=|dl\s+n\s": "UCINET's DL",
    r"@(?:nodes|arcs|edges)\b": "LEMON's LGF",
    r"nodedef\s*>": "GDF",
    r"LEDA\.GRAPH": "LEDA",
}
_FIRST = 65536  # bytes in which a file names its format


def kind_of(file: Path) -> str | None:
    """The format that the first lines of ``file`` name: a key of FOREIGN, ".mtx", or None."""
    with file.open("rb") as stream:
        head = stream.read(_FIRST).decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")
    if head.startswith("%%MatrixMarket"):
        return ".mtx"
    if head.startswith((">>graph6<<", ">>sparse6<<")):
        return ".g6" if head.startswith(">>graph6") else ".s6"
    if re.match(r"\*(?:vertices|network)\b", _first_line(head, "%"), re.IGNORECASE):
        return ".net"
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    body = [line for line in lines if not re.match(r"c(?:\s|$)", line)]
    if (
        body
        and re.fullmatch(r"p\s+\w+\s+\d+\s+\d+\s*", body[0])
        and all(re.match(r"[eanv]\s", one) for one in body[1:-1])
    ):
        return ".dimacs"
    return None


def read_foreign(file: Path, kind: str, options: ReadOptions, symmetrize: bool) -> Graph:
    """The graph in ``file``, of a format in FOREIGN. ValueError naming file and format where it is not readable."""
    title, reader = FOREIGN[kind]
    check_options(file, title, options, lists=kind == ".adjlist")
    try:
        return named(file, lambda: reader(file, options, symmetrize))
    except OSError:
        raise
    except ValueError as error:
        if isinstance(error, UnicodeError):
            raise ValueError(f"{quoted(file)} is not a readable {title} file: {one_line(error)}") from None
        raise
    except Exception as error:  # NetworkX's parsers raise a dozen types
        raise ValueError(f"{quoted(file)} is not a readable {title} file: {one_line(error)}; export it again") from None


def check_own_format(lines: Sequence[str], *, whole: bool = True) -> None:
    """Raises ValueError, naming the format, for the ``lines`` of a file that is not an edge list but looks like one; of
    an adjacency list only the ``whole`` file tells."""
    for pattern, title in _REFUSED.items():
        if re.match(pattern, lines[0], re.IGNORECASE if title != "DOT (Graphviz)" else 0):
            raise ValueError(f"it looks like {title}, which is not read; export an edge list, GraphML or GML")
    if whole and "{" not in lines[0] and _adjacency(lines):
        raise ValueError(
            "it looks like an adjacency list (a node and its neighbours a line); name it .adjlist to have it read so, "
            "or say --delimiter space where its lines are edges 'u v weight'"
        )


def looks_metis(text: str) -> bool:
    """Whether ``text`` is a METIS file without weights, beyond doubt: as many lines and fields as its first line says,
    and every edge in both of its lines."""
    rows = _metis_rows(text)
    if not rows or len(rows[0]) != 2 or not all(re.fullmatch(r"[0-9]{1,9}", word) for word in rows[0]):
        return False
    n, edges = int(rows[0][0]), int(rows[0][1])
    if len(rows) - 1 != n or not edges or sum(map(len, rows[1:])) != 2 * edges:
        return False
    arcs = {(str(k), word) for k, row in enumerate(rows[1:], start=1) for word in row}
    return all((v, u) in arcs for u, v in arcs)


def _metis_rows(text: str) -> list[list[str]]:
    """The fields of the first line and of one line a node; an isolated one has none."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("%")]
    while lines and not lines[0].strip():
        lines.pop(0)
    head = re.match(r"\s*([0-9]{1,9})\s", lines[0]) if lines else None
    if head is None:
        return []
    while len(lines) - 1 > int(head[1]) and not lines[-1].strip():
        lines.pop()
    return [line.split() for line in lines] if len(lines) - 1 == int(head[1]) else []


def _adjacency(lines: Sequence[str]) -> bool:
    """Whether the ``lines`` may be each a node and its neighbours, so that reading them as edges with weights could
    give another graph. They are edges beyond doubt where a node begins two lines, or a line names a neighbour twice.

    Where lines have three fields, as weighted edges do, or one, each field must begin a line as well, and stand once in
    its own; where some have two, third fields must be names as the others are.
    """
    firsts = set[str]()
    for line in lines:
        first = line.split(None, 1)[0]
        if first in firsts:
            return False
        firsts.add(first)
    rows = [line.split() for line in lines]
    longest = max(map(len, rows))
    if longest < 3:
        return False  # the same edges either way
    begun = all(word in firsts for row in rows for word in row)
    if longest > 3:
        return begun
    if all(len(row) != 2 for row in rows):
        return begun and all(len(set(row)) == len(row) for row in rows)
    thirds = {row[2] for row in rows if len(row) == 3}
    names = {word for row in rows for word in row[:2]}
    alike = thirds <= names or integer_names(thirds | names)
    return alike and all(len(row) < 3 or row[1] != row[2] for row in rows)


def _read_metis(file: Path, options: ReadOptions, symmetrize: bool) -> Graph:
    head, *rows = _metis_rows(read_text(file)) or [[]]
    if not (2 <= len(head) <= 4 and all(re.fullmatch("[0-9]{1,9}", word) for word in head)):
        raise ValueError("a METIS file begins with 'nodes edges' and has then one line of neighbours a node")
    n, form = int(head[0]), f"{int(head[2]) if len(head) > 2 else 0:03d}"
    skip = int(form[0]) + int(form[1]) * (int(head[3]) if len(head) > 3 else 1)
    weighted = form[2] == "1"
    tails, heads, weights = list[int](), list[int](), list[float]()
    for k, row in enumerate(rows):
        fields = row[skip:]
        if weighted and len(fields) % 2:
            raise ValueError(f"node {k + 1} has {len(fields)} fields; neighbours and weights come in twos")
        for place in range(0, len(fields), 2 if weighted else 1):
            tails.append(k)
            heads.append(int(fields[place]) - 1)
            weights.append(float(fields[place + 1]) if weighted and options.weight else 1.0)
    reading = Reading("METIS", "third field of neighbours" if weighted and options.weight else "all 1")
    return _of_arcs(file, n, tails, heads, weights, reading, symmetrize)


def _read_dimacs(file: Path, options: ReadOptions, symmetrize: bool) -> Graph:
    tails, heads, weights, n, undirected, comments = list[int](), list[int](), list[float](), 0, True, 0
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        fields = line.split()
        if not fields or fields[0] == "c":
            comments += bool(fields)
        elif fields[0] == "p" and len(fields) == 4:
            n = int(fields[2])
        elif fields[0] in "ea" and len(fields) in (3, 4):
            undirected = undirected and fields[0] == "e"
            tails.append(int(fields[1]) - 1)
            heads.append(int(fields[2]) - 1)
            weights.append(float(fields[3]) if len(fields) == 4 and options.weight else 1.0)
        elif fields[0] not in "nvdx":
            raise ValueError(f"{file}:{number}: {shown(line)} is no line of DIMACS; write 'e u v' or 'a u v weight'")
    third = any(weight != 1 for weight in weights)
    reading = Reading("DIMACS", "fourth field" if third else "all 1", comments=comments)
    if undirected:
        check_node_count(n, len(tails))
        _check_ends(n, tails, heads)
        names = np.arange(1, n + 1)
        return graph_of_pairs(names, tails, heads, np.array(weights, dtype=np.float64), file.name, reading)
    return _of_arcs(file, n, tails, heads, weights, reading, symmetrize)


def _of_arcs(
    file: Path, n: int, tails: list[int], heads: list[int], weights: list[float], reading: Reading, symmetrize: bool
) -> Graph:
    check_node_count(n, len(tails))
    _check_ends(n, tails, heads)
    matrix = sp.coo_array((np.array(weights, dtype=np.float64), (tails, heads)), shape=(n, n))
    return from_sparse(matrix, file.name, range(1, n + 1), symmetrize, reading=reading)


def _check_ends(n: int, tails: Sequence[int], heads: Sequence[int]) -> None:
    wrong = next((end for end in (*tails, *heads) if not 0 <= end < n), None)
    if wrong is not None:
        raise ValueError(f"node {wrong + 1} is not among 1 to {n}")


def _read_adjacency(file: Path, options: ReadOptions, symmetrize: bool) -> Graph:
    lines, comments = text_lines(read_text(file), options.comments, tables=False)
    if not lines:
        raise ValueError("has no nodes; an adjacency list has a node and its neighbours a line")
    row: dict[str, int] = {}
    tails, heads = list[int](), list[int]()
    for line in lines:
        first, *others = _neighbours(line, options)
        tail = row.setdefault(first, len(row))
        for other in others:
            tails.append(tail)
            heads.append(row.setdefault(other, len(row)))
    reading = Reading("adjacency list", "all 1", comments=comments)
    return graph_of_pairs(tuple(row), tails, heads, np.ones(len(tails)), file.name, reading)


def _neighbours(line: Line, options: ReadOptions) -> list[str]:
    mark = options.delimiter
    fields = line.content.split(None if mark in (None, " ") else mark)
    return [fields[0].removesuffix(":") or fields[0], *fields[1:]]


def _read_pajek(file: Path, options: ReadOptions, symmetrize: bool) -> Graph:
    text = read_text(file)
    found = re.search(r"^\s*\*vertices\s+([0-9]+)", text, re.IGNORECASE | re.MULTILINE)
    lists = re.search(r"^\s*\*(?:arcs|edges)list", text, re.IGNORECASE | re.MULTILINE)
    if found is None or lists is not None:
        raise ValueError("Pajek is read with *vertices and *edges, *arcs or *matrix; export it so")
    check_node_count(int(found[1]), len(text))
    graph = nx.parse_pajek(text)
    if graph.number_of_nodes() != int(found[1]):
        raise ValueError(
            f"{graph.number_of_nodes()} different labels for {int(found[1])} vertices; give each vertex one of its own"
        )
    weight = WEIGHT if options.weight else None
    weighted = weight is not None and any(float(w) != 1 for _, _, w in graph.edges(data=weight, default=1))
    reading = Reading("Pajek", "third field" if weighted else "all 1")
    return from_networkx(with_integers(graph), file.name, weight, symmetrize, reading=reading)


def _read_graph6(file: Path, options: ReadOptions, symmetrize: bool) -> Graph:
    data = file.read_bytes().strip()
    if b"\n" in data:
        raise ValueError("holds several graphs; keep the line of one")
    data = data.removeprefix(b">>sparse6<<").removeprefix(b">>graph6<<")
    if data.startswith(b":"):
        check_node_count(nx.readwrite.graph6.data_to_n([byte - 63 for byte in data[1:9]])[0], len(data))
        graph = nx.from_sparse6_bytes(data)
    else:
        graph = nx.from_graph6_bytes(data)  # refuses a size that is not that of the data
    return from_networkx(graph, file.name, None, symmetrize, reading=Reading("graph6 or sparse6", "all 1"))


def _first_line(head: str, comment: str) -> str:
    lines = (line.strip() for line in head.splitlines())
    return next((line for line in lines if line and not line.startswith(comment)), "")


FOREIGN: dict[str, tuple[str, Callable[[Path, ReadOptions, bool], Graph]]] = {
    ".adjlist": ("adjacency list", _read_adjacency),
    ".metis": ("METIS", _read_metis),
    ".net": ("Pajek", _read_pajek),
    ".dimacs": ("DIMACS", _read_dimacs),
    ".g6": ("graph6", _read_graph6),
    ".s6": ("sparse6", _read_graph6),
}
