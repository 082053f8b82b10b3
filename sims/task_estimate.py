"""How long runs will train, from the time of their first steps, and how much of the disk they take."""

from __future__ import annotations

import time

import torch

from .checkpoints import KEPT
from .neural import one_thread
from .sweep_point import processes
from .task_run import TaskTraining

TIMED_STEPS = 4  # after the first, which also allocates
STATE_BYTES = 12  # of a checkpoint for each weight: it and its two moments in float32


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


def disk_bytes(parameters: int, seeds: int) -> int:
    """Of the checkpoints kept of all runs and the one being written."""
    return seeds * (KEPT + 1) * STATE_BYTES * parameters
