"""What recall runs will cost: their size, and where the device is at hand the time of their first steps."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .checkpoints import KEPT
from .estimate import duration
from .guards import size
from .neural import one_thread
from .path_training import check_device
from .recall_settings import RecallSettings
from .recall_training import RecallTraining
from .sweep_point import processes

TIMED_STEPS = 4  # after the first, which also allocates
STATE_BYTES = 12  # of a checkpoint for each weight: it and its two moments in float32


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
    with one_thread():
        training = RecallTraining(settings, seeds[0], device=device)
        training.advance()
        began = time.perf_counter()
        for _ in range(TIMED_STEPS):
            training.advance()
        if device == "cuda":
            torch.cuda.synchronize()
        each = (time.perf_counter() - began) / TIMED_STEPS
    rounds = len(seeds) if device == "cuda" else -(-len(seeds) // min(len(seeds), processes(jobs)))
    seconds = rounds * settings.steps * each
    vocabulary, parameters = training.data.vocabulary.size, training.parameters
    disk = len(seeds) * (KEPT + 1) * STATE_BYTES * parameters
    text = (
        f"{name}: {settings.questions:,} questions, {parameters:,} weights, {vocabulary:,} tokens in the vocabulary, "
        f"{settings.steps:,} steps x {len(seeds)} seed(s): about {duration(seconds)} of training, "
        f"up to {size(disk)} in {folder}"
    )
    return RecallEstimate(
        name, parameters, vocabulary, settings.questions, settings.steps, len(seeds), seconds, disk, text
    )
