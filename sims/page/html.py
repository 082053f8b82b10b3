"""One self-contained HTML file: markup, style, script, plotly.js and the data, all compressed into it."""

from __future__ import annotations

import gzip
import html
import re
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import plotly
import plotly.io.json as plotly_json

from ..disk.files import clear_leftovers, write_text
from ..draw.sources import source_of_environment
from ..runs.environment import describe_environment
from .blocks import Part

COMPRESSION = 9


def render_page(title: str, parts: Sequence[Part]) -> str:
    """The whole page as text. It loads nothing: fonts are the system's, plotly.js and the data are gzip in base64."""
    content = {
        "title": title,
        "parts": [part.to_json() for part in parts],
        "made": source_of_environment(describe_environment()),
    }
    replaced = {
        "@@TITLE@@": html.escape(title),
        "@@STYLE@@": _asset("page.css"),
        "@@SCRIPT@@": _asset("page.js"),
        "@@PLOTLY@@": _packed(_plotly()),
        "@@DATA@@": _packed(_json(content).encode()),
    }
    # In one pass: what is filled in may hold such a word itself.
    return re.sub("|".join(replaced), lambda word: replaced[word[0]], _asset("page.html"))


def write_page(title: str, parts: Sequence[Part], path: Path) -> int:
    """Write the page to ``path`` whole or not at all; returns its size in bytes."""
    text = render_page(title, parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(path.parent, (path.name,))
    write_text(path, text)
    return len(text.encode())


def _json(content: Any) -> str:
    return plotly_json.to_json_plotly(content)


def _packed(data: bytes) -> str:
    return b64encode(gzip.compress(data, COMPRESSION, mtime=0)).decode()


def _plotly() -> bytes:
    return files(plotly).joinpath("package_data", "plotly.min.js").read_bytes()


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
