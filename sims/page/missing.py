"""What a page lacks, and the commands that add it; which files of its folder were changed since they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..disk.sums import SUMS_FILE, read_sums, wrong_sum
from .blocks import Section

LARGE = ("modes.npz", "embeddings.safetensors")  # which are checked as they are read


def missing_section(sentences: Sequence[str], source: Mapping[str, Any]) -> Section | None:
    """None where nothing is missing."""
    return Section("What is not here", [], list(sentences), source) if sentences else None


def changed_files(folder: Path, *, inside: bool) -> list[str]:
    """A sentence for each file of ``folder``, and of the runs ``inside``, that no longer has its checksum."""
    found = sorted(folder.rglob(SUMS_FILE)) if inside else [folder / SUMS_FILE]
    sentences = []
    for path in (one.parent for one in found):
        sums = read_sums(path)
        wrong = [wrong_sum(path, name, sums) for name in sums if name not in LARGE]
        sentences += [f"{one}." for one in wrong if one is not None]
    return sentences


def changed_section(sentences: Sequence[str]) -> Section | None:
    """None where nothing was changed."""
    note = "Numbers below may come from them: run the command again with --resume, or put the files back."
    return Section("Files that were changed since", [], [*sentences, note]) if sentences else None
