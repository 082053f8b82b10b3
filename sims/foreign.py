"""Text that others wrote, such as names of files and nodes, where it is shown: it stays text."""

from __future__ import annotations

LONGEST_NAME = 60  # characters of a name that a title has room for
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets compute


def visible(text: str, *, keep: str = "") -> str:
    """``text`` with control characters and all else that does not print, but for those in ``keep``, as escapes: they
    would move the cursor or colour what follows."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else one.encode("unicode_escape").decode() for one in text)


def cut(text: str, longest: int = LONGEST_NAME) -> str:
    """``text`` with an ellipsis where it is longer."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def drawn(text: str, longest: int = LONGEST_NAME) -> str:
    """A name for a figure: cut, on one line, its "$" no mathematics."""
    return cut(visible(text), longest).replace("$", r"\$")


def spreadsheet_cell(value: object) -> object:
    """A cell of a table: text that a spreadsheet would compute has an apostrophe before it, which it does not show."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
