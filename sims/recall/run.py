"""Factual recall under several conditions, each over seeds, in one folder; ``runs.many_runs`` trains them side by
side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..runs.control import AFRESH, UNWATCHED, Restart, Watch
from ..runs.folder import RunDir
from ..runs.many_runs import run_conditions
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
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> RecallResult:
    """Train every condition over ``seeds`` in ``out``, ``jobs`` runs at a time with one thread each (None: as many as
    CPUs; on CUDA one after the other); ``analyse`` each at its end.

    Raises ValueError for no conditions, repeated seeds, settings that do not fit, a folder in use or a device that is
    not there, before anything is written; FloatingPointError when a run diverges; Interrupted, with every run saved,
    when ``watch`` asks to stop.
    """
    for settings in conditions.values():
        check_recall(settings)
    runs, folder = run_conditions(
        conditions,
        seeds,
        out,
        lambda settings, seed: partial(run_recall, settings, seed, analyse, device=device),
        about={"model": "recall"},
        also={"analyse": analyse},
        device=device,
        workers=jobs,
        restart=restart,
        watch=watch,
    )
    return RecallResult(runs, folder)
