"""Which rows of an embedding are the graph's nodes: row numbers, a slice, or a text file that names them.

A file with a larger vocabulary than the graph (a tokenizer's, say) is never guessed about: every
node is given its own row, or the choice is one ValueError of one line.
"""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .embedding_files import listed


def node_rows(spec: str | os.PathLike[str], nodes: Sequence[Hashable]) -> NDArray[np.int64]:
    """Which row of an embedding belongs to each node: int64, shape (n,), in the order of `nodes`.

    `spec` is row numbers ("3,5,7"), a half-open slice ("9:24" is 9, ..., 23), or a text file in
    UTF-8 (one called "5" is "./5"). A file has one row number a line, in node order, or two
    columns "node row", in any order, where a node is written as str(node) (blanks inside it are
    kept: "(0, 1) 7"). Blank lines are skipped, and so is everything from a "#" that starts a line
    or follows a blank.

    Raises ValueError where a row is negative, not an integer or given twice, the number of rows
    is not n, or a named node is unknown, repeated or missing.
    """
    text = os.fspath(spec)
    if isinstance(spec, str) and (ends := re.fullmatch(r"\s*([+-]?\d+)\s*:\s*([+-]?\d+)\s*", text)):
        start, stop = (_row_number(end, f"slice {text!r}") for end in ends.groups())
        _check_count(max(stop - start, 0), len(nodes), f"slice {text!r}")  # before it is spelt out
        return np.arange(start, stop, dtype=np.int64)
    if isinstance(spec, str) and re.fullmatch(r"[\s\d,+-]+", text):
        where = f"rows {text!r}"
        rows = [_row_number(word, where) for word in text.split(",")]
    else:
        where = str(spec)
        lines = _text_lines(text)
        named = [len(words.split()) > 1 for _, words in lines]
        if any(named) and not all(named):
            number = lines[named.index(not named[0])][0]
            raise ValueError(
                f"{where}, line {number}: one column and two are mixed: write a row number on every line, "
                "or a node and its row on every line"
            )
        if any(named):
            rows = _rows_by_name(lines, nodes, where)
        else:
            rows = [_row_number(word, f"{where}, line {number}") for number, word in lines]
    _check_count(len(rows), len(nodes), where)
    if repeated := [row for row, times in Counter(rows).items() if times > 1]:
        raise ValueError(f"{where}: row {repeated[0]} is given to two nodes: give every node its own row")
    return np.array(rows, dtype=np.int64)


def select_rows(embedding: NDArray[np.floating], rows: NDArray[np.integer] | None, n: int) -> NDArray[np.float64]:
    """The n nodes' vectors: float64, shape (n, m), a new array.

    `embedding` has shape (R, m); `rows`, shape (n,), names a row for each node, and None means
    that the file's rows are the nodes, which asks for R = n.

    Raises ValueError where `rows` is None and R is not n, where it does not hold n integers, or
    where one of them is not a row of the embedding.
    """
    count = embedding.shape[0]
    if rows is None:
        if count != n:
            raise ValueError(
                f"the file has {count} rows but the graph has {n} nodes: "
                "say with --rows which row is which node (for instance --rows 0:N or a file)"
            )
        return np.array(embedding, dtype=np.float64, order="C")
    chosen = np.asarray(rows)
    if chosen.shape != (n,) or chosen.dtype.kind not in "iu":
        raise ValueError(
            f"rows has shape {chosen.shape} and dtype {chosen.dtype}: give {n} integers, one for each node"
        )
    if n and (int(chosen.max()) >= count or int(chosen.min()) < 0):
        wrong = int(chosen.max()) if int(chosen.max()) >= count else int(chosen.min())
        raise ValueError(f"row {wrong} is not in the file, which has {count} rows: --rows counts from 0 to {count - 1}")
    return np.array(embedding[chosen], dtype=np.float64, order="C")


def _text_lines(name: str) -> list[tuple[int, str]]:
    """A text file's lines that say something, each with its number."""
    try:
        if Path(name).exists() and not Path(name).is_file():  # a pipe would be waited for
            raise OSError(None, "not an ordinary file")
        text = Path(name).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ValueError(
            f"rows {name!r} are no numbers like 3,5,7, no slice like 9:24 and no readable file ({reason}): "
            "give one of these"
        ) from error
    lines = ((number, re.sub(r"(^|\s)#.*", "", line).strip()) for number, line in enumerate(text.split("\n"), 1))
    return [(number, line) for number, line in lines if line]


def _row_number(word: str, where: str) -> int:
    word = word.strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", word):  # 18 digits always fit an int64
        raise ValueError(f"{where}: {word[:40]!r} is not a row number: give integers from 0 on")
    if (row := int(word)) < 0:
        raise ValueError(f"{where}: row {row} is negative: count rows from 0")
    return row


def _check_count(given: int, n: int, where: str) -> None:
    if given != n:
        raise ValueError(f"{where}: {given} rows for a graph of {n} nodes: give exactly {n}, one for each node")


def _rows_by_name(lines: list[tuple[int, str]], nodes: Sequence[Hashable], where: str) -> list[int]:
    index = {str(node): None for node in nodes}
    if len(index) != len(nodes):
        twice = Counter(str(node) for node in nodes).most_common(1)[0][0]
        raise ValueError(
            f"{where}: two nodes are both written {twice!r}: give the rows in node order, one number a line"
        )
    found: dict[str, int] = {}
    for number, line in lines:
        label, word = line.rsplit(maxsplit=1)
        row = _row_number(word, f"{where}, line {number}")
        if label not in index:
            near = difflib.get_close_matches(label, index, n=1) or list(index)[:1]
            hint = f", whose nodes are written like {near[0]!r}" if near else ""
            raise ValueError(f"{where}, line {number}: no node {label!r} in the graph{hint}: correct or drop it")
        if label in found:
            raise ValueError(f"{where}, line {number}: node {label!r} is given a second time: keep one line")
        found[label] = row
    if missing := [label for label in index if label not in found]:
        raise ValueError(f"{where}: no row for {len(missing)} nodes, {listed(missing)}: add a line for each")
    return [found[str(node)] for node in nodes]
