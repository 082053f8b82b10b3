"""One run of a training that is given whole (a path task, facts) in its folder: trained, measured, saved, and taken up
again from its last checkpoint.

The folder is that of ``runs.folder``: metrics.jsonl has one line of metrics each record, modes.npz the same as arrays,
embeddings.safetensors and scores.json what the training leaves at its end. A finished folder is only read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..disk.files import atomic_write
from ..disk.jsonio import to_json
from ..disk.lock import locked
from .checkpoints import Checkpoint, read_checkpoint, usable_steps, write_checkpoint
from .engine import CHECKPOINT_SECONDS, CHECKPOINT_SHARE
from .environment import describe_environment
from .folder import RunDir
from .guards import check_disk
from .seed_files import METRICS
from .stopping import Interrupted, StopRequest
from .take_up import take_up

Arrays = Mapping[str, NDArray[Any]]


class TaskSettings(Protocol):
    """What is known of a run before it starts: its steps, and how often it is measured beside the start."""

    @property
    def steps(self) -> int: ...

    @property
    def records(self) -> int: ...


class TaskTraining(Protocol):
    """A training at ``step``, of which ``state`` and ``restore`` hold everything that goes on."""

    step: int

    def advance(self) -> None:
        """One step."""

    def measure(self) -> dict[str, Any]:
        """One line of metrics: the same keys each time, ``step`` among them."""

    def state(self) -> Arrays:
        """What ``restore`` needs."""

    def restore(self, step: int, kept: Arrays) -> None:
        """Go on from ``state()`` of ``step``."""

    def results(self) -> tuple[Arrays, dict[str, Any]]:
        """At the end: arrays for embeddings.safetensors, entries for scores.json."""


@dataclass(frozen=True, eq=False)
class TaskRun:
    """A finished run. ``records``: the metrics at every recorded step, the last at the end; ``arrays`` and ``scores``:
    the training's results; ``seconds`` of training and measuring, over all its parts."""

    records: tuple[dict[str, Any], ...]
    arrays: dict[str, NDArray[Any]]
    scores: dict[str, Any]
    seconds: float


def record_steps(settings: TaskSettings) -> list[int]:
    """The steps that are measured: 0 and ``records`` more, evenly spread up to the last."""
    spread = np.linspace(0, settings.steps, min(settings.records, settings.steps) + 1)
    return sorted({int(step) for step in spread.round()})


def run_task(
    training: TaskTraining,
    settings: TaskSettings,
    config: Mapping[str, Any],
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    checkpoint_every: float | None = None,
    on_progress: Callable[[float], None] | None = None,
    stop: StopRequest | None = None,
) -> TaskRun:
    """Train the fresh ``training`` in the folder ``out``, or go on with it, or read it where it is finished
    (``resume``). ``config``: everything needed to run it again.

    Raises ValueError for a folder in use, another config than a resumed run's or too small a disk, before anything is
    written; Diverged when training diverges; Interrupted, with a checkpoint written, when ``stop`` asks.
    """
    RunDir.check(out, overwrite=overwrite or resume)
    began = time.perf_counter()
    check_disk(out, [training.state()], 1)
    with locked(out):
        folder = RunDir(out)
        if not (resume and take_up(folder, config)):
            folder = RunDir.create(out, config, overwrite=overwrite or resume)
        folder.clean()
        if folder.finished and folder.is_final("scores.json"):
            return _read(folder)
        spent = _go_back(training, folder) if resume else 0.0
        course = _Course(training, settings, folder, config, spent, began)
        course.train(checkpoint_every, on_progress or (lambda fraction: None), stop)
        return _finish(course)


class _Course:
    """The training with what is written of it while it goes on."""

    def __init__(
        self,
        training: TaskTraining,
        settings: TaskSettings,
        folder: RunDir,
        config: Mapping[str, Any],
        spent: float,
        began: float,
    ) -> None:
        self.training, self.settings, self.folder = training, settings, folder
        self._config, self._spent, self._began = to_json(config), spent, began

    @property
    def seconds(self) -> float:
        return self._spent + time.perf_counter() - self._began

    def train(self, every: float | None, report: Callable[[float], None], stop: StopRequest | None) -> None:
        training = self.training
        due = [step for step in record_steps(self.settings) if step >= training.step]
        logged = {record["step"] for record in self.folder.read_metrics()}
        saved, fresh = time.monotonic(), training.step
        wait = CHECKPOINT_SECONDS if every is None else every
        while True:
            if due and training.step == due[0]:
                if due.pop(0) not in logged:
                    self.folder.append_metrics(training.measure())
                report(training.step / self.settings.steps)
            last = not due
            asked = stop is not None and stop.asked and not last
            if training.step > fresh and (last or asked or time.monotonic() - saved >= wait):
                began = time.monotonic()
                self._save()
                saved, fresh = time.monotonic(), training.step
                wait = max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * (saved - began)) if every is None else every
            if last:
                return
            if asked:
                raise Interrupted(
                    f"interrupted at step {training.step}, which is saved in {self.folder.path}: go on with --resume"
                )
            training.advance()

    def _save(self) -> None:
        log = np.frombuffer((self.folder.path / METRICS).read_bytes(), dtype=np.uint8)
        arrays = {f"state/{name}": array for name, array in self.training.state().items()}
        arrays |= {"metrics": log, "seconds": np.array(self.seconds)}
        write_checkpoint(self.folder.checkpoints, Checkpoint(self.training.step, arrays, {"config": self._config}))


def _go_back(training: TaskTraining, folder: RunDir) -> float:
    """Put ``training`` and the log at the newest checkpoint, or the log at nothing; the seconds spent until then."""
    steps = usable_steps(folder.checkpoints)
    found = read_checkpoint(folder.checkpoints, steps[0]) if steps else None
    log, spent = b"", 0.0
    if found is not None:
        states = {name.removeprefix("state/"): a for name, a in found.arrays.items() if name.startswith("state/")}
        training.restore(found.step, states)
        log, spent = found.arrays["metrics"].tobytes(), float(found.arrays["seconds"])
    if found is not None or (folder.path / METRICS).exists():
        atomic_write(folder.path / METRICS, lambda stream: stream.write(log))
        folder.append("resumed.jsonl", {"step": training.step, "environment": describe_environment()})
    return spent


def _finish(course: _Course) -> TaskRun:
    training, folder = course.training, course.folder
    records = folder.read_metrics()
    arrays, scores = training.results()
    seconds = course.seconds
    folder.write_modes(**{name: np.array([record[name] for record in records]) for name in records[0]})
    folder.write_embeddings(arrays)
    folder.write_scores({"seconds": seconds, **records[-1], **scores, "results": list(scores)})
    folder.seal()
    return _read(folder)


def _read(folder: RunDir) -> TaskRun:
    kept = folder.read_scores()
    scores = {name: kept[name] for name in kept.get("results", ())}  # path runs of earlier versions have none
    return TaskRun(tuple(folder.read_metrics()), folder.read_embeddings(), scores, float(kept["seconds"]))
