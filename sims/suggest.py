"""The nearest known name, for messages about unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

NEAR = 0.6  # least similarity of a word that is suggested, difflib's own
SHORTEST_BEGINNING = 3  # letters of a word that may be the beginning of a longer one


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``name`` was most likely meant to be, or None: by difflib's ratio, with case, dashes,
    underscores and spaces set aside, and against the beginnings of longer words too ("frzen": frozen_subjects)."""
    if not isinstance(name, str):
        return None
    given = _plain(name)

    def likeness(word: str) -> float:
        plain = _plain(word)
        whole = difflib.SequenceMatcher(None, given, plain).ratio()
        if len(given) < SHORTEST_BEGINNING or len(plain) <= len(given):
            return whole
        cuts = (plain[: len(given)], plain[: len(given) + 1])
        start = max(difflib.SequenceMatcher(None, given, cut).ratio() for cut in cuts)
        return max(whole, 0.9 * start)  # a word of the right length wins over a longer one

    best = max(known, key=likeness, default=None)
    return best if best is not None and likeness(best) >= NEAR else None


def did_you_mean(name: object, known: Iterable[str], form: str = "{!r}") -> str:
    """ "did you mean ...? " with the nearest of ``known`` as ``form`` writes it, empty where none is near."""
    near = nearest(name, known)
    return "" if near is None else f"did you mean {form.format(near)}? "


def choose(name: object, known: Collection[str], verb: str = "choose from") -> str:
    """What to do about an unknown ``name``: "did you mean 'x'? choose from w, x, y"."""
    return f"{did_you_mean(name, known)}{verb} {', '.join(known)}"


def _plain(word: str) -> str:
    return word.lower().replace("_", "-").replace(" ", "-")


def check_only(only: Iterable[str] | None, conditions: Collection[str]) -> None:
    """Raises ValueError for a name of ``only`` that is no condition of the preset."""
    for name in only or ():
        if name not in conditions:
            raise ValueError(f"the preset has no condition {name!r}; {choose(name, conditions, 'it has')}")
