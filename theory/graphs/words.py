"""Graph words: the short names of graphs on the command line and in Python, or else the path of a file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..checks import check_flag, shown
from . import families
from .graph import Graph
from .readers import read_graph
from .reading import ReadOptions, check_read_options


@dataclass(frozen=True)
class Family:
    """A family word: its builder, how many integers it takes (None: one or more), its form and an example."""

    build: Callable[..., Graph]
    count: int | None
    form: str
    example: str


FAMILIES: dict[str, Family] = {
    "cycle": Family(families.cycle, 1, "cycle:N", "cycle:15"),
    "path-star": Family(families.path_star, 2, "path-star:ARMSxLENGTH", "path-star:4x5"),
    "tree-star": Family(families.tree_star, 2, "tree-star:ARMSxLENGTH", "tree-star:4x5"),
    "grid": Family(families.grid, None, "grid:SIDExSIDE...", "grid:4x4"),
    "torus": Family(families.torus, None, "torus:SIDExSIDE...", "torus:6x6"),
    "hypercube": Family(families.hypercube, 1, "hypercube:D", "hypercube:6"),
    "hamming": Family(families.hamming, 2, "hamming:D,Q", "hamming:3,3"),
    "tree": Family(families.tree, 2, "tree:BRANCHING,HEIGHT", "tree:3,4"),
    "random": Family(families.random, 3, "random:NODES,EDGES,SEED", "random:50,75,0"),
    "irregular": Family(families.irregular, 0, "irregular", "irregular"),
    "petersen": Family(families.petersen, 0, "petersen", "petersen"),
    "karate": Family(families.karate, 0, "karate", "karate"),
    "les-miserables": Family(families.les_miserables, 0, "les-miserables", "les-miserables"),
    "florentine": Family(families.florentine, 0, "florentine", "florentine"),
    "davis": Family(families.davis, 0, "davis", "davis"),
}


def parse(word: str, *, symmetrize: bool = False, options: ReadOptions | None = None) -> Graph:
    """The graph named by a word such as ``cycle:15``, or read from the file at that path.

    A family word is NAME or NAME:INTEGERS, the integers separated by ``x`` or ``,``; see ``FAMILIES`` and the
    builders in ``graphs.families``. A word wins over a file of the same name: write ``./karate`` for the file.
    ``symmetrize`` and ``options`` are passed to ``graphs.readers.read_graph`` and have no effect on family words.

    Raises TypeError for a non-string; ValueError, in one line, for an unknown word (with the nearest valid
    one), for parameters of the wrong number, type or range, for a file that does not exist, and as
    ``read_graph`` does.

    >>> from fiedler.theory import parse
    >>> graph = parse("path-star:4x5")  # four arms of five nodes, the shared end counted in each
    >>> graph.n, graph.edge_count
    (17, 16)
    >>> parse("karate").edge_count
    78
    """
    if not isinstance(word, str):
        raise TypeError(f"a graph word is a string such as 'cycle:15'; got {shown(word)}")
    check_flag(symmetrize, "symmetrize")
    check_read_options(options)
    head, colon, tail = word.partition(":")
    if head in FAMILIES:
        return _build(word, FAMILIES[head], tail if colon else None)
    path = Path(word)
    if word and "\0" not in word and os.path.lexists(path):
        return read_graph(path, symmetrize=symmetrize, options=options)
    separators = {os.sep, os.altsep or os.sep, "/"}
    if any(mark in word for mark in separators) or re.fullmatch(r"\.[A-Za-z]\w*", path.suffix):
        hint = "check the path, or use a graph word such as 'cycle:15'"
        raise ValueError(f"graph file {shown(word)} does not exist; {hint}")
    raise ValueError(f"unknown graph {shown(word)}; {_suggestion(head, tail)}")


def _build(word: str, family: Family, text: str | None) -> Graph:
    right_form = f"use {family.form}" + (f", such as {family.example}" if family.form != family.example else "")
    pieces = [] if text is None else re.split("[x,]", text)
    # Twelve digits are beyond every size limit; longer ones are not even worth converting.
    if not all(re.fullmatch(r"-?[0-9]{1,12}", piece) for piece in pieces):
        raise ValueError(f"graph {shown(word)} has a parameter that is not an integer; {right_form}")
    if (family.count is None and not pieces) or (family.count is not None and len(pieces) != family.count):
        wanted = "one or more parameters" if family.count is None else f"{family.count} parameter(s)"
        raise ValueError(f"graph {shown(word)} takes {wanted}, not {len(pieces)}; {right_form}")
    try:
        return family.build(*map(int, pieces))
    except ValueError as error:
        raise ValueError(f"graph {shown(word)}: {error}; {right_form}") from None


def _suggestion(head: str, tail: str) -> str:
    close = get_close_matches(re.sub(r"[\s_]+", "-", head.lower()), FAMILIES, n=1, cutoff=0.5)
    if not close:
        return "use one of " + ", ".join(family.example for family in FAMILIES.values()) + ", or the path of a file"
    family = FAMILIES[close[0]]
    numbers = [piece for piece in re.split("[x,]", tail) if re.fullmatch("[1-9][0-9]{0,11}", piece)]
    fits = len(numbers) == (family.count or len(numbers)) and bool(numbers) and family.count != 0
    separator = "," if "," in family.form else "x"
    guess = f"{close[0]}:{separator.join(numbers)}" if fits else family.example
    return f"did you mean {guess!r}? otherwise give the path of a file"
