"""GraphML and GML, by NetworkX's parsers, with what those leave out: default weights, parallel edges of one id, UTF-8.

Nothing is ever unpickled.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Hashable
from numbers import Real
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring
from xml.etree.ElementTree import parse as parse_xml

import networkx as nx

from ..checks import shown
from .graph import Graph, from_networkx
from .reading import WEIGHT, Reading, ReadOptions, check_options, integer_names, named, one_line, quoted

_GRAPHML = "{http://graphml.graphdrawing.org/xmlns}"


def read_markup(file: Path, symmetrize: bool, options: ReadOptions) -> Graph:
    """The graph in a .graphml or .gml file: nodes in file order, named by their id (GraphML) or label (GML; the id
    where labels are missing or repeat), integers if all of them are as Python writes them."""
    title, read = _FORMATS[file.suffix.lower()]
    check_options(file, title, options, attributes=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of yEd's ports and untyped keys, which weights do not need
            graph, notes = read(file, options)
    except OSError:
        raise
    except Exception as error:  # the parsers raise a dozen types: XML, KeyError, NetworkXError, ...
        reason = f"is not a readable {file.suffix[1:].lower()} file: {one_line(error)}"
        raise ValueError(
            f"{quoted(file)} {reason}{'' if isinstance(error, _Unclear) else '; export it again'}"
        ) from None
    return named(file, lambda: _graph(graph, file, symmetrize, options, title, notes))


class _Unclear(ValueError):
    """What only the user can settle; the message says how."""


def _graph(graph: nx.Graph, file: Path, symmetrize: bool, options: ReadOptions, title: str, notes: list[str]) -> Graph:
    weight = options.weight or None
    found = 0
    names = Counter[str]()
    for u, v, data in graph.edges(data=True):
        names.update(name for name, value in data.items() if isinstance(value, Real))
        if weight is None or weight not in data:
            continue
        found += 1
        data[weight] = _number(u, v, data[weight])
    if weight not in (WEIGHT, None) and not found and graph.number_of_edges():
        has = f"it has {', '.join(sorted(names))}" if names else "they have no numbers"
        raise ValueError(f"no edge has the attribute {shown(weight)}; {has}")
    if found < graph.number_of_edges() and found:
        notes.append(f"{graph.number_of_edges() - found:,} edges without {weight!r} weigh 1")
    reading = Reading(title, f"attribute {weight!r}" if found else "all 1", notes=tuple(notes))
    return from_networkx(with_integers(graph), file.name, weight, symmetrize, reading=reading)


def with_integers(graph: nx.Graph) -> nx.Graph:
    """The graph with integers for names if all of them are, as Python writes them."""
    labels = list(graph.nodes)
    if not integer_names(labels) or len(set(map(str, labels))) < len(labels):
        return graph
    return nx.relabel_nodes(graph, {node: int(str(node)) for node in labels})


def _number(u: Hashable, v: Hashable, value: Any) -> Any:
    """A weight that is written as text is the number it shows."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"the weight {shown(value)} of edge {u} - {v} is not a number; give it a number") from None


def _read_graphml(file: Path, options: ReadOptions) -> tuple[nx.Graph, list[str]]:
    root = parse_xml(file).getroot()
    graphs = root.findall(f"{_GRAPHML}graph")
    if len(graphs) > 1:
        raise _Unclear(f"it holds {len(graphs)} graphs; keep one <graph>")
    if graphs and any(node.find(f"{_GRAPHML}graph") is not None for node in graphs[0].findall(f"{_GRAPHML}node")):
        groups = [node for node in graphs[0].findall(f"{_GRAPHML}node") if node.find(f"{_GRAPHML}graph") is not None]
        if any(node.get("yfiles.foldertype") != "group" for node in groups):
            raise _Unclear("it holds graphs inside nodes, whose edges would be lost; write one flat <graph>")
    for number, edge in enumerate(root.iter(f"{_GRAPHML}edge")):
        edge.set("id", str(number))  # NetworkX takes edges of one id, or of one attribute "key", for one edge
    defaults = _defaults(root)
    graph = nx.parse_graphml(tostring(root, encoding="unicode"), force_multigraph=True)
    if options.weight in defaults:
        for _, _, data in graph.edges(data=True):
            data.setdefault(options.weight, defaults[options.weight])
    return graph, []


def _defaults(root: Element) -> dict[str, str]:
    """The default values of edges' attributes, by name."""
    found = {}
    for key in root.findall(f"{_GRAPHML}key"):
        default = key.find(f"{_GRAPHML}default")
        if key.get("for") in ("edge", "all", None) and default is not None and default.text:
            found[key.get("attr.name", "")] = default.text.strip()
    return found


def _read_gml(file: Path, options: ReadOptions) -> tuple[nx.Graph, list[str]]:
    data = file.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:  # GML's own encoding is Latin-1, but for files that are neither
        if b"\0" in data or "encoding" in str(data[:200]).lower():
            raise
        text = data.decode("latin-1")
    # NetworkX reads ASCII, with other characters as entities; it takes edges that repeat where the file says so.
    text = text.encode("ascii", "xmlcharrefreplace").decode("ascii")
    notes: list[str] = []
    label, many = "label", False
    for _ in range(3):
        try:
            lines = _multigraph(text) if many else text
            return nx.parse_gml(lines.splitlines(), label=label), notes
        except nx.NetworkXError as error:
            message = str(error)
            if label == "label" and (
                "no 'label' attribute" in message or re.search("node label .* duplicated", message)
            ):
                if "duplicated" in message:
                    notes.append("labels repeat: nodes are named by their ids")
                label = "id"
            elif not many and re.search("edge .* duplicated", message, re.DOTALL):
                many = True
            else:
                raise
    raise nx.NetworkXError("its nodes and edges repeat")


def _multigraph(text: str) -> str:
    """GML that says that its edges may repeat, and has no keys that tell them apart."""
    text = re.sub(r"^\s*key\s+\S+\s*$", "", text, flags=re.MULTILINE)
    return re.sub(r"\bgraph\s*\[", "graph [\n  multigraph 1\n", text, count=1)


_FORMATS: dict[str, tuple[str, Callable[[Path, ReadOptions], tuple[nx.Graph, list[str]]]]] = {
    ".graphml": ("GraphML", _read_graphml),
    ".gml": ("GML", _read_gml),
}
