"""The smallest embedding dimension at which a trained model recalls its facts, for one seed.

Found by bisection, or in growing steps from where it is expected: recall is taken to be monotone in the dimension, and
every dimension tried is kept, so that a reader can see where it was not. A training ends as soon as it recalls enough.
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
SMALLEST = 2  # dimension that is tried: layer norm leaves one coordinate nothing
LOWER_START = 0.7  # where a lower level is sought first, as a share of the dimension that memorises
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

    def crossing(self, level: float) -> float | None:
        """The dimension at which accuracy crosses ``level``, between neighbours of the grid: a + (level - p_a) / (p_b -
        p_a) (b - a) for the smallest b with p >= level there and at all larger ones that were tried, a the one before.
        b where b is the smallest that may be; None where no neighbours were tried around the level.

        A training that memorises ends there: p_b is at least the threshold of the search, and not what more steps
        would make of it."""
        trials = sorted(self.tried, key=lambda trial: trial.width)
        above = len(trials)
        while above and trials[above - 1].accuracy >= level:
            above -= 1
        if above == len(trials):
            return None
        b = trials[above]
        if above == 0:
            return float(b.width) if b.width == SMALLEST else None
        a = trials[above - 1]
        if b.width > next_width(a.width):
            return None
        return a.width + (level - a.accuracy) / (b.accuracy - a.accuracy) * (b.width - a.width)


def smallest_width(
    settings: RecallSettings,
    seed: int,
    *,
    threshold: float = THRESHOLD,
    low: int = SMALLEST,
    high: int = 256,
    lower: Sequence[float] = (),
    start: float | None = None,
    device: str = "cpu",
    stop: StopRequest | None = None,
) -> SmallestWidth:
    """The smallest of ``width_grid(low, high)`` at which the run of ``settings`` (their ``width`` aside) recalls at
    least ``threshold`` of its facts at one of its records; of several hops, of the longest questions shown. ``lower``
    and ``start``: as ``search_width``.

    Raises ValueError for more than one head, which not every width can be split into, and numbers out of range;
    FloatingPointError when training diverges; Interrupted when ``stop`` asks.
    """
    if settings.heads != 1:
        raise ValueError(f"heads must be 1, so that any width can be tried; got {settings.heads}")
    check_levels(threshold, lower)

    def attempt(width: int) -> Trial:
        return train_until(dataclasses.replace(settings, width=width), seed, threshold, device, stop)

    with one_thread():
        return search_width(attempt, width_grid(low, high), threshold, lower=lower, start=start)


def check_levels(threshold: float, lower: Sequence[float]) -> None:
    """Raises ValueError unless ``threshold`` is a share and ``lower`` are shares below it."""
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be a share in (0, 1]; got {threshold}")
    for level in lower:
        if not 0 < level < threshold:
            raise ValueError(f"lower must be shares in (0, {threshold}), below the threshold; got {level}")


def search_width(
    attempt: Callable[[int], Trial],
    widths: Sequence[int],
    threshold: float = THRESHOLD,
    *,
    lower: Sequence[float] = (),
    start: float | None = None,
) -> SmallestWidth:
    """The first of ascending ``widths`` whose trial has at least ``threshold``, where trials are monotone; otherwise
    one that has, while the width before it has not. By bisection; with ``start`` in steps of 1, 2, 4, ... away from the
    width nearest to it first, which takes two trials where that is the answer. ``lower``: accuracies whose first width
    is sought in the same way, so that its neighbours are among ``tried``."""
    began, tried = time.perf_counter(), dict[int, Trial]()

    def accuracy(place: int) -> float:
        width = widths[place]
        if width not in tried:
            tried[width] = attempt(width)
        return tried[width].accuracy

    place = _first(lambda at: accuracy(at) >= threshold, len(widths), _nearest(widths, start))
    found = widths[place] if place < len(widths) else None
    for level in sorted(lower, reverse=True):
        below = _nearest(widths, LOWER_START * (widths[-1] if found is None else found))
        _first(lambda at, level=level: accuracy(at) >= level, len(widths), below)  # type: ignore[misc]
    return SmallestWidth(found, tuple(tried.values()), time.perf_counter() - began)


def _nearest(widths: Sequence[int], start: float | None) -> int | None:
    return None if start is None else min(range(len(widths)), key=lambda place: abs(widths[place] - start))


def _first(holds: Callable[[int], bool], count: int, start: int | None) -> int:
    """The first of ``count`` places at which ``holds``, or ``count``: false before it and true from it on."""
    first, last = 0, count  # the answer is first ... last
    step, before = 1, None
    while start is not None and first <= start < last:
        found = holds(start)
        if found:
            last = start
        else:
            first = start + 1
        if before not in (None, found):
            break  # the answer lies between
        start += -step if found else step
        step, before = 2 * step, found
    while first < last:
        middle = (first + last) // 2
        if holds(middle):
            last = middle
        else:
            first = middle + 1
    return first


def next_width(width: int) -> int:
    """The dimension after ``width`` in ``width_grid``."""
    return width + max(1, width // FINENESS)


def width_grid(low: int, high: int) -> list[int]:
    """Dimensions from ``low`` to ``high``: all of them up to 2 FINENESS, then in steps of at most 1/FINENESS of each.

    Raises ValueError unless 1 <= low <= high.
    """
    if not 1 <= low <= high:
        raise ValueError(f"low and high must be dimensions with 1 <= low <= high; got {low} and {high}")
    widths = [low]
    while widths[-1] < high:
        widths.append(min(high, next_width(widths[-1])))
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
        best = max(best, training.accuracy(training.data.train[-1]))  # the loss of all facts would cost as much again
        if best >= threshold:
            break
    return Trial(settings.width, best, training.step)
