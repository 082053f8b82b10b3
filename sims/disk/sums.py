"""SHA256SUMS of a folder, as sha256sum writes and checks it: what is final in it, and whether it still is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .files import sha256_of, write_text

SUMS_FILE = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """List the files ``names`` of ``folder`` and no others."""
    rewrite_sums(folder, {name: sha256_of(folder / name) for name in names})


def rewrite_sums(folder: Path, sums: Mapping[str, str]) -> None:
    """List these checksums, taken as they are."""
    write_text(folder / SUMS_FILE, "".join(f"{digest}  {name}\n" for name, digest in sums.items()))


def read_sums(folder: Path) -> dict[str, str]:
    """The listed checksum of each file: empty where there is no list, without the lines that are damaged."""
    try:
        lines = (folder / SUMS_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {match.group(2): match.group(1) for line in lines if (match := _LINE.fullmatch(line))}


def wrong_sum(folder: Path, name: str, sums: Mapping[str, str]) -> str | None:
    """What is wrong with the listed file ``name``, None where nothing is or where it is not listed."""
    if name not in sums:
        return None
    path = folder / name
    if not path.is_file():
        return f"{path} is listed in {SUMS_FILE} but gone"
    if sha256_of(path) != sums[name]:
        return f"{path} does not have its checksum in {SUMS_FILE}, so it, or the list, is damaged"
    return None
