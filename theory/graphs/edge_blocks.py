"""Large regular edge lists, read by pyarrow's parser in blocks: the same graph as by lines, or nothing.

Regular is a file of one separator with as many fields in every line, without quotes and attributes, whose comments are
whole lines or ends of lines. Integers are read as such, which is fastest, unless one is written as Python does not.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import Array
from .layout import ARROWS, BLANK, Layout
from .pairs import Names
from .reading import quoted

Ends = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Blocks:
    """The pairs ``tails[k]``, ``heads[k]``, places in ``names``, with ``weights`` or None; ``comments`` left out."""

    names: Names
    tails: NDArray[np.int64]
    heads: NDArray[np.int64]
    weights: Array | None
    comments: int


class _Irregular(Exception):
    """The file is to be read by lines."""


def read_blocks(file: Path, layout: Layout, width: int, comments: str, block: int) -> Blocks | None:
    """The pairs of a file whose lines have ``width`` fields, in blocks of ``block`` bytes; None where it is not
    regular, or pyarrow is not installed, which a warning says."""
    if not _has_pyarrow():
        warnings.warn(f"{quoted(file)} is read line by line, several times slower: pip install pyarrow", stacklevel=4)
        return None
    for integers in (True, False):
        try:
            return _read(file, layout, width, comments, block, integers)
        except _Irregular:
            continue
    return None


def _has_pyarrow() -> bool:
    try:
        import pyarrow  # noqa: F401  # a tenth of a second, only spent on large files
    except ModuleNotFoundError:  # it is no part of the base install
        return False
    return True


def _read(file: Path, layout: Layout, width: int, comments: str, block: int, integers: bool) -> Blocks:
    import pyarrow as pa

    tails: list[Any] = []
    heads: list[Any] = []
    weights: list[Array] = []
    left_out, skip = 0, layout.header is not None
    for text in _blocks(file, block):
        text, cut = _without_comments(text, comments)
        left_out += cut
        if skip and text.strip():
            text, skip = text.lstrip().partition(b"\n")[2], False
        if not text.strip():
            continue
        try:
            tail, head, weight = _parse(text, layout, width, integers)
        except (pa.ArrowInvalid, UnicodeDecodeError):  # another number of fields, no number, no UTF-8
            raise _Irregular from None
        tails.append(tail)
        heads.append(head)
        if weight is not None:
            weights.append(weight)
    if not tails:
        raise _Irregular
    found = np.concatenate(weights) if weights else None
    join = _places_of_integers if integers else _places_of_words
    names, (rows, columns) = join(tails, heads)
    return Blocks(names, rows, columns, found, left_out)


def _blocks(file: Path, size: int) -> Iterator[bytes]:
    """The file in pieces that end with a line, its byte order mark left out."""
    rest, first = b"", True
    with file.open("rb") as stream:
        while piece := stream.read(size):
            piece, first = piece.removeprefix(b"\xef\xbb\xbf") if first else piece, False
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
    count, starts = 0, tuple(mark.encode() for mark in marks)
    while starts and text.startswith(starts):  # those above the edges, cheaply
        text, count = text.partition(b"\n")[2], count + 1
    if not any(mark in text for mark in starts):
        return text, count
    pattern = rb"(?:^|(?<=\s))[" + re.escape(marks).encode() + rb"][^\r\n]*"
    text, more = re.subn(pattern, b"", text, flags=re.MULTILINE)
    return re.sub(rb"(?m)^[ \t]+(?=\r?$)", b"", text), count + more


def _parse(text: bytes, layout: Layout, width: int, integers: bool) -> tuple[Any, Any, Array | None]:
    """Tails and heads, integers as arrays of NumPy and words as arrays of pyarrow, and weights."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    if integers and _odd_integers(text):
        raise _Irregular
    mark = layout.delimiter
    if mark == BLANK:
        mark = " "
        if b"\t" in text or b"  " in text or b" \n" in text or b"\n " in text or text[:1] == b" " or b" \r" in text:
            text = re.sub(rb"(?m)^ | (?=\r?$)", b"", re.sub(rb"[ \t]+", b" ", text))
    u, v = layout.ends
    weight = layout.weight if layout.weight is not None and layout.weight < width else None
    kinds = {str(k): pa.large_string() for k in range(width)}
    kinds |= dict.fromkeys((str(u), str(v)), pa.int64() if integers else pa.large_string())
    kinds |= {} if weight is None else {str(weight): pa.float64()}
    table = csv.read_csv(
        pa.BufferReader(text),
        read_options=csv.ReadOptions(column_names=[str(k) for k in range(width)]),
        parse_options=csv.ParseOptions(delimiter=mark, quote_char=False, double_quote=False),
        convert_options=csv.ConvertOptions(column_types=kinds, null_values=[], strings_can_be_null=False),
    )
    values = None if weight is None else table[weight].to_numpy()
    if values is not None and not (np.isfinite(values).all() and (values >= 0).all()):
        raise _Irregular
    if integers:
        return table[u].to_numpy(), table[v].to_numpy(), values
    return pc.utf8_trim_whitespace(table[u]), pc.utf8_trim_whitespace(table[v]), values


def _odd_integers(text: bytes) -> bool:
    """Whether an integer may be written as Python does not: "+1", "01", "-0"."""
    if b"+" in text or b"-0" in text:
        return True
    data = np.frombuffer(b" " + text, dtype=np.uint8)
    zeros = np.flatnonzero((data[1:-1] == ord("0")) & (data[2:] >= ord("0")) & (data[2:] <= ord("9"))) + 1
    before = data[zeros - 1]
    return bool(((before <= ord(",")) | (before == ord("-")) | (before == ord(";")) | (before == ord("|"))).any())


def _places_of_words(tails: list[Any], heads: list[Any]) -> tuple[Names, Ends]:
    """The distinct words in the order of their appearance, and the places of both ends among them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = pa.chunked_array([piece for part in (*tails, *heads) for piece in part.chunks]).combine_chunks()
    coded = words.dictionary_encode()
    names, codes = coded.dictionary, coded.indices.to_numpy()
    arrows = pa.array(["", *ARROWS], type=pa.large_string())
    if pc.any(pc.ends_with(names, ":")).as_py() or pc.any(pc.is_in(names, arrows)).as_py():
        raise _Irregular  # the reader of lines says what is wrong with them
    edges = len(codes) // 2
    # The first turn of every word: of repeated indices the last that is assigned stays.
    turns = np.concatenate([np.arange(0, 2 * edges, 2), np.arange(1, 2 * edges, 2)])
    order = np.argsort(-turns, kind="stable")
    first = np.empty(len(names), dtype=np.int64)
    first[codes[order]] = turns[order]
    ranked = np.argsort(first)
    place = np.empty(len(names), dtype=np.int64)
    place[ranked] = np.arange(len(names))
    found = place[codes]
    return tuple(names.take(pa.array(ranked)).to_pylist()), (found[:edges], found[edges:])


def _places_of_integers(tails: list[Any], heads: list[Any]) -> tuple[Names, Ends]:
    """The distinct integers, ascending, and the places of both ends among them."""
    rows, columns = np.concatenate(tails), np.concatenate(heads)
    low, high = min(rows.min(), columns.min()), max(rows.max(), columns.max())
    if int(high) - int(low) > 4 * (len(rows) + 1000):  # far apart: sorted; a table of all between would be large
        names, found = np.unique(np.concatenate([rows, columns]), return_inverse=True)
        return names, (found[: len(rows)], found[len(rows) :])
    seen = np.zeros(high - low + 1, dtype=bool)
    seen[rows - low] = True
    seen[columns - low] = True
    place = np.cumsum(seen) - 1
    return np.flatnonzero(seen) + low, (place[rows - low], place[columns - low])
