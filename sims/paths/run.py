"""Path tasks under several conditions, each over seeds, in one folder; ``runs.many_runs`` trains them side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fiedler.theory import Graph

from ..runs.control import AFRESH, UNWATCHED, Restart, Watch
from ..runs.folder import RunDir
from ..runs.many_runs import run_conditions
from ..tasks.task import describe_reading
from .one_run import PathRun, run_path
from .settings import PathSettings
from .star import star_paths
from .training import check_model


@dataclass(frozen=True, eq=False)
class PathResult:
    """Every run of every condition, in the order of the seeds, and the folder they are in."""

    graph: Graph
    runs: dict[str, list[PathRun]]
    folder: RunDir


def run_paths(
    graph: Graph,
    conditions: Mapping[str, PathSettings],
    seeds: Sequence[int],
    out: Path,
    *,
    device: str = "cpu",
    jobs: int | None = None,
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> PathResult:
    """Train every condition over ``seeds`` in ``out``, ``jobs`` runs at a time with one thread each (None: as many as
    CPUs; on CUDA one after the other).

    Raises ValueError for no conditions, repeated seeds, a graph without paths, a folder in use or a device that is not
    there, before anything is written; FloatingPointError when a run diverges; Interrupted, with every run saved, when
    ``watch`` asks to stop.
    """
    star_paths(graph)
    for settings in conditions.values():
        check_model(settings)
    runs, folder = run_conditions(
        conditions,
        seeds,
        out,
        lambda settings, seed: partial(_run, graph, settings, seed, device),
        about={"graph": graph.name, "n": graph.n, **describe_reading(graph)},
        device=device,
        workers=jobs,
        restart=restart,
        watch=watch,
    )
    return PathResult(graph, runs, folder)


def _run(
    graph: Graph, settings: PathSettings, seed: int, device: str, folder: Path, *, restart: Restart, watch: Watch
) -> PathRun:  # with arguments that travel to another process
    return run_path(graph, settings, seed, folder, device=device, restart=restart, watch=watch)
