"""What was measured for a claim: the scores of each of its cells, a dictionary for each seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measured:
    """``scores``: by cell, one dictionary a seed in the order of the seeds; ``missing``: by cell, why it has none."""

    scores: Mapping[str, Sequence[Mapping[str, Any]]]
    missing: Mapping[str, str]

    def values(self, cell: str, score: str) -> tuple[float, ...]:
        """The numbers called ``score`` of ``cell``; "per_position.2" is the third of a list. Raises KeyError for a
        cell that is missing, and a score that it does not have or that is no number."""
        if cell not in self.scores:
            raise KeyError(f"{cell}: {self.missing.get(cell, 'not measured')}")
        return tuple(_number(one, cell, score) for one in self.scores[cell])


def _number(scores: Mapping[str, Any], cell: str, score: str) -> float:
    value: Any = scores
    for part in score.split("."):
        try:
            value = value[int(part)] if isinstance(value, list | tuple) else value[part]
        except (KeyError, IndexError, TypeError, ValueError):
            raise KeyError(f"{cell} has no score {score!r}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise KeyError(f"{cell}: {score} is {value!r}, no number")
    return float(value)
