"""Docstrings as they are read in a terminal: formulas in them are plain text, in which Markdown would see emphasis,
links and tags. Indented lines and examples of the Python prompt become blocks of code, everything else keeps its
characters."""

from __future__ import annotations

import re
from typing import Any

import griffe

SPECIAL = re.compile(r"[\\*_\[\]<>|~^$#]")
EXAMPLES = re.compile(r"^(>>> .*(?:\n.+)*)", re.MULTILINE)  # each up to the next blank line
CODE = re.compile(r"(``.+?``|`[^`]+?`)")


class PlainDocstrings(griffe.Extension):
    """Escapes what Markdown would change."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = plain(obj.docstring.value)


def plain(text: str) -> str:
    """``text`` as Markdown that shows it as it is."""
    parts = EXAMPLES.split(text.expandtabs())
    return "".join(f"\n```pycon\n{part}\n```\n" if at % 2 else _prose(part) for at, part in enumerate(parts))


def _prose(text: str) -> str:
    lines: list[str] = []
    for line in text.split("\n"):
        indented = line.startswith("    ")
        if indented and lines and lines[-1] and not lines[-1].startswith("    "):
            lines.append("")
        lines.append(line if indented else _escape(line))
    return "\n".join(lines)


def _escape(line: str) -> str:
    parts = CODE.split(line)
    return "".join(part if at % 2 else SPECIAL.sub(_entity, part) for at, part in enumerate(parts))


def _entity(character: re.Match[str]) -> str:
    return f"&#{ord(character[0])};"
