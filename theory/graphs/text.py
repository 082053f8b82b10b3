"""The text of a graph's file: its lines without comments."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from ..checks import shown
from .reading import quoted


class Line(NamedTuple):
    """``number`` from 1; ``content`` without comment and outer blanks; ``raw`` as it stands, stripped; whether a
    comment was ``cut``."""

    number: int
    content: str
    raw: str
    cut: bool


def file_path(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a string or a path; got {shown(path)}")
    file = Path(path)
    if "\0" in str(file):
        raise ValueError(f"path {shown(str(file))} holds a null character; check the path")
    return file


def read_text(file: Path) -> str:
    """ValueError for what is no text."""
    try:
        text = file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f"{quoted(file)} is not a UTF-8 text file; an edge list has one 'u v [weight]' a line")
    return text


def text_lines(text: str, comments: str, *, tables: bool = True) -> tuple[list[Line], int]:
    """The lines with something in them, and how many comments were left out. ``comments``: the marks that start one,
    at the start of a line or after white space, outside quotes where the file may be a table."""
    marks = f"[{re.escape(comments)}]" if comments else None
    starts = re.compile(rf"(?:^|(?<=\s)){marks}") if marks else None
    anywhere = re.compile(marks) if marks else None
    lines, count = [], 0
    for number, line in enumerate(text.split("\n"), start=1):
        content, cut = line, False
        if anywhere is not None and starts is not None and anywhere.search(line):
            start = _comment(line, starts, quotes=tables and '"' in line)
            if start is not None:
                content, cut, count = line[:start], True, count + 1
        stripped = content.strip()
        if stripped:
            # A table's first field may be empty before a tab.
            lead = "\t" if tables and content.lstrip(" ").startswith("\t") and "\t" in stripped else ""
            lines.append(Line(number, lead + stripped, line.strip(), cut))
    return lines, count


def _comment(line: str, starts: re.Pattern[str], *, quotes: bool) -> int | None:
    """Where the comment of ``line`` starts."""
    for found in starts.finditer(line):
        if not quotes or line[: found.start()].count('"') % 2 == 0:
            return found.start()
    return None
