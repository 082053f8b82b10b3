"""The terminal, or a file in its place."""

from __future__ import annotations

from rich.console import Console

FILE_WIDTH = 190  # columns of a table where standard output is no terminal, whose own width is then unknown


def wide_console(width: int = FILE_WIDTH, *, highlight: bool = True) -> Console:
    """The terminal as wide as it is; where there is none, ``width`` columns, so that no table is cut."""
    console = Console(highlight=highlight)
    return console if console.is_terminal else Console(width=width, highlight=highlight)
