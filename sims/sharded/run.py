"""A sharded run with its folder: records, checkpoints, taking up again, results."""

from __future__ import annotations

import time
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fiedler.kernels.sharded.ring import Ring
from fiedler.theory import one_hop_sparse

from ..disk.files import Damage, sha256_of
from ..disk.jsonio import to_json
from ..disk.jsonlog import JsonLog
from ..disk.sums import rewrite_sums
from ..models.node2vec import Node2VecSettings
from ..models.registry import get_model
from ..runs.checkpoints import KEPT
from ..runs.control import AFRESH, UNWATCHED, Restart, Watch
from ..runs.engine import describe_run
from ..runs.folder import STARTED, RunDir
from ..runs.guards import free_bytes, memory_hint, size
from ..runs.opening import open_all
from ..runs.recorder import log_spaced_steps
from ..runs.run_files import METRICS, restart_log
from ..tasks.task import Task
from .files import ShardFiles
from .row_shards import row_range
from .together import run_together
from .training import ShardedTraining


@dataclass(frozen=True)
class ShardedResult:
    """A finished run: the loss per node at the end, the same on every process, and the seconds of training here."""

    folder: Path
    n: int
    processes: int
    steps: int
    loss_per_node: float
    seconds: float


def run_sharded(
    task: Task,
    settings: Node2VecSettings,
    seed: int,
    out: Path,
    *,
    dtype: str = "float64",
    device: torch.device | str = "cpu",
    process_group: Any = None,
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> ShardedResult:
    """Train Node2Vec with the rows of all matrices spread evenly over the processes, each of which calls this.

    ``task``: one hop, without label smoothing, read whole by every process (O(edges) memory), which keeps its rows of
    the target. Process 0 makes the run folder ``out`` with config.json, environment.json, metrics.jsonl and SHA256SUMS;
    every process writes its checkpoints and its rows beside them (``sharded.files``). ``restart``: a run taken up again
    goes on from the newest step of which every process has a checkpoint, with as many processes as then; the result is
    that of a run never stopped, bit for bit. ``watch``: where any process is asked to stop, all save and raise
    Interrupted; process 0 alone is told of steps.

    Raises, on every process alike, ValueError for a task, settings or a folder that will not do, OSError for files that
    cannot be written, and Diverged; MemoryError, with a hint, where memory runs out.
    """
    ring = Ring.of(process_group)
    with memory_hint(f"training rows of {task.graph.name}", settings, processes=ring.world), ExitStack() as held:
        rows = ring.together(lambda: _rows(task, ring), device)
        training = ShardedTraining(rows, settings, seed, process_group=process_group, dtype=dtype, device=device)
        model = get_model("node2vec" if settings.tied else "node2vec-untied")
        config = {**describe_run(task, model, settings, seed), "dtype": dtype, "processes": ring.world}
        folder = RunDir(Path(out))
        files = ShardFiles(folder, ring, to_json(config), device)
        begun = ring.together(lambda: _open(folder, config, ring, restart, training, held), device)
        course = _ShardedCourse(training, files, model.name, seed)
        held.callback(course.close)
        # Process 0 alone may have found, or emptied, a folder that all share.
        course.go_back(resume=bool(ring.agree({"begun": begun}, None, device)[0]["begun"]))
        began = time.perf_counter()
        run_together(course, restart, watch, ring, training.target.device)
        loss, seconds = course.last_loss(), time.perf_counter() - began
        course.finish()
        return ShardedResult(folder.path, training.n, ring.world, settings.steps, loss, seconds)


def _rows(task: Task, ring: Ring) -> Any:
    if not task.graph_target or task.label_smoothing:
        raise ValueError(
            "a sharded run takes the sparse one-hop target: no window, p, q, label smoothing, direction or line weights"
        )
    here = row_range(task.graph.n, ring.world, ring.rank)
    return one_hop_sparse(task.graph, self_edges=task.self_edges)[here.start : here.stop]


def _open(
    folder: RunDir, config: dict[str, Any], ring: Ring, restart: Restart, training: ShardedTraining, held: ExitStack
) -> bool:
    """Lock and make, or take up, the folder (process 0); whether a run may be taken up."""
    needed = (KEPT + 2) * sum(array.nbytes for array in training.state().values())
    free = free_bytes(folder.path)
    if free is not None and free < needed:
        raise ValueError(
            f"the rows and checkpoints of one process take up to {size(needed)} in {folder.path}, where {size(free)} "
            "are free: free some, give another --out, or start more processes"
        )
    if ring.rank:
        return False
    return open_all({folder.path: config}, restart, held)[folder.path]


class _ShardedCourse:
    """One process's part in a run: ``files`` of it, and on process 0 the log of losses."""

    def __init__(self, training: ShardedTraining, files: ShardFiles, model: str, seed: int) -> None:
        self.training, self.files, self.ring, self.name = training, files, training.ring, f"seed {seed}"
        self._model, self._seed, self._time_per_step = model, seed, training.settings.learning_rate
        self._record_steps = log_spaced_steps(training.settings.steps).tolist()
        self._due = list(self._record_steps)
        self._metrics = files.folder.path / METRICS
        self._loss: float | None = None
        self._log: JsonLog | None = None

    @property
    def step(self) -> int:
        return self.training.step

    @property
    def next_record(self) -> int | None:
        return self._due[0] if self._due else None

    @property
    def folder(self) -> Path:
        return self.files.folder.path

    def go_back(self, *, resume: bool) -> None:
        """Start at step 0 with no files of an earlier run, or where the checkpoints are."""
        newest = self.files.newest(self._record_steps[-1]) if resume else None
        if not resume:
            self.ring.together(self.files.clear, self.files.device)
        if newest is not None:
            state = {name: array for name, array in newest.arrays.items() if name != "metrics"}
            self.training.restore(newest.step, state)
            self._due = [step for step in self._record_steps if step > newest.step]  # its own is in its checkpoint
        elif resume and self.ring.rank == 0:
            warnings.warn(
                f"{self.files.folder.checkpoints} holds no step of which every process has a checkpoint: the run "
                "starts again at step 0",
                Damage,
                stacklevel=2,
            )
        metrics = None if newest is None else newest.arrays.get("metrics")
        self.ring.together(lambda: self._open_log(metrics, resume), self.files.device)

    def advance(self, until: int) -> None:
        self.training.advance()

    def record(self, watch: Watch) -> None:
        step, self._loss = self._due.pop(0), self.training.loss()
        line = {"step": step, "time": self._time_per_step * step, "loss_per_node": self._loss}

        def tell() -> None:
            if self._log is not None:
                self._log.append(line)
                watch.step({"model": self._model, "seed": self._seed, **line})

        self.ring.together(tell, self.files.device)
        watch.report("training", 1 - len(self._due) / len(self._record_steps))

    def save(self) -> None:
        self.training.loss()  # only finite states are kept
        arrays: dict[str, NDArray[Any]] = dict(self.training.state())
        if self.ring.rank == 0:
            arrays["metrics"] = np.frombuffer(self._metrics.read_bytes(), dtype=np.uint8)
        self.files.save(self.step, arrays)

    def last_loss(self) -> float:
        """The loss per node at the last step, the same on every process."""
        return self.training.loss() if self._loss is None else self._loss

    def finish(self) -> None:
        """Write the rows here; process 0 lists the checksums of everything."""
        self.close()
        training = self.training
        first = training.target.column_starts[self.ring.rank]
        shards = self.files.write_shard(first, training.state())

        def seal() -> None:
            path = self.files.folder.path
            rewrite_sums(path, {**{name: sha256_of(path / name) for name in (*STARTED, METRICS)}, **shards})

        self.ring.together(seal if self.ring.rank == 0 else lambda: None, self.files.device)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None

    def _open_log(self, metrics: NDArray[Any] | None, resume: bool) -> None:
        if self.ring.rank:
            self.files.folder.path.mkdir(parents=True, exist_ok=True)
            return
        if resume:
            restart_log(self.files.folder, b"" if metrics is None else metrics.tobytes(), self.step)
        self._log = self.files.folder.open_metrics()
