"""What recall runs will cost: their size, and where the device is at hand the time of their first steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..models.devices import check_device
from ..runs.duration import duration
from ..runs.estimate import training_seconds
from ..runs.guards import disk_bytes, size
from .settings import RecallSettings
from .training import RecallTraining


@dataclass(frozen=True)
class RecallEstimate:
    """``seconds``: of training all seeds, as many at a time as there are ``jobs``; measuring and analysis not
    included."""

    condition: str
    parameters: int
    vocabulary: int
    questions: int
    steps: int
    seeds: int
    seconds: float
    disk_bytes: int
    text: str


def estimate_recall(
    conditions: Mapping[str, RecallSettings],
    seeds: Sequence[int],
    folder: Path,
    *,
    device: str = "cpu",
    jobs: int | None = None,
) -> list[RecallEstimate]:
    """One estimate a condition; writes nothing. Raises ValueError for a device that is not there."""
    check_device(device)
    return [_estimate(name, settings, seeds, folder, device, jobs) for name, settings in conditions.items()]


def _estimate(
    name: str, settings: RecallSettings, seeds: Sequence[int], folder: Path, device: str, jobs: int | None
) -> RecallEstimate:
    training = RecallTraining(settings, seeds[0], device=device)
    vocabulary, parameters = training.data.vocabulary.size, training.parameters
    disk = disk_bytes([training.state()], len(seeds))
    seconds = training_seconds(training, settings.steps, len(seeds), device, jobs)
    text = (
        f"{name}: {settings.questions:,} questions, {parameters:,} weights, {vocabulary:,} tokens in the vocabulary, "
        f"{settings.steps:,} steps x {len(seeds)} seed(s): about {duration(seconds)} of training, "
        f"up to {size(disk)} in {folder}"
    )
    return RecallEstimate(
        name, parameters, vocabulary, settings.questions, settings.steps, len(seeds), seconds, disk, text
    )
