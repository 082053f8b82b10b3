"""Public maps whose names are imported when they are asked for, as ``theory.lazy``; what is missing for them is said
with the extra that installs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fiedler.theory.lazy import attach as attach_names

from .extras import check_part, explained


def attach(
    package: str, init: str, part: str | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``theory.lazy.attach``; its names ask for the ``part`` of ``extras.PARTS`` first, if one is given. Raises
    ImportError naming the extra where a library of ours is missing."""
    get, listing, names = attach_names(package, init)

    def get_or_explain(name: str) -> Any:
        if part is not None and name in names:
            check_part(part, f"{package}.{name}")
        try:
            return get(name)
        except ImportError as error:
            raise explained(error, f"{package}.{name}") from error

    return get_or_explain, listing, names
