"""Factual recall under several conditions, each over seeds, in one folder; ``runs.many_runs`` trains them side by
side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..models.devices import check_device
from ..runs.engine import check_interval, check_seeds
from ..runs.folder import RunDir
from ..runs.many_runs import Job, run_all
from ..runs.stopping import StopRequest
from .one_run import RecallRun, run_recall
from .settings import RecallSettings
from .training import check_recall


@dataclass(frozen=True, eq=False)
class RecallResult:
    """Every run of every condition, in the order of the seeds, and the folder they are in."""

    runs: dict[str, list[RecallRun]]
    folder: RunDir


def run_recalls(
    conditions: Mapping[str, RecallSettings],
    seeds: Sequence[int],
    out: Path,
    *,
    analyse: bool = True,
    device: str = "cpu",
    jobs: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: float | None = None,
    on_progress: Callable[[float], None] | None = None,
    stop: StopRequest | None = None,
) -> RecallResult:
    """Train every condition over ``seeds`` in ``out``, ``jobs`` runs at a time with one thread each (None: as many as
    CPUs; on CUDA one after the other); ``analyse`` those of one hop.

    Raises ValueError for no conditions, repeated seeds, settings that do not fit, a folder in use or a device that is
    not there, before anything is written; FloatingPointError when a run diverges; Interrupted, with every run saved,
    when ``stop`` asks.
    """
    if not conditions:
        raise ValueError("no conditions are left to run: leave --only out")
    check_seeds(seeds)
    check_interval(checkpoint_every)
    check_device(device)
    for settings in conditions.values():
        check_recall(settings)
    todo = [
        Job(name, seed, partial(run_recall, settings, seed, analyse, device=device))
        for seed in seeds
        for name, settings in conditions.items()
    ]
    config = {
        "model": "recall",
        "device": device,
        "conditions": {name: dataclasses.asdict(settings) for name, settings in conditions.items()},
        "seeds": list(seeds),
        "analyse": analyse,
    }
    runs, folder = run_all(
        todo,
        config,
        out,
        device=device,
        workers=jobs,
        overwrite=overwrite,
        resume=resume,
        checkpoint_every=checkpoint_every,
        on_progress=on_progress,
        stop=stop,
    )
    return RecallResult({name: [runs[name, seed] for seed in seeds] for name in conditions}, folder)
