"""Processes that train side by side: how many, and what tells that one died."""

from __future__ import annotations

import os


def processes(jobs: int | None) -> int:
    """``jobs``, or a process for each CPU this process may use."""
    if jobs is not None:
        return jobs
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def dead_workers() -> tuple[type[BaseException], ...]:
    """What joblib raises when a worker process dies."""
    from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError

    return (TerminatedWorkerError, BrokenProcessPool)
