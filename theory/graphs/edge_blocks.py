"""Large regular edge lists, read by pandas' parser in blocks: the same graph as by lines, or nothing.

Regular is a file of one separator with as many fields in every line, without quotes and attributes, whose comments are
whole lines or ends of lines. Integers are read as such, which is fastest, unless one is written as Python does not.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import Array
from .layout import BLANK, Layout
from .pairs import Names


@dataclass(frozen=True)
class Blocks:
    """The pairs ``tails[k]``, ``heads[k]``, places in ``names``, with ``weights`` or None; ``comments`` left out."""

    names: Names
    tails: NDArray[np.int64]
    heads: NDArray[np.int64]
    weights: Array | None
    comments: int


class _Table(NamedTuple):
    tails: Any
    heads: Any
    weights: Array | None


class _Irregular(Exception):
    """The file is to be read by lines."""


def read_blocks(file: Path, layout: Layout, width: int, comments: str, block: int) -> Blocks | None:
    """The pairs of a file whose lines have ``width`` fields, in blocks of ``block`` bytes; None where it is not
    regular."""
    for integers in (True, False):
        try:
            return _read(file, layout, width, comments, block, integers)
        except _Irregular:
            continue
    return None


def _read(file: Path, layout: Layout, width: int, comments: str, block: int, integers: bool) -> Blocks:
    tails: list[NDArray[np.int64]] = []
    heads: list[NDArray[np.int64]] = []
    weights: list[Array] = []
    places: dict[str, int] = {}
    left_out, skip = 0, layout.header is not None
    for text in _blocks(file, block):
        text, cut = _without_comments(text, comments)
        left_out += cut
        if skip and text.strip():
            text, skip = text.lstrip().partition(b"\n")[2], False
        if not text.strip():
            continue
        table = _parse(text, layout, width, integers)
        if integers:
            tails.append(np.asarray(table.tails))
            heads.append(np.asarray(table.heads))
        else:
            for part, codes in zip((tails, heads), _codes(table, places), strict=True):
                part.append(codes)
        if table.weights is not None:
            weights.append(table.weights)
    if not tails:
        raise _Irregular
    rows, columns = np.concatenate(tails), np.concatenate(heads)
    found = np.concatenate(weights) if weights else None
    if not integers:
        return Blocks(tuple(places), rows, columns, found, left_out)
    names, (rows, columns) = _places(rows, columns)
    return Blocks(names, rows, columns, found, left_out)


def _blocks(file: Path, size: int) -> Iterator[bytes]:
    """The file in pieces that end with a line, its byte order mark left out."""
    rest, first = b"", True
    with file.open("rb") as stream:
        while piece := stream.read(size):
            if first and piece.startswith(b"\xef\xbb\xbf"):
                piece = piece[3:]
            first = False
            end = piece.rfind(b"\n") + 1
            if not end:
                rest += piece
                continue
            yield rest + piece[:end]
            rest = piece[end:]
    if rest:
        yield rest


def _without_comments(text: bytes, marks: str) -> tuple[bytes, int]:
    """``text`` without comments, and how many it had."""
    if any(mark in text for mark in (b"\0", b'"', b"{", b"\f", b"\v")) or not marks.isascii():
        raise _Irregular
    if not any(mark.encode() in text for mark in marks):
        return text, 0
    pattern = rb"(?:^|(?<=\s))[" + re.escape(marks).encode() + rb"][^\r\n]*"
    return re.subn(pattern, b"", text, flags=re.MULTILINE)


def _parse(text: bytes, layout: Layout, width: int, integers: bool) -> _Table:
    import pandas as pd  # half a second, only spent on large files

    if integers and (b"+" in text or re.search(rb"(?<![0-9.eE+])-?0[0-9]|-0(?![0-9.])", text)):
        raise _Irregular
    u, v = layout.ends
    weight = layout.weight if layout.weight is not None and layout.weight < width else None
    if not integers:
        try:
            text.decode()
        except UnicodeDecodeError:
            raise _Irregular from None
    kind: Any = np.int64 if integers else str
    kinds = {**dict.fromkeys(range(width + 1), str), u: kind, v: kind}
    try:
        frame = pd.read_csv(
            io.BytesIO(text), sep=r"\s+" if layout.delimiter == BLANK else layout.delimiter, header=None,
            names=list(range(width + 1)), index_col=False, dtype=kinds, engine="c", quoting=3, na_filter=False,
            skipinitialspace=True, low_memory=False,
        )  # fmt: skip
    except (ValueError, OverflowError, pd.errors.ParserError):
        raise _Irregular from None
    # One column more than the lines have: anything in it, or nothing in the last of theirs, is another width.
    if (frame[width] != "").any():
        raise _Irregular
    last = frame[width - 1]
    if last.dtype.kind not in "if" and (last.str.strip() == "").any():
        raise _Irregular
    ends = [frame[k] if integers else frame[k].str.strip() for k in (u, v)]
    if not integers and any((end == "").any() for end in ends):
        raise _Irregular
    return _Table(*ends, None if weight is None else _weights(frame[weight]))


def _weights(column: Any) -> Array:
    """Numbers, rounded as Python rounds them, which pandas' own parser does not."""
    import pyarrow as pa

    try:
        values = pa.array(column, type=pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        raise _Irregular from None
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise _Irregular
    return np.asarray(values, dtype=np.float64)


def _codes(table: _Table, places: dict[str, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of a block's names, new ones in the order of their appearance."""
    import pandas as pd

    rows = len(table.tails)
    codes, names = pd.factorize(pd.concat([table.tails, table.heads], ignore_index=True))
    turns = np.empty(2 * rows, dtype=np.int64)
    turns[0::2], turns[1::2] = codes[:rows], codes[rows:]
    order = pd.unique(turns)
    of_name = np.empty(len(names), dtype=np.int64)
    words = names.tolist()
    _check_words(words)
    for code in order.tolist():
        of_name[code] = places.setdefault(words[code], len(places))
    return of_name[codes[:rows]], of_name[codes[rows:]]


def _check_words(words: list[str]) -> None:
    """Names that the reader of lines looks at twice: other formats write them."""
    if any(word.endswith(":") or word in ("--", "->", "<->", "<-", "-", "=>") for word in words):
        raise _Irregular


def _places(
    rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The distinct integers, ascending, and the places of both arrays among them."""
    low, high = min(rows.min(), columns.min()), max(rows.max(), columns.max())
    if high - low > 4 * (len(rows) + 1000):  # far apart: sorted, where a table of all between would be large
        names, found = np.unique(np.concatenate([rows, columns]), return_inverse=True)
        return names, (found[: len(rows)], found[len(rows) :])
    seen = np.zeros(high - low + 1, dtype=bool)
    seen[rows - low] = True
    seen[columns - low] = True
    place = np.cumsum(seen) - 1
    return np.flatnonzero(seen) + low, (place[rows - low], place[columns - low])
