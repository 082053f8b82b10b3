"""The nearest known name, for messages about unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], form: str = "{!r}") -> str:
    """ "did you mean ...? " with the nearest of ``known`` as ``form`` writes it, empty where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {form.format(near[0])}? " if near else ""
