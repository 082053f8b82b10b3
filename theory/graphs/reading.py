"""What may be said about the file of a graph, and what was understood of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from ..checks import check_flag, check_text, check_type, shown

T = TypeVar("T")

COMMENTS = "#%"
WEIGHT = "weight"
# What shells and tables call separators that are hard to type.
_NAMED_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " ", "blank": " "}


@dataclass(frozen=True)
class ReadOptions:
    """How a graph's file is to be read where it does not say so itself.

    ``delimiter``: what alone separates the fields of an edge list, one character, or "tab", "comma", "semicolon", or
    "space" (any white space); None: found out. ``header``: whether its first line names columns; None: found out.
    ``comments``: the characters that start one, at the start of a line or after white space; "" for none. ``weight``:
    the column or attribute that holds the weights; "" to leave weights out, every edge then weighs 1 (parallel ones
    add).

    Raises TypeError and ValueError for other values.
    """

    delimiter: str | None = None
    header: bool | None = None
    comments: str = COMMENTS
    weight: str = WEIGHT

    def __post_init__(self) -> None:
        if self.delimiter is not None:
            check_text(self.delimiter, "delimiter")
            mark = _NAMED_DELIMITERS.get(self.delimiter.lower(), self.delimiter)
            if len(mark) != 1 or mark in "\r\n\0\"'" or mark.isalnum():
                raise ValueError(
                    f"delimiter {shown(self.delimiter)} is none; use one character such as ',' or tab, comma, "
                    "semicolon, space"
                )
            object.__setattr__(self, "delimiter", mark)
        if self.header is not None:
            check_flag(self.header, "header")
        check_text(self.comments, "comments")
        if any(mark.isalnum() or mark.isspace() or mark in "\"'\0" for mark in self.comments):
            raise ValueError(f"comments {shown(self.comments)} must be marks such as '#%', or '' for no comments")
        check_text(self.weight, "weight")

    @property
    def given(self) -> dict[str, Any]:
        """The fields that are not the usual ones, by name."""
        values = {one.name: (getattr(self, one.name), one.default) for one in fields(self)}
        return {name: value for name, (value, usual) in values.items() if value != usual}

    @property
    def of_edge_list(self) -> str | None:
        """The first option given that only edge lists have, or None."""
        given = {
            "delimiter": self.delimiter is not None,
            "header": self.header is not None,
            "comments": self.comments != COMMENTS,
        }
        return next((name for name, is_given in given.items() if is_given), None)


@dataclass(frozen=True)
class Reading:
    """What a reader understood of a file.

    ``format``: "edge list", "GraphML", ...; ``delimiter``, ``header`` (the names in the first line), ``comments`` (how
    many were left out) of text; ``weights``: where they come from; ``notes``: what else was decided, in sentences.
    """

    format: str
    weights: str
    delimiter: str | None = None
    header: tuple[str, ...] | None = None
    comments: int = 0
    notes: tuple[str, ...] = ()

    def describe(self, nodes: Sequence[Hashable], edges: int, components: int) -> dict[str, Any]:
        """As JSON, with the size of the graph and the kind of its names, ``nodes``."""
        return {
            "format": self.format,
            "delimiter": self.delimiter,
            "header": None if self.header is None else list(self.header),
            "comments": self.comments,
            "names": "integers" if all(isinstance(node, int) for node in nodes) else "text",
            "weights": self.weights,
            "notes": list(self.notes),
            "nodes": len(nodes),
            "edges": edges,
            "components": components,
        }


def check_read_options(options: object) -> ReadOptions:
    """``options``, or the usual ones for None."""
    return ReadOptions() if options is None else check_type(options, ReadOptions, "options", "make one of them")


def integer_names(names: Iterable[Hashable]) -> bool:
    """Whether all are integers as Python writes them: "01" and "+1" are other names than "1"."""
    # ASCII digits only, and few enough for int().
    return all(re.fullmatch(r"-?[1-9][0-9]{0,3999}|0", str(name)) for name in names)


def quoted(file: Path) -> str:
    """The path for a message, its end when it is long."""
    text = str(file)
    return repr(text if len(text) <= 200 else "..." + text[-197:])


def one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def named(file: Path, build: Callable[[], T]) -> T:
    """``build()``, whose errors name the file."""
    try:
        return build()
    except (TypeError, ValueError) as error:
        message = str(error)
        raise ValueError(message if file.name in message else f"{quoted(file)}: {message}") from None


def check_options(
    file: Path, kind: str, options: ReadOptions, *, attributes: bool = False, lists: bool = False
) -> None:
    """Raises ValueError for options that files of this ``kind`` have no use for: those of edge lists unless it
    ``lists`` names in lines, the name of a weight unless it has ``attributes``."""
    needless = None if lists and options.header is None else options.of_edge_list
    if needless is None and not attributes and options.weight not in (WEIGHT, ""):
        needless = f"weight called {shown(options.weight)}"
    if needless is not None:
        raise ValueError(f"{quoted(file)} is {kind}, which has no {needless}; leave that option out")
