"""The word2vec text format of gensim's KeyedVectors and of fastText's .vec, GloVe's without the first line as well.

    n m
    name v_1 ... v_m

one blank between the parts. Written with as many digits as give back every float64; gensim keeps float32 of them.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..disk.files import atomic_write
from ..suggest import did_you_mean

SUFFIXES = (".w2v", ".vec", ".txt")
BLANKS = re.compile(r"\s+")
SHOWN = 4  # names in a message


def write_word_vectors(
    path: str | os.PathLike[str], names: Sequence[Hashable], embedding: ArrayLike, *, blanks: str | None = None
) -> None:
    """Write row i of ``embedding`` (n, m) under str(names[i]); whole or not at all.

    A name cannot hold a blank in this format. ``blanks``: what is written in place of each run of them, such as "_";
    None refuses such names. Raises ValueError for those, for names that are empty or become equal, and for an embedding
    that is not (n, m) finite numbers.
    """
    rows = np.asarray(embedding, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(names) or 0 in rows.shape:
        raise ValueError(f"embedding must have shape ({len(names)}, m), one row a name; got {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("embedding holds NaN or infinity: use a checkpoint from before training diverged")
    if blanks is not None and BLANKS.search(blanks):
        raise ValueError(f"blanks are to be replaced by something without one; got {blanks!r}")
    words = [str(name) if blanks is None else BLANKS.sub(blanks, str(name)) for name in names]
    for word in words:
        if not word or BLANKS.search(word):
            raise ValueError(f'the format has no names like {word!r}: give blanks="_", which stands in their place')
    if repeated := [word for word, times in Counter(words).items() if times > 1]:
        raise ValueError(f"{len(repeated)} names are written the same, such as {repeated[0]!r}: rename the nodes")
    lines = [f"{len(rows)} {rows.shape[1]}"]
    lines += [" ".join([word, *map(repr, row)]) for word, row in zip(words, rows.tolist(), strict=True)]
    text = "\n".join([*lines, ""]).encode()
    atomic_write(Path(path), lambda stream: stream.write(text))


def read_word_vectors(path: str | os.PathLike[str]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The names and their vectors (n, m), in the file's order.

    Raises ValueError, naming the line, for a file that cannot be read, lines of different lengths, what is no finite
    number, repeated names, and another number of lines than the first line says.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise OSError(None, "not an ordinary file")
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ValueError(f"{path} cannot be read ({reason}): give a file in word2vec's text format") from error
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    promised = None
    if rows and len(rows[0][1]) == 2 and all(word.isdecimal() for word in rows[0][1]):
        promised = tuple(map(int, rows.pop(0)[1]))
    if not rows:
        raise ValueError(f"{path} holds no vectors: write lines of a name and its numbers")
    width = len(rows[0][1]) - 1 if promised is None else promised[1]
    names: dict[str, None] = {}
    found = np.empty((len(rows), max(width, 1)))
    for k, (number, (name, *words)) in enumerate(rows):
        if len(words) != width or not words:
            raise ValueError(
                f"{path}, line {number}: {len(words)} numbers after {name[:40]!r} instead of {width}; a name in this "
                "format holds no blank"
            )
        try:
            found[k] = words
        except ValueError:
            raise ValueError(f"{path}, line {number}: the vector of {name[:40]!r} is not of numbers alone") from None
        if name in names:
            raise ValueError(f"{path}, line {number}: {name[:40]!r} is given a second time: keep one line")
        names[name] = None
    if promised is not None and promised[0] != len(rows):
        raise ValueError(f"{path} says {promised[0]} vectors in its first line and holds {len(rows)}: it is cut short")
    return tuple(names), found


def rows_of_nodes(names: Iterable[str], nodes: Sequence[Hashable], where: str) -> NDArray[np.int64]:
    """The row of each node (n,): that named str(node), or that with "_" for every run of blanks.

    Raises ValueError where a node has none, or two have the same one.
    """
    index = {name: row for row, name in enumerate(names)}
    written = [str(node) for node in nodes]
    found = [index.get(word, index.get(BLANKS.sub("_", word))) for word in written]
    missing = [word for word, row in zip(written, found, strict=True) if row is None]
    if missing:
        shown = ", ".join(map(repr, missing[:SHOWN])) + (", ..." if len(missing) > SHOWN else "")
        hint = did_you_mean(missing[0], list(index)[:10_000])
        raise ValueError(
            f"{where} has no vector for {len(missing)} of {len(written)} nodes, {shown}; {hint}name the rows as the "
            "graph's nodes are, or give their numbers with --rows"
        )
    rows = np.array(found, dtype=np.int64)
    if len(np.unique(rows)) < len(rows):
        raise ValueError(f"{where}: two nodes are written the same with '_' for blanks: give row numbers with --rows")
    return rows
