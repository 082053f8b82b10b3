"""A sharded run with its folder: records, checkpoints, taking up again, results."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fiedler.kernels.sharded.ring import ALIKE, Ring
from fiedler.theory import one_hop_sparse

from ..disk.files import Damage, atomic_write, sha256_of
from ..disk.jsonio import to_json
from ..disk.jsonlog import JsonLog
from ..disk.lock import locked
from ..disk.sums import rewrite_sums
from ..models.node2vec import Node2VecSettings
from ..models.protocol import Diverged
from ..models.registry import get_model
from ..runs.checkpoints import KEPT
from ..runs.engine import CHECKPOINT_SECONDS, CHECKPOINT_SHARE, describe_run
from ..runs.environment import describe_environment
from ..runs.folder import STARTED, RunDir
from ..runs.guards import free_bytes, size
from ..runs.recorder import log_spaced_steps
from ..runs.seed_files import METRICS
from ..runs.stopping import Interrupted, StopRequest
from ..runs.take_up import take_up
from ..tasks.task import Task
from .files import ShardFiles
from .row_shards import row_range
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
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: float | None = None,
    stop: StopRequest | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> ShardedResult:
    """Train Node2Vec with the rows of all matrices spread evenly over the processes, each of which calls this.

    ``task``: one hop, without label smoothing, read whole by every process (O(edges) memory), which keeps its rows of
    the target. Process 0 makes the run folder ``out`` with config.json, environment.json, metrics.jsonl and SHA256SUMS;
    every process writes its checkpoints and its rows beside them (``sharded.files``). ``resume``: go on from the newest
    step of which every process has a checkpoint, with as many processes as then; the result is that of a run never
    stopped, bit for bit. ``checkpoint_every``: seconds, 0 for every step; None for 30, more where writing takes long.
    ``stop``: where any process is asked to stop, all save and raise Interrupted.

    Raises, on every process alike, ValueError for a task, settings or a folder that will not do, OSError for files that
    cannot be written, and Diverged.
    """
    ring = Ring.of(process_group)
    with ExitStack() as held:
        rows = ring.together(lambda: _rows(task, ring, checkpoint_every), device)
        training = ShardedTraining(rows, settings, seed, process_group=process_group, dtype=dtype, device=device)
        model = get_model("node2vec" if settings.tied else "node2vec-untied")
        config = {**describe_run(task, model, settings, seed), "dtype": dtype, "processes": ring.world}
        folder = RunDir(Path(out))
        files = ShardFiles(folder, ring, to_json(config), device)
        begun = ring.together(lambda: _open(folder, config, ring, overwrite, resume, training, held), device)
        run = _Run(training, files, checkpoint_every, stop, on_progress, settings.learning_rate)
        held.callback(run.close)
        # Process 0 alone may have found, or emptied, a folder that all share.
        run.begin(resume=bool(ring.agree({"begun": begun}, None, device)[0]["begun"]))
        began = time.perf_counter()
        try:
            loss = run.train()
        except Diverged as error:
            raise run.located(error, seed) from error
        seconds = time.perf_counter() - began
        run.finish()
        return ShardedResult(folder.path, training.n, ring.world, settings.steps, loss, seconds)


def _rows(task: Task, ring: Ring, checkpoint_every: float | None) -> Any:
    if not task.graph_target or task.label_smoothing:
        raise ValueError(
            "a sharded run takes the sparse one-hop target: no window, p, q, label smoothing, direction or line weights"
        )
    if checkpoint_every is not None and not checkpoint_every >= 0:
        raise ValueError(f"checkpoint_every must be a number of seconds >= 0; got {checkpoint_every}")
    here = row_range(task.graph.n, ring.world, ring.rank)
    return one_hop_sparse(task.graph, self_edges=task.self_edges)[here.start : here.stop]


def _open(
    folder: RunDir,
    config: dict[str, Any],
    ring: Ring,
    overwrite: bool,
    resume: bool,
    training: ShardedTraining,
    held: ExitStack,
) -> bool:
    """Lock and make, or take up, the folder (process 0); whether a run was taken up."""
    needed = (KEPT + 2) * sum(array.nbytes for array in training.state().values())
    free = free_bytes(folder.path)
    if free is not None and free < needed:
        raise ValueError(
            f"the rows and checkpoints of one process take up to {size(needed)} in {folder.path}, where {size(free)} "
            "are free: free some, give another --out, or start more processes"
        )
    if ring.rank:
        return False
    RunDir.check(folder.path, overwrite=overwrite or resume)
    held.enter_context(locked(folder.path))
    begun = resume and take_up(folder, config)
    if not begun:
        RunDir.create(folder.path, config, overwrite=overwrite or resume)
    folder.clean()
    return begun


class _Run:
    """One process's part in a run: ``disk.files`` of it, and on process 0 the log of losses."""

    def __init__(
        self,
        training: ShardedTraining,
        files: ShardFiles,
        checkpoint_every: float | None,
        stop: StopRequest | None,
        on_progress: Callable[[float], None] | None,
        time_per_step: float,
    ) -> None:
        self.training, self.files, self.ring = training, files, training.ring
        self.every, self.stop, self.on_progress = checkpoint_every, stop, on_progress
        self.time_per_step = time_per_step
        self.record_steps = log_spaced_steps(training.settings.steps).tolist()
        self.metrics = files.folder.path / METRICS
        self.saved_step: int | None = None  # what is recorded of it is in its checkpoint
        self._log: JsonLog | None = None

    def begin(self, *, resume: bool) -> None:
        """Start at step 0 with no files of an earlier run, or where the checkpoints are."""
        found = self.files.newest() if resume else None
        if not resume:
            self.ring.together(self.files.clear, self.files.device)
        if found is not None:
            state = {name: array for name, array in found.arrays.items() if name != "metrics"}
            self.training.restore(found.step, state)
            self.saved_step = found.step
        elif resume and self.ring.rank == 0:
            warnings.warn(
                f"{self.files.folder.checkpoints} holds no step of which every process has a checkpoint: the run "
                "starts again at step 0",
                Damage,
                stacklevel=2,
            )
        self.ring.together(
            lambda: self._open_log(found.arrays.get("metrics") if found else None, resume), self.files.device
        )

    def train(self) -> float:
        """Take the steps that are left; the loss per node at the end."""
        training, last = self.training, self.training.settings.steps
        saved, wait = time.monotonic(), self._wait(0.0)
        loss = float("nan")
        while True:
            if training.step in self.record_steps:
                loss = training.loss()
                if training.step != self.saved_step:
                    self._record(loss)
            done = training.step == last
            due = time.monotonic() - saved >= wait
            asked, due = self._any(self.stop is not None and self.stop.asked and not done, due or done)
            if (asked or due) and training.step and training.step != self.saved_step:
                training.loss()  # only finite states are kept
                began = time.monotonic()
                self._save()
                saved = time.monotonic()
                wait = self._wait(saved - began)
            if done:
                return loss
            if asked:
                error = Interrupted(f"interrupted at step {training.step}: go on with --resume")
                error.add_note(ALIKE)
                raise error
            training.advance()

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

    def located(self, error: Diverged, seed: int) -> Diverged:
        """The divergence with the seed and the last good checkpoint."""
        kept = "" if self.saved_step is None else f"; the last good checkpoint is of step {self.saved_step}"
        found = Diverged(f"{error.message} (seed {seed}{kept})", error.hint, error.step)
        found.add_note(ALIKE)
        return found

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None

    def _any(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag, raised where any process raises it."""
        told = self.ring.gather(torch.tensor(flags, dtype=torch.int64, device=self.training.target.device))
        return tuple(bool(flag) for flag in told.amax(dim=0).tolist())

    def _save(self) -> None:
        arrays: dict[str, NDArray[Any]] = dict(self.training.state())
        if self.ring.rank == 0:
            arrays["metrics"] = np.frombuffer(self.metrics.read_bytes(), dtype=np.uint8)
        self.files.save(self.training.step, arrays)
        self.saved_step = self.training.step

    def _record(self, loss: float) -> None:
        step = self.training.step
        if self._log is not None:
            self._log.append({"step": step, "time": self.time_per_step * step, "loss_per_node": loss})
        if self.on_progress is not None:
            self.on_progress((self.record_steps.index(step) + 1) / len(self.record_steps))

    def _open_log(self, kept: NDArray[Any] | None, resume: bool) -> None:
        if self.ring.rank:
            self.files.folder.path.mkdir(parents=True, exist_ok=True)
            return
        if resume:
            content = b"" if kept is None else kept.tobytes()
            atomic_write(self.metrics, lambda stream: stream.write(content))
            record = {"step": self.training.step, "environment": describe_environment()}
            self.files.folder.append("resumed.jsonl", record)
        self._log = self.files.folder.open_metrics()

    def _wait(self, writing: float) -> float:
        return max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * writing) if self.every is None else self.every
