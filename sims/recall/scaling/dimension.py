"""The smallest embedding dimension at which a trained model recalls its facts, for one seed.

Found by bisection: recall is taken to be monotone in the dimension, and every dimension tried is kept, so that a reader
can see where it was not. A training ends as soon as it recalls enough.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...models.torch_state import one_thread
from ...runs.one_run import record_steps
from ...runs.stopping import Interrupted, StopRequest
from ..settings import RecallSettings
from ..training import RecallTraining

THRESHOLD = 0.99  # share of facts recalled that counts as memorised
FINENESS = 16  # neighbouring dimensions differ by one up to twice this, and beyond it by at most one part in as many


@dataclass(frozen=True)
class Trial:
    """One dimension tried: the best ``accuracy`` recorded, and the ``steps`` trained (0: nothing to train)."""

    width: int
    accuracy: float
    steps: int


@dataclass(frozen=True)
class SmallestWidth:
    """``width``: the smallest that memorised, None where the largest allowed does not. ``tried``: in the order of the
    search. ``seconds``: it took."""

    width: int | None
    tried: tuple[Trial, ...]
    seconds: float


def smallest_width(
    settings: RecallSettings,
    seed: int,
    *,
    threshold: float = THRESHOLD,
    low: int = 2,
    high: int = 256,
    device: str = "cpu",
    stop: StopRequest | None = None,
) -> SmallestWidth:
    """The smallest of ``width_grid(low, high)`` at which the run of ``settings`` (their ``width`` aside) recalls at
    least ``threshold`` of its facts at one of its records.

    Raises ValueError for more than one head, which not every width can be split into, and numbers out of range;
    FloatingPointError when training diverges; Interrupted when ``stop`` asks.
    """
    if settings.heads != 1:
        raise ValueError(f"heads must be 1, so that any width can be tried; got {settings.heads}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be a share in (0, 1]; got {threshold}")

    def attempt(width: int) -> Trial:
        return train_until(dataclasses.replace(settings, width=width), seed, threshold, device, stop)

    with one_thread():
        return search_width(attempt, width_grid(low, high), threshold)


def search_width(attempt: Callable[[int], Trial], widths: Sequence[int], threshold: float = THRESHOLD) -> SmallestWidth:
    """Bisection over ascending ``widths`` for the first whose trial has at least ``threshold``, where trials are
    monotone; otherwise for one that has, while the width before it has not."""
    began, tried = time.perf_counter(), []
    first, last = 0, len(widths)  # the answer is widths[first] ... widths[last - 1], or none
    while first < last:
        middle = (first + last) // 2
        tried.append(attempt(widths[middle]))
        if tried[-1].accuracy >= threshold:
            last = middle
        else:
            first = middle + 1
    found = widths[first] if first < len(widths) else None
    return SmallestWidth(found, tuple(tried), time.perf_counter() - began)


def width_grid(low: int, high: int) -> list[int]:
    """Dimensions from ``low`` to ``high``: all of them up to 2 FINENESS, then in steps of at most 1/FINENESS of each.

    Raises ValueError unless 1 <= low <= high.
    """
    if not 1 <= low <= high:
        raise ValueError(f"low and high must be dimensions with 1 <= low <= high; got {low} and {high}")
    widths = [low]
    while widths[-1] < high:
        widths.append(min(high, widths[-1] + max(1, widths[-1] // FINENESS)))
    return widths


def train_until(settings: RecallSettings, seed: int, threshold: float, device: str, stop: StopRequest | None) -> Trial:
    """Train until a record has ``threshold`` of the facts, or to the last step."""
    training = RecallTraining(settings, seed, device=device)
    best = 0.0
    for record in record_steps(settings):
        while training.step < record:
            if stop is not None and stop.asked:
                raise Interrupted(f"interrupted while searching the width of {settings.subjects} subjects")
            training.advance()
        best = max(best, training.measure()["accuracy"])
        if best >= threshold:
            break
    return Trial(settings.width, best, training.step)
