"""The nearest known name, for messages about unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


def did_you_mean(name: str, known: Iterable[str], form: str = "{!r}") -> str:
    """ "did you mean ...? " with the nearest of ``known`` as ``form`` writes it, empty where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {form.format(near[0])}? " if near else ""


def check_only(only: Iterable[str] | None, conditions: Collection[str]) -> None:
    """Raises ValueError for a name of ``only`` that is no condition of the preset."""
    for name in only or ():
        if name not in conditions:
            hint = did_you_mean(name, conditions, "{}")
            raise ValueError(f"the preset has no condition {name!r}; {hint}it has {', '.join(conditions)}")
