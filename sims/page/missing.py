"""What a page lacks, and the commands that add it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .blocks import Section


def missing_section(sentences: Sequence[str], source: Mapping[str, Any]) -> Section | None:
    """None where nothing is missing."""
    return Section("What is not here", [], list(sentences), source) if sentences else None
