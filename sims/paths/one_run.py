"""One run of a path task in its folder; ``runs.one_run`` trains, saves and takes it up again. embeddings.safetensors
holds the node embeddings at the end."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Graph

from ..runs.control import AFRESH, UNWATCHED, Restart, Watch
from ..runs.guards import memory_hint
from ..runs.one_run import run_task
from ..tasks.task import describe_reading
from .settings import PathSettings
from .training import PathTraining


@dataclass(frozen=True, eq=False)
class PathRun:
    """A finished run. ``records``: the metrics at every recorded step, the last at the end; ``embedding`` (n, width) of
    the nodes; ``seconds`` of training and measuring, over all its parts; ``chance`` of guessing the first
    node after the root among its neighbours."""

    settings: PathSettings
    seed: int
    records: tuple[dict[str, Any], ...]
    embedding: NDArray[np.float32]
    seconds: float
    parameters: int
    chance: float


def describe_path_run(graph: Graph, settings: PathSettings, seed: int, device: str) -> dict[str, Any]:
    """config.json of a run: everything needed to run it again."""
    return {
        "graph": graph.name,
        "n": graph.n,
        **describe_reading(graph),
        "model": f"paths-{settings.arch}",
        "seed": seed,
        "device": device,
        "settings": dataclasses.asdict(settings),
    }


def run_path(
    graph: Graph,
    settings: PathSettings,
    seed: int,
    out: Path,
    *,
    device: str = "cpu",
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> PathRun:
    """Train one seed in the folder ``out``; ``restart`` and ``watch`` as for ``run_task``.

    Raises as ``run_task``, MemoryError with a hint when memory runs out, and ValueError for a graph, settings or a
    device that do not fit.
    """
    config = describe_path_run(graph, settings, seed, device)
    with memory_hint(f"training {settings.arch} on paths of {graph.name}", settings):
        training = PathTraining(graph, settings, seed, device=device)
        run = run_task(training, settings, config, out, restart=restart, watch=watch)
    embedding = run.arrays["embedding"].astype(np.float32)
    return PathRun(settings, seed, run.records, embedding, run.seconds, training.parameters, training.data.chance)
