"""What runs will cost, from their first steps: time, memory and disk."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..models.registry import Model
from ..models.torch_state import one_thread
from ..tasks.search import SEARCH, Search
from ..tasks.task import Task
from .duration import duration
from .engine import check_seeds
from .guards import disk_bytes, free_bytes, size
from .one_run import TaskTraining
from .recorder import Recorder, log_spaced_steps
from .workers import processes

SECONDS = 1.0  # of steps that are timed
WARM_UP = 2  # chunks before them, which also allocate


@dataclass(frozen=True)
class Estimate:
    """``seconds`` of training; ``optimum_seconds`` of the optimum it is scored against, 0 where that is left out
    (``optimum_left_out`` says why), None where nobody knows; ``memory_bytes``: the peak of this process so far,
    which has built the same model and taken ``timed_steps`` of its steps; ``disk_bytes``: at most, with checkpoints."""

    model: str
    graph: str
    steps: int
    seeds: int
    timed_steps: int
    seconds_per_step: float
    seconds: float
    memory_bytes: int
    disk_bytes: int
    optimum_seconds: float | None
    optimum_left_out: str
    time_limit: float


def estimate_runs(task: Task, model: Model, settings: Any, seeds: Sequence[int], search: Search = SEARCH) -> Estimate:
    """Start the runs, time about a second of their steps and one recording, and forget them."""
    check_seeds(seeds)
    grouped = model.groups(task, settings, seeds)
    groups = len(grouped)
    began = time.perf_counter()
    training = model.start(task, settings, grouped[0])
    starting = time.perf_counter() - began
    record_steps = log_spaced_steps(settings.steps)
    recorder = Recorder(task.spaces, record_steps)
    with training.threads():
        chunk = min(training.chunk, settings.steps)
        for _ in range(WARM_UP):
            if training.step + chunk <= settings.steps:
                training.advance(chunk)
        first, began = training.step, time.perf_counter()
        while training.step + chunk <= settings.steps and time.perf_counter() - began < SECONDS:
            training.advance(chunk)
        spent = time.perf_counter() - began
        if training.step == first:  # a run so short that warming up was all of it
            first, spent = 0, max(spent, starting)
        began = time.perf_counter()
        shots = training.snapshots()
        for shot in shots:
            recorder.record(shot.embedding, shot.loss)
            recorder = Recorder(task.spaces, record_steps)
        recording = time.perf_counter() - began
    timed = max(1, training.step - first)
    per_step = spent / timed
    return Estimate(
        model.name,
        task.graph.name,
        settings.steps,
        len(seeds),
        timed,
        per_step,
        groups * (starting + per_step * settings.steps + recording * len(record_steps)),
        _peak_bytes(),
        disk_bytes(training.state(), groups),
        search.seconds(task),
        search.left_out(task.graph.n),
        search.time_limit,
    )


def describe_estimate(estimate: Estimate, folder: Path) -> dict[str, Any]:
    """The estimate as --json prints it, with the free disk of ``folder`` and one sentence, ``text``."""
    free = free_bytes(folder)
    text = (
        f"{estimate.model} on {estimate.graph}, {estimate.steps} steps x {estimate.seeds} seed(s): about "
        f"{duration(estimate.seconds)} of training ({estimate.timed_steps} steps timed), {_optimum(estimate)}, peak "
        f"memory about "
        f"{size(estimate.memory_bytes)}, up to {size(estimate.disk_bytes)} in {folder}"
        + ("" if free is None else f" ({size(free)} free)")
    )
    return {**estimate.__dict__, "folder": str(folder), "free_disk_bytes": free, "text": text}


def _optimum(estimate: Estimate) -> str:
    if estimate.optimum_left_out:
        return estimate.optimum_left_out
    if estimate.optimum_seconds is None:
        return f"at most {duration(estimate.time_limit)} for the optimum"
    return f"about {duration(estimate.optimum_seconds)} for the optimum"


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # Linux counts in kilobytes


TIMED_STEPS = 4  # after the first, which also allocates


def training_seconds(training: TaskTraining, steps: int, seeds: int, device: str, jobs: int | None) -> float:
    """Of ``seeds`` trainings like the fresh ``training``, which is spent, as many at a time as there are ``jobs`` (on
    CUDA one after the other); measuring not included."""
    with one_thread():
        training.advance()
        began = time.perf_counter()
        for _ in range(TIMED_STEPS):
            training.advance()
        if device == "cuda":
            torch.cuda.synchronize()
        each = (time.perf_counter() - began) / TIMED_STEPS
    rounds = seeds if device == "cuda" else -(-seeds // min(seeds, processes(jobs)))
    return rounds * steps * each
