"""What path runs will cost: size, memory and disk, and the time of their first steps where the device is at hand.

A step reads as many tokens on any graph, so on graphs too large to try its time is a line in the vocabulary,

    seconds = a + b V,      b: products with V output embeddings, and AdamW's pass over as many rows,

through the steps on two smaller stars of the same length. What is kept for training is 16 bytes a weight (it, its
gradient and AdamW's two moments in float32).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fiedler.theory import Graph, parse

from ..runs.duration import duration
from ..runs.estimate import training_seconds
from ..runs.guards import disk_bytes, size
from .data import InWeightsData, make_data
from .metrics import CHUNK
from .settings import PathSettings
from .star import FAMILIES, star_paths
from .tokens import SPECIALS
from .training import PathTraining, build_path_model

LARGE = 1 << 24  # weights beyond which no step is tried: 270 MB, and a second a step
TRIED_ARMS = (1_000, 10_000)  # of the smaller stars: far enough apart for the slope to stand out of the noise
WEIGHT_BYTES = 16
# Per node: the graph's two directions, edge rows and their order (int64), paths. All together is 8 % low at 10^5 arms.
NODE_BYTES = 300
PROCESS_BYTES = 350 << 20  # Python, torch and transformers
LOGIT_COPIES = 4  # logits of a chunk, their exponentials, the largest and their marks


@dataclass(frozen=True)
class PathEstimate:
    """``seconds``: of all seeds, as many at a time as there are ``jobs``, measuring not included; None where the device
    is not at hand or too busy to tell. ``tried``: the graphs whose steps were timed. ``memory_bytes``: of one run, its
    process and the graph included."""

    condition: str
    parameters: int
    vocabulary: int
    tokens_per_step: int
    steps: int
    seeds: int
    seconds: float | None
    tried: tuple[str, ...]
    memory_bytes: int
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
    tried = _tried(graph, settings)
    # Rows are as long on a smaller star of the same length, whose data are made in no time.
    data = make_data(tried[0], settings, seeds[0])
    batches = data.batches(settings.edge_steps, torch.Generator())
    tokens = sum(batch.inputs.numel() for batch in batches)
    vocabulary = graph.n + len(SPECIALS) if isinstance(data, InWeightsData) else data.vocabulary.size
    parameters, state = _weights(settings, vocabulary, data.longest)
    here, seconds = device == "cpu" or torch.cuda.is_available(), None
    if here:
        times = []
        for one in tried:
            training = PathTraining(one, settings, seeds[0], device=device)
            state = training.state() if one is graph else state
            times.append(training_seconds(training, settings.steps, len(seeds), device, jobs))
        seconds = _along(vocabulary, [one.n + len(SPECIALS) for one in tried], times)
    disk = disk_bytes([state], len(seeds))
    memory = PROCESS_BYTES + WEIGHT_BYTES * parameters + NODE_BYTES * graph.n + 4 * LOGIT_COPIES * CHUNK
    line = "" if len(tried) < 2 else f" (a line through {' and '.join(one.name for one in tried)})"
    why = "this machine is too busy to time steps, try again" if here else "no CUDA GPU here"
    when = f"time unknown, {why}" if seconds is None else f"about {duration(seconds)} of training{line}"
    text = (
        f"{name} on {graph.name}, {parameters:,} weights, {vocabulary:,} tokens in the vocabulary, "
        f"{tokens:,} a step, {settings.steps:,} steps x {len(seeds)} seed(s): {when}, memory about {size(memory)} a "
        f"run, up to {size(disk)} in {folder}"
    )
    names = tuple(one.name for one in tried) if seconds is not None else ()
    return PathEstimate(
        name, parameters, vocabulary, tokens, settings.steps, len(seeds), seconds, names, memory, disk, text
    )


def _tried(graph: Graph, settings: PathSettings) -> list[Graph]:
    """The graphs whose steps are timed: this one, or two smaller ones of its length. Raises ValueError as
    ``star_paths``."""
    if graph.n * settings.width <= LARGE:
        return [graph]
    if graph.family not in FAMILIES:
        star_paths(graph)  # which says so
    smaller = [parse(f"{graph.family}:{arms}x{graph.parameters[1]}") for arms in TRIED_ARMS]
    star_paths(smaller[0])
    return smaller[:1] if settings.in_context else smaller  # prompts have graphs of their own


def _weights(settings: PathSettings, vocabulary: int, longest: int) -> tuple[int, Mapping[str, NDArray[Any]]]:
    """How many weights there are, and each as a view of one number: sizes without memory."""
    with torch.device("meta"):
        model = build_path_model(settings, vocabulary, longest)
    weights = dict(model.named_parameters())
    views = {name: np.broadcast_to(np.float32(0), tuple(weight.shape)) for name, weight in weights.items()}
    return sum(weight.numel() for weight in weights.values()), views


def _along(at: int, places: Sequence[int], values: Sequence[float]) -> float | None:
    """The line through one or two values, at another place; None where it falls, which times of a busy machine do."""
    if len(values) < 2:
        return values[0]
    slope = (values[1] - values[0]) / (places[1] - places[0])
    return values[0] + slope * (at - places[0]) if slope > 0 else None
