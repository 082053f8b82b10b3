"""Edge lists: one edge ``u v [weight]`` a line, read by lines, or in blocks where the file is large and regular."""

from __future__ import annotations

import ast
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import shown
from .edge_blocks import Blocks, read_blocks
from .foreign_text import check_own_format, looks_metis
from .graph import Graph
from .layout import ARROWS, ATTRIBUTES, BLANK, EQUAL, MIXED, Layout, find_layout, split
from .pairs import graph_of_pairs
from .reading import WEIGHT, Reading, ReadOptions, check_read_options, one_line, quoted
from .text import Line, file_path, read_text, text_lines

# From this size on, bytes, a file is read in blocks if it is regular; its layout is found in the first SAMPLE bytes.
LARGE, BLOCK, SAMPLE = 2**20, 2**24, 2**18


def read_edge_list(path: str | os.PathLike[str], options: ReadOptions | None = None) -> Graph:
    """Read an undirected edge list in UTF-8: one edge ``u v [weight]`` a line.

    One separator holds for the file: white space, a comma, a tab, ``;``, ``|``, or ``=`` (``u=v``); names may contain
    the others. In files with a comma, ``;``, ``|`` or tab as separator fields may be quoted. ``#`` and ``%`` start a
    comment at the start of a line or after white space, nowhere else. A first line that names columns
    (``source,target,weight``, ``u,v``, or words above integers in .csv and .tsv) is a header, and its names say which
    column is what. A line with one name is an isolated node. NetworkX's ``u v {'weight': w}`` is read too.

    Labels are integers if all of them are as Python writes them (rows ascending), else strings in order of first
    appearance: "01" is not "1". Repeated lines add their weights. If the list holds every edge in both orientations
    with equal weights it is read once (the files of arXiv 2510.26745 are like that); otherwise ``u v`` and ``v u`` are
    parallel edges and add. A repeated self-loop always adds.

    Raises ValueError naming the file, line number and line for a line that is no edge; naming the file when it is not
    text, holds no nodes, is of another format, or where its separator, header or weights are not clear: lines that may
    be nodes and their neighbours, such as ``0 1 4`` and ``1 2``, are edges only where a ``delimiter`` is given. A node
    that begins two lines, and third fields that are no names of nodes, show that they are edges.
    """
    file = file_path(path)
    chosen = check_read_options(options)
    suffix = file.suffix.lower()
    if file.stat().st_size > LARGE:
        graph = _by_blocks(file, suffix, chosen)
        if graph is not None:
            return graph
    text = read_text(file)
    if chosen.delimiter is None and chosen.header is None and looks_metis(text):
        raise ValueError(
            f"{quoted(file)}: it looks like METIS; name it .metis to have it read so, or say --no-header for a list of "
            "edges"
        )
    lines, comments = text_lines(text, chosen.comments, tables=chosen.delimiter is None)
    if not lines:
        raise ValueError(f"{quoted(file)} has no edges and no nodes; an edge list has one 'u v [weight]' a line")
    layout = _layout(file, lines, suffix, chosen)
    return _by_lines(file, lines, layout, comments, chosen)


def _layout(file: Path, lines: Sequence[Line], suffix: str, options: ReadOptions, *, whole: bool = True) -> Layout:
    try:
        if options.delimiter is None:
            check_own_format([line.content for line in lines], whole=whole)
        return find_layout([line.content for line in lines], suffix, options)
    except ValueError as error:
        raise ValueError(f"{quoted(file)}: {error}") from None


def _by_blocks(file: Path, suffix: str, options: ReadOptions) -> Graph | None:
    """The graph of a large regular file; None where it is to be read by lines."""
    with file.open("rb") as stream:
        head = stream.read(SAMPLE)
    try:
        text = head[: head.rfind(b"\n") + 1].decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    lines, _ = text_lines(text, options.comments, tables=options.delimiter is None)
    if not lines or "\0" in text:
        return None
    layout = _layout(file, lines, suffix, options, whole=False)
    width = layout.width or len(split(lines[-1].content, layout.delimiter))
    if layout.delimiter in (MIXED, EQUAL) or width < 2 or (width > 3 and layout.width is None):
        return None
    found = read_blocks(file, layout, width, options.comments, BLOCK)
    if found is None:
        return None
    if width == 3 and layout.width is None and options.delimiter is None and _may_be_neighbours(found):
        return None  # as lines show
    weights = np.ones(len(found.tails)) if found.weights is None else found.weights
    reading = _reading(layout, found.comments, "" if found.weights is None else "third")
    return graph_of_pairs(found.names, found.tails, found.heads, weights, file.name, reading)


def _may_be_neighbours(found: Blocks) -> bool:
    """Whether no node begins two lines and the third fields are integers."""
    whole = found.weights is None or bool((found.weights == np.round(found.weights)).all())
    return whole and len(np.unique(found.tails)) == len(found.tails)


def _by_lines(file: Path, lines: Sequence[Line], layout: Layout, comments: int, options: ReadOptions) -> Graph:
    row: dict[str, int] = {}
    tails, heads, weights = [], [], []
    sources = set[str]()
    parse = _parser(layout, options)
    for line in lines[1:] if layout.header is not None else lines:
        try:
            names, weight, source = parse(line)
        except ValueError as error:
            what = f"{one_line(error)} in {shown(line.raw)}"
            raise ValueError(f"{file}:{line.number}: {what}; write 'u v [weight]'") from None
        places = [row.setdefault(name, len(row)) for name in names]
        if len(places) == 2:
            tails.append(places[0])
            heads.append(places[1])
            weights.append(weight)
            sources.add(source)
    if not row:
        raise ValueError(f"{quoted(file)} has no edges and no nodes; an edge list has one 'u v [weight]' a line")
    _check_separated(file, row, tails, layout)
    if options.weight not in (WEIGHT, "") and layout.header is None and "attribute" not in sources:
        raise ValueError(f"{quoted(file)}: no column or attribute {shown(options.weight)}; leave --weight out")
    reading = _reading(layout, comments, ",".join(sorted(sources - {""})), options.weight)
    return graph_of_pairs(tuple(row), tails, heads, np.array(weights, dtype=np.float64), file.name, reading)


def _parser(layout: Layout, options: ReadOptions) -> Callable[[Line], tuple[list[str], float, str]]:
    """What makes names, weight and the weight's place ("", "third", "attribute") of a line."""
    u, v = layout.ends

    def parse(line: Line) -> tuple[list[str], float, str]:
        content, weight, source = line.content, 1.0, ""
        attributes = ATTRIBUTES.search(content) if content.endswith("}") else None
        if attributes:
            found = _attributes(attributes["attributes"])
            if options.weight and options.weight in found:
                weight, source = _weight(found[options.weight]), "attribute"
            content = content[: attributes.start()]
        fields = split(content, layout.delimiter)
        if line.cut and layout.delimiter not in (BLANK, MIXED, EQUAL) and len(fields) < 2:
            mark = layout.delimiter
            if mark in line.raw:
                raise ValueError("a comment where a name should be (quote the name, or say --comments '')")
        if layout.width is None:
            if not all(fields) or (len(fields) == 1 and fields[0].strip("=") != fields[0]):
                raise ValueError("an empty field")
            if len(fields) > (2 if attributes else 3):
                raise ValueError(f"{len(fields)} fields")
            if attributes and len(fields) == 1:
                raise ValueError("attributes after one name, as in a multiline adjacency list")
            if len(fields) == 3 and layout.weight is not None:
                weight, source = _weight(fields[2]), "third"
            _check_names(fields[:2])
            return fields[:2], weight, source
        if len(fields) != layout.width and len(fields) > 1:
            raise ValueError(f"{len(fields)} fields under a header of {layout.width}")
        if len(fields) == 1:
            return fields, weight, source
        if not (fields[u] and fields[v]):
            raise ValueError("an empty field")
        if layout.weight is not None:
            weight, source = _weight(fields[layout.weight]), "third"
        return [fields[u], fields[v]], weight, source

    return parse


def _check_names(names: Sequence[str]) -> None:
    """ValueError for marks that other formats put between names."""
    if names[0].endswith(":") and len(names[0]) > 1 and len(names) > 1:
        raise ValueError("a colon after the first name, as in a list of neighbours")
    if len(names) > 1 and names[1] in ARROWS:
        raise ValueError("an arrow between the names")


def _check_separated(file: Path, names: Sequence[str] | dict[str, int], tails: Sequence[int], layout: Layout) -> None:
    """ValueError for a file of nothing but lone names that all hold the same mark: a separator not known here."""
    if tails or len(names) < 2:
        return
    marks = set.intersection(*(set(re.findall(r"[^\w\s#%.\-]", name)) for name in names))
    if marks:
        mark = sorted(marks)[0]
        raise ValueError(
            f"{quoted(file)}: no line has a separator, but all hold {mark!r}; say --delimiter '{mark}' if it is one"
        )


def _attributes(text: str) -> dict[str, Any]:
    try:
        return dict(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError("unreadable edge attributes") from None


def _weight(weight: Any) -> float:
    try:
        value = float(weight)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"the weight {weight!r} is not a number") from None
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"the weight {weight} is negative or not finite")
    return value


def _reading(layout: Layout, comments: int, sources: str, attribute: str = WEIGHT) -> Reading:
    words = {"": "all 1", "attribute": f"attribute {attribute!r}", "third": "third field"}
    if layout.header is not None and layout.weight is not None and layout.weight < len(layout.header):
        words["third"] = f"column {layout.header[layout.weight]!r}"
    elif layout.header is not None and layout.weight is not None and layout.width is not None:
        words["third"] = f"column {layout.header[layout.weight - 1]!r}"
    weights = " and ".join(words[source] for source in sources.split(","))
    notes = []
    if layout.header is not None and layout.width is not None:
        shift = layout.width - len(layout.header)
        used = {*layout.ends, layout.weight}
        left = [name or "(no name)" for k, name in enumerate(layout.header) if k + shift not in used]
        if left:
            notes.append(f"columns left out: {', '.join(left)}")
    return Reading("edge list", weights, layout.shown_delimiter, layout.header, comments, tuple(notes))
