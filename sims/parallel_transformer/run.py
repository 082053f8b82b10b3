"""A data-parallel Transformer with its run folder. The model is whole on every process, so process 0 alone writes: the
folder of ``fiedler train`` but for the scores."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from ..models.neural import DENSE_NODES
from ..models.protocol import Final, Snapshot
from ..models.registry import get_model
from ..runs.control import AFRESH, UNWATCHED, Restart, Watch
from ..runs.engine import describe_run, finish_run
from ..runs.folder import RunDir
from ..runs.guards import check_disk, memory_hint
from ..runs.opening import open_all
from ..runs.recorded import modes_arrays, record_snapshot
from ..runs.recorder import Recorder, log_spaced_steps
from ..runs.run_files import RECORDED, RunFiles
from ..sharded.together import run_together
from ..tasks.task import Task
from .training import ParallelTransformerTraining

STATE, RECORD, STEP = "state/", "record/", "step"  # of what process 0 sends to the others


def run_parallel(
    task: Task,
    settings: Any,
    seed: int,
    out: Path,
    *,
    device: str = "cpu",
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> float:
    """Train on every process of the world, which all call this, and return the loss per node at the end.

    ``restart``: of a run taken up again process 0 reads the last checkpoint and sends it to the others; with as many
    processes as before the result is that of a run never stopped, bit for bit, on the CPU. ``watch``: where any process
    is asked to stop, process 0 saves and all raise Interrupted; process 0 alone is told of steps. Errors are those of
    ``ParallelTransformerTraining`` and ``run_seeds``, on every process alike.
    """
    if task.directed or task.row_weight is not None:
        raise ValueError("a parallel run weighs the nodes of an undirected graph alike: no direction, no line weights")
    hint = memory_hint("training the transformer model", settings, graph=task.graph)
    with hint, ExitStack() as held:
        training = ParallelTransformerTraining(task.sparse_target, settings, seed, device=device)
        ring, place = training.ring, training.device
        config = describe_run(task, get_model("transformer"), settings, seed) | {"processes": ring.world}

        def open_files() -> RunFiles | None:
            if ring.rank:
                return None
            RunDir.check(out, overwrite=restart.takes_folder)
            check_disk(out, [training.state()], 1)
            open_all({out: config}, restart, held)
            files = RunFiles(RunDir(out), config)
            held.callback(files.close)
            return files

        files = ring.together(open_files, place)
        course = _ParallelCourse(task, training, files, seed, out)
        course.go_back()
        run_together(course, restart, watch, ring, place)
        course.finish()
    return course.last_loss


class _ParallelCourse:
    """One process's part in a run; ``files`` on process 0 alone."""

    def __init__(
        self, task: Task, training: ParallelTransformerTraining, files: RunFiles | None, seed: int, folder: Path
    ) -> None:
        self.training, self.files, self.folder, self.name = training, files, folder, f"seed {seed}"
        self._task, self._seed = task, seed
        self._recorder = Recorder(task.spaces, log_spaced_steps(training.settings.steps))
        self._ring, self._place = training.ring, training.device

    @property
    def step(self) -> int:
        return self.training.step

    @property
    def next_record(self) -> int | None:
        return self._recorder.next_step

    @property
    def last_loss(self) -> float:
        return float(self._recorder.state()["loss"][-1])

    def go_back(self) -> None:
        """Put every process at process 0's last checkpoint, or leave all at step 0."""
        from safetensors.numpy import load as unpack

        if data := _from_first(self._ring.together(self._read, self._place), self._place):
            arrays = unpack(data)
            state, record = (
                {name.removeprefix(kind): array for name, array in arrays.items() if name.startswith(kind)}
                for kind in (STATE, RECORD)
            )
            self.training.restore(int(arrays[STEP]), state)
            self._recorder.restore(record)

    def _read(self) -> bytes:
        from safetensors.numpy import save

        if self.files is None:
            return b""
        steps = self.files.steps(int(self._recorder.steps[-1]), self.training.state(), RECORDED)
        if not steps:
            self.files.begin_again()
            return b""
        saved = self.files.load(steps[0])
        arrays = {STATE + name: array for name, array in saved.state.items()}
        arrays |= {RECORD + name: array for name, array in saved.record.items()}
        return save({**arrays, STEP: np.array(saved.step)})

    def advance(self, until: int) -> None:
        self.training.advance()

    def record(self, watch: Watch) -> None:
        state = self.training.current()
        # Every process records the same, so that all of them know the next step and can go on from process 0's record.
        small = self._task.graph.n <= DENSE_NODES and self._recorder.takes_lines
        logits = self.training.all_logits() if small else None
        shot = Snapshot(self._seed, state.step, state.embedding, state.loss, logits)
        line = record_snapshot(self._task, self._recorder, shot, None)

        def tell() -> None:
            if self.files is not None:
                self.files.log(line)
                watch.step({"model": "transformer", "seed": self._seed, **line})

        self._ring.together(tell, self._place)
        watch.report("training", self._recorder.count / len(self._recorder.steps))

    def save(self) -> None:
        """Process 0 writes; an error of it is one of all."""

        def write() -> None:
            if self.files is not None:
                self.files.save(self.step, self.training.state(), self._recorder.state())

        self._ring.together(write, self._place)

    def finish(self) -> None:
        """Process 0 writes the results."""
        state = self.training.current()

        def write() -> None:
            if self.files is not None:
                final = Final(state.embedding, None, state.logits)
                finish_run(self.files, final, modes_arrays(self._task, self._recorder.finish(), None))

        self._ring.together(write, self._place)


def _from_first(data: bytes, place: torch.device) -> bytes:
    """Process 0's ``data`` on every process."""
    if not (dist.is_available() and dist.is_initialized()):
        return data
    length = torch.tensor([len(data)], dtype=torch.int64, device=place)
    dist.broadcast(length, 0)
    if not int(length):
        return b""
    sent = torch.frombuffer(bytearray(data or bytes(int(length))), dtype=torch.uint8).to(place)
    dist.broadcast(sent, 0)
    return sent.cpu().numpy().tobytes()
