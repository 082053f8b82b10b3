"""What searches of smallest dimensions will cost, from the first steps of a training of every size at the dimension
that is expected."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...models.devices import check_device
from ...models.torch_state import one_thread
from ...runs.duration import duration
from ...runs.estimate import training_seconds
from ...runs.one_run import record_steps
from ...runs.workers import processes
from ..settings import RecallSettings
from ..training import RecallTraining
from .construction import CONSTRUCTIONS
from .presets import expected_width, frozen_as, sized
from .run import check_search, search_sizes

TRIALS = 2.5  # of a search that begins near the answer, and of each lower level as many less one
SHARE = 0.8  # of its steps that the mean trial takes: those that memorise end early


@dataclass(frozen=True)
class SearchEstimate:
    """Of all searches of one ``condition``: ``seconds`` of training and measuring, on as many processes as there are
    jobs."""

    condition: str
    searches: int
    trainings: float
    seconds: float
    text: str


def estimate_scaling(
    settings: RecallSettings,
    seeds: Sequence[int],
    folder: Path,
    *,
    conditions: Sequence[str],
    subjects: Sequence[int],
    relations: Sequence[int],
    hops: Sequence[int] = (1,),
    lower: Sequence[float] = (),
    device: str = "cpu",
    jobs: int | None = None,
) -> list[SearchEstimate]:
    """One estimate for each condition that is trained; constructions, of seconds each, have none. Writes nothing.
    Raises ValueError as ``run_scaling`` does."""
    check_device(device)
    sizes = search_sizes(settings, subjects, relations, hops)
    check_search(settings, conditions, sizes, {"subjects": subjects, "relations": relations, "hops": hops})
    each = TRIALS + (TRIALS - 1) * len(lower)
    # Searches of several processes end at different times; the longest begin first, so that few wait.
    side_by_side = 1 if device == "cuda" else min(processes(jobs), len(sizes) * len(seeds))
    found = []
    for name in (name for name in conditions if name not in CONSTRUCTIONS):
        seconds = sum(_trial_seconds(frozen_as(name, sized(name, settings, *size)), name, device) for size in sizes)
        total = seconds * SHARE * each * len(seeds) / side_by_side
        searches, trainings = len(sizes) * len(seeds), each * len(sizes) * len(seeds)
        text = (
            f"{name}: {searches} searches of about {each:g} trainings of {settings.steps:,} steps: about "
            f"{duration(total)}, a few kB each in {folder}"
        )
        found.append(SearchEstimate(name, searches, trainings, total, text))
    return found


def _trial_seconds(settings: RecallSettings, name: str, device: str) -> float:
    """Of one whole training with its measurements."""
    expected = expected_width(name, settings.subjects, settings.relations, settings.hops)
    assert expected is not None
    training = RecallTraining(dataclasses.replace(settings, width=max(2, round(expected))), 0, device=device)
    stepping = training_seconds(training, settings.steps, 1, device, 1)
    with one_thread():
        began = time.perf_counter()
        training.accuracy(training.data.train[-1])
        measuring = time.perf_counter() - began
    return stepping + measuring * len(record_steps(settings))
