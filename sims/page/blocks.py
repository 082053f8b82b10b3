"""What a page is made of: parts of sections of blocks, each a plain value that becomes JSON for the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go


@dataclass(frozen=True, eq=False)
class Plot:
    """An interactive figure. ``name``: of the files it is downloaded as; ``alt``: what it shows, in a sentence;
    ``height`` in CSS pixels."""

    name: str
    alt: str
    figure: go.Figure
    height: int = 420

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "plot",
            "name": self.name,
            "alt": self.alt,
            "height": self.height,
            "figure": {key: value for key, value in self.figure.to_dict().items() if key in ("data", "layout")},
        }


@dataclass(frozen=True, eq=False)
class Choice:
    """Blocks of which one is shown at a time, under a labelled menu."""

    label: str
    options: Sequence[tuple[str, Plot | Table]]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "choice",
            "label": self.label,
            "options": [{"label": label, "block": block.to_json()} for label, block in self.options],
        }


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of text and numbers (shown to four digits, downloaded whole); None is an empty cell."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]
    caption: str = ""

    def to_json(self) -> dict[str, Any]:
        rows = [[_finite(cell) for cell in row] for row in self.rows]
        return {
            "kind": "table",
            "name": self.name,
            "columns": list(self.columns),
            "rows": rows,
            "caption": self.caption,
        }


@dataclass(frozen=True)
class Picture:
    """A figure that the run itself drew, as it lies in its folder. ``data``: the bytes of a PNG."""

    name: str
    alt: str
    data: bytes

    def to_json(self) -> dict[str, Any]:
        from base64 import b64encode

        source = f"data:image/png;base64,{b64encode(self.data).decode()}"
        return {"kind": "picture", "name": self.name, "alt": self.alt, "src": source}


@dataclass(frozen=True, eq=False)
class Embedding:
    """Node positions over the steps of some runs, theory beside experiment; ``content`` as ``embedding`` makes it."""

    name: str
    alt: str
    content: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"kind": "embedding", "name": self.name, "alt": self.alt, **self.content}


Block = Plot | Choice | Table | Picture | Embedding


@dataclass(frozen=True, eq=False)
class Section:
    """One question and its answer. ``notes``: sentences under the title; ``source``: of every number in it."""

    title: str
    blocks: Sequence[Block]
    notes: Sequence[str] = ()
    source: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "notes": list(self.notes),
            "blocks": [block.to_json() for block in self.blocks],
            "source": dict(self.source or {}),
        }


@dataclass(frozen=True, eq=False)
class Part:
    """Everything about one folder. ``facts``: a few numbers to begin with, each a name and a text."""

    title: str
    sections: Sequence[Section]
    facts: Sequence[tuple[str, str]] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "facts": [list(fact) for fact in self.facts],
            "sections": [section.to_json() for section in self.sections],
        }


def _finite(cell: Any) -> Any:
    if isinstance(cell, float) and cell != cell:
        return None
    return cell
