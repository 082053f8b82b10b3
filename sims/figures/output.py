"""Figures as files: exact size, embedded fonts, and where every number comes from, inside the file and beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib.pyplot as plt

from .. import foreign
from ..disk.files import atomic_write, clear_leftovers, write_text
from ..disk.jsonio import from_json, to_json
from ..draw.sources import Source, Unsuitable, versions_text
from ..draw.style import plain_where_no_mathematics
from ..runs.environment import describe_environment
from ..suggest import choose
from .drawn import Drawn
from .registry import Kind
from .style import Column

FORMATS = ("pdf", "svg", "png")
MARK = "fiedler_figure"  # in the sidecar, so that no other program's JSON is taken for ours
TITLE_HEIGHT = 0.25  # inches that a title adds

LONGEST_TITLE = 160  # characters of a figure's title, names of graphs in it included


def draw_figure(kind: Kind, folders: Sequence[Path], column: Column, *, title: bool = False, **given: Any) -> Drawn:
    """``kind`` from ``folders``, with a ``title`` above or without; ``given``: options that it takes. Raises ValueError
    for folders that cannot make it, naming what is missing and the commands that make it."""
    made = (" or " if kind.any_one else " and ").join(f"`{command}`" for command in kind.commands)
    if not folders:
        raise ValueError(f"{kind.name} needs the folder of {made}: give it after the name")
    with column.style():
        try:
            drawn = kind.draw(folders, column, **given)
        except Unsuitable as error:
            plt.close("all")
            raise ValueError(f"{kind.name} cannot be made: {error}. Make the folder with {made}") from error
        if title:
            drawn.figure.set_figheight(drawn.figure.get_figheight() + TITLE_HEIGHT)
            drawn.figure.suptitle(foreign.drawn(drawn.title, LONGEST_TITLE), x=0.01, ha="left", fontweight="bold")
        plain_where_no_mathematics(drawn.figure)
        drawn.figure.canvas.draw()
        plt.close(drawn.figure)
    return drawn


def targets(name: str, out: Path | None, formats: Sequence[str]) -> list[Path]:
    """The files to be written. ``out``: a folder, a file whose suffix is one of FORMATS, or a path without suffix that
    each format adds its own to; None: figures/NAME. Raises ValueError for other formats and suffixes."""
    for given in formats:
        if given not in FORMATS:
            raise ValueError(f"unknown format {given!r}: {choose(given, FORMATS)}")
    base = Path("figures") / name if out is None else out / name if out.is_dir() else out
    suffix = base.suffix.removeprefix(".").lower()
    if out is not None and not out.is_dir() and suffix:
        if suffix not in FORMATS:
            raise ValueError(f"{out} is no figure's name: end it with .{', .'.join(FORMATS)}, or with no suffix")
        base, formats = base.with_suffix(""), list(dict.fromkeys((suffix, *formats)))
    return [base.with_name(f"{base.name}.{one}") for one in dict.fromkeys(formats or ("pdf",))]


def check_targets(files: Sequence[Path], overwrite: bool) -> None:
    """Raises ValueError where a file is there that no earlier `fiedler figure` wrote, or a parent is no folder."""
    side = sidecar(files[0])
    ours = _files_of(side)
    for file in (*files, side):
        if file.exists() and not overwrite and (file.name not in ours or file.is_dir()):
            raise ValueError(f"{file} is there, and not of `fiedler figure`: pass --overwrite or another --out")
    for parent in files[0].parents:
        if parent.exists() and not parent.is_dir():
            raise ValueError(f"{parent} is not a folder: give another --out")


def write_figure(kind: Kind, drawn: Drawn, column: Column, files: Sequence[Path]) -> list[Path]:
    """Write every file and, beside them, one JSON with figure, caption, sources and the checksum of each file."""
    files[0].parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(files[0].parent, tuple(file.name for file in (*files, sidecar(files[0]))))
    for file in files:
        kept = file.suffix.removeprefix(".")
        metadata = _metadata(kind, drawn, kept)

        def write(stream: BinaryIO, kept: str = kept, metadata: dict[str, Any] = metadata) -> None:
            drawn.figure.savefig(stream, format=kept, metadata=metadata)

        with column.style():
            atomic_write(file, write)
    side = sidecar(files[0])
    write_text(side, to_json(describe_figure(kind, drawn, column, files), indent=2) + "\n")
    return [*files, side]


def describe_figure(kind: Kind, drawn: Drawn, column: Column, files: Sequence[Path]) -> dict[str, Any]:
    """What the sidecar holds."""
    return {
        MARK: 1,
        "figure": kind.name,
        "paper": kind.paper,
        "title": drawn.title,
        "caption": drawn.caption,
        "column": column.name,
        "size_inches": [float(side) for side in drawn.figure.get_size_inches()],
        "sources": [dataclasses.asdict(source) for source in drawn.sources],
        "files": {file.name: sha256(file.read_bytes()).hexdigest() for file in files},
        "environment": describe_environment(),
    }


def sidecar(file: Path) -> Path:
    """NAME.json beside NAME.pdf."""
    return file.with_suffix(".json")


def _files_of(side: Path) -> tuple[str, ...]:
    """The names that an earlier figure's sidecar vouches for, itself included."""
    try:
        content = from_json(side.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return (side.name, *content.get("files", {})) if isinstance(content, dict) and MARK in content else ()


def _metadata(kind: Kind, drawn: Drawn, form: str) -> dict[str, Any]:
    """The same words under the names that each format has for them; no time of writing, so that the same figure gives
    the same file."""
    words = "; ".join(_source_words(source) for source in drawn.sources)
    title, name = f"{kind.name}: {drawn.title}", "fiedler figure"
    if form == "pdf":
        return {"Title": title, "Subject": drawn.caption, "Keywords": words, "Creator": name, "CreationDate": None}
    if form == "svg":
        return {"Title": title, "Description": drawn.caption, "Source": words, "Creator": name, "Date": None}
    return {"Title": title, "Description": drawn.caption, "Source": words, "Software": name}


def _source_words(source: Source) -> str:
    seeds = "unknown" if source.seeds is None else ", ".join(map(str, source.seeds))
    versions = versions_text({"versions": source.versions})
    return f"{source.path}: command {source.command}; seeds {seeds}; versions {versions}; commit {source.commit}"
