"""Whether a command printed what a page says: the same words in the same order, and numbers within a tolerance."""

from __future__ import annotations

import re

# Printed figures have five to seven digits; another processor's linear algebra changes the last one or two, and mode
# energies that grow exponentially carry a start's rounding along.
RELATIVE = 2e-3
# Violations, gaps and energies of modes that die are rounding errors: printed, but not the same anywhere else.
NOTHING = 1e-7
FRAME = re.compile(r"[\u2500-\u257f]+")
NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def difference(expected: str, printed: str, *, numbers: bool = True) -> str | None:
    """None where ``printed`` agrees with ``expected``, else what differs first. A line "..." of ``expected`` stands for
    any lines; frames of tables and the width of blanks do not count; ``numbers=False`` takes any number."""
    parts = [_words(part) for part in re.split(r"(?m)^\s*\.\.\.\s*$", expected)]
    words, at = _words(printed), 0
    for index, part in enumerate(parts):
        where = at if index == 0 else _search(words, part, at, numbers)
        if where is None:
            return f"nothing printed agrees with {' '.join(part[:12])!r} ..."
        if index == len(parts) - 1 and index > 0 and part:
            where = len(words) - len(part)
        for offset, word in enumerate(part):
            if where + offset >= len(words):
                return f"the output ends before {word!r}"
            if not _same(word, words[where + offset], numbers):
                near = " ".join(words[max(0, where + offset - 4) : where + offset + 4])
                return f"the page says {word!r}, the output {words[where + offset]!r} (at: {near})"
        at = where + len(part)
    if parts[-1] and at != len(words):
        return f"the output goes on: {' '.join(words[at : at + 8])!r}"
    return None


def _words(text: str) -> list[str]:
    return FRAME.sub(" ", text).split()


def _search(words: list[str], part: list[str], start: int, numbers: bool) -> int | None:
    for at in range(start, len(words) - len(part) + 1):
        if all(_same(word, words[at + k], numbers) for k, word in enumerate(part)):
            return at
    return None


def _same(expected: str, printed: str, numbers: bool) -> bool:
    if expected == printed:
        return True
    if NUMBER.sub("#", expected) != NUMBER.sub("#", printed):
        return False
    if not numbers:
        return True
    pairs = zip(NUMBER.findall(expected), NUMBER.findall(printed), strict=True)
    return all(_near(float(a.replace(",", "")), float(b.replace(",", "")), a) for a, b in pairs)


def _near(a: float, b: float, text: str) -> bool:
    decimals = len(text.partition(".")[2].split("e")[0]) if "e" not in text.lower() else 0
    last = 1.1 * 10.0**-decimals if decimals else 0.0  # one unit of the last printed place
    return abs(a - b) <= max(RELATIVE * max(abs(a), abs(b)), last) or max(abs(a), abs(b)) < NOTHING
