"""What path runs will cost: their size, and where the device is at hand the time of their first steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fiedler.theory import Graph

from ..runs.estimate import duration, training_seconds
from ..runs.guards import disk_bytes, size
from .data import make_data
from .settings import PathSettings
from .training import PathTraining, build_path_model


@dataclass(frozen=True)
class PathEstimate:
    """``seconds``: of all seeds, as many at a time as there are ``jobs``, measuring not included; None where the device
    is not at hand."""

    condition: str
    parameters: int
    vocabulary: int
    tokens_per_step: int
    steps: int
    seeds: int
    seconds: float | None
    disk_bytes: int
    text: str


def estimate_paths(
    graph: Graph,
    conditions: Mapping[str, PathSettings],
    seeds: Sequence[int],
    folder: Path,
    *,
    device: str = "cpu",
    jobs: int | None = None,
) -> list[PathEstimate]:
    """One estimate a condition; trains and writes nothing that stays."""
    return [_estimate(graph, name, one, seeds, folder, device, jobs) for name, one in conditions.items()]


def _estimate(
    graph: Graph, name: str, settings: PathSettings, seeds: Sequence[int], folder: Path, device: str, jobs: int | None
) -> PathEstimate:
    data = make_data(graph, settings, seeds[0])
    batches = data.batches(settings.edge_steps, torch.Generator())
    tokens = sum(batch.inputs.numel() for batch in batches)
    with torch.device("meta"):  # sizes without memory
        model = build_path_model(settings, data.vocabulary.size, data.longest)
    parameters = sum(weight.numel() for weight in model.parameters())
    here = device == "cpu" or torch.cuda.is_available()
    # The weights of a model that is not there, as views of one number.
    state: Mapping[str, NDArray[Any]] = {
        name: np.broadcast_to(np.float32(0), tuple(weight.shape)) for name, weight in model.named_parameters()
    }
    seconds = None
    if here:
        training = PathTraining(graph, settings, seeds[0], device=device)
        state = training.state()
        seconds = training_seconds(training, settings.steps, len(seeds), device, jobs)
    disk = disk_bytes([state], len(seeds))
    when = "time unknown, no CUDA GPU here" if seconds is None else f"about {duration(seconds)} of training"
    text = (
        f"{name} on {graph.name}, {parameters:,} weights, {data.vocabulary.size:,} tokens in the vocabulary, "
        f"{tokens:,} a step, {settings.steps:,} steps x {len(seeds)} seed(s): {when}, up to {size(disk)} in {folder}"
    )
    return PathEstimate(name, parameters, data.vocabulary.size, tokens, settings.steps, len(seeds), seconds, disk, text)
