"""Path tasks under several conditions, each over seeds, in one folder; ``runs.many_runs`` trains them side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fiedler.theory import Graph, parse

from ..models.devices import check_device
from ..runs.engine import check_interval, check_seeds
from ..runs.folder import RunDir
from ..runs.many_runs import Job, run_all
from ..runs.stopping import StopRequest
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
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: float | None = None,
    on_progress: Callable[[float], None] | None = None,
    stop: StopRequest | None = None,
) -> PathResult:
    """Train every condition over ``seeds`` in ``out``, ``jobs`` runs at a time with one thread each (None: as many as
    CPUs; on CUDA one after the other).

    Raises ValueError for no conditions, repeated seeds, a graph without paths, a folder in use or a device that is not
    there, before anything is written; FloatingPointError when a run diverges; Interrupted, with every run saved, when
    ``stop`` asks.
    """
    if not conditions:
        raise ValueError("no conditions are left to run: leave --only out")
    check_seeds(seeds)
    check_interval(checkpoint_every)
    check_device(device)
    star_paths(graph)
    for settings in conditions.values():
        check_model(settings)
    todo = [
        Job(name, seed, partial(_run_word, graph.name, settings, seed, device))
        for seed in seeds
        for name, settings in conditions.items()
    ]
    config = {
        "graph": graph.name,
        "n": graph.n,
        "device": device,
        "conditions": {name: dataclasses.asdict(settings) for name, settings in conditions.items()},
        "seeds": list(seeds),
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
    return PathResult(graph, {name: [runs[name, seed] for seed in seeds] for name in conditions}, folder)


def _run_word(
    graph: str, settings: PathSettings, seed: int, device: str, folder: Path, **options: Any
) -> PathRun:  # in words that travel to another process
    return run_path(parse(graph), settings, seed, folder, device=device, **options)
