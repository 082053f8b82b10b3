"""The pages of the documentation, cut into their blocks of code, with what the page says about running them.

A comment before a block says how it is tested:

    <!-- long: 8 minutes -->      too long for tests: its commands are parsed, and run with --dry-run where they have it
    <!-- exit: 2 -->              the last command of the block ends with this code
    <!-- varies: times -->        before a block of output: its words are compared, its numbers are not
    <!-- setup ... -->            shell commands of the test alone, run where the comment stands
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^( *)(```+|~~~+) *([\w+-]*)[^\n]*$")
NOTE = re.compile(r"^<!-- *(long|exit|varies): *(.*?) *-->$")


@dataclass(frozen=True)
class Block:
    """One block: ``kind`` is the word after the fence ("setup" for a setup comment), ``notes`` the comments before it,
    ``line`` the first line of its text in the page, from 1."""

    kind: str
    text: str
    line: int
    notes: dict[str, str]


def pages() -> list[Path]:
    """README, CONTRIBUTING and every page of docs/, relative to the root."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path.relative_to(ROOT) for path in found]


def read_blocks(text: str) -> list[Block]:
    """Every block of code of a page, in order. Raises ValueError where a fence or setup comment is not closed."""
    blocks: list[Block] = []
    notes: dict[str, str] = {}
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.strip() == "<!-- setup":
            end = _find(lines, at, lambda one: one.strip() == "-->")
            blocks.append(Block("setup", "\n".join(lines[at + 1 : end]), at + 2, {}))
            at = end
        elif note := NOTE.match(line.strip()):
            notes[note[1]] = note[2]
        elif fence := FENCE.match(line):
            indent, mark = len(fence[1]), fence[2]
            end = _find(lines, at, lambda one, mark=mark: one.strip() == mark)
            body = "\n".join(one[indent:] for one in lines[at + 1 : end])
            blocks.append(Block(fence[3], body, at + 2, notes))
            at, notes = end, {}
        elif line.strip():
            notes = {}  # a note stands directly before its block
        at += 1
    return blocks


def prose(text: str) -> str:
    """The page without its blocks of code and comments."""
    kept, lines, at = [], text.split("\n"), 0
    while at < len(lines):
        if fence := FENCE.match(lines[at]):
            at = _find(lines, at, lambda one, mark=fence[2]: one.strip() == mark)
        else:
            kept.append(lines[at])
        at += 1
    return re.sub(r"<!--.*?-->", "", "\n".join(kept), flags=re.DOTALL)


def _find(lines: list[str], start: int, closes: object) -> int:
    for at in range(start + 1, len(lines)):
        if closes(lines[at]):  # type: ignore[operator]
            return at
    raise ValueError(f"line {start + 1} opens a block that nothing closes: {lines[start]!r}")
