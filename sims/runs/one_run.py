"""One run of a training that is given whole (a path task, facts) in its folder: trained, measured, saved, and taken up
again from its last checkpoint.

The folder is that of ``runs.folder``: metrics.jsonl has one line of metrics each record, modes.npz the same as arrays,
embeddings.safetensors and scores.json what the training leaves at its end. A finished folder is only read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .control import AFRESH, UNWATCHED, Restart, Watch
from .folder import RunDir
from .guards import check_disk
from .loop import run_course
from .opening import opened
from .run_files import RunFiles

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
    restart: Restart = AFRESH,
    watch: Watch = UNWATCHED,
) -> TaskRun:
    """Train the fresh ``training`` in the folder ``out``, or go on with it, or read it where it is finished, as
    ``restart`` says. ``config``: everything needed to run it again, its "seed" among it.

    Raises ValueError for a folder in use, another config than a resumed run's or too small a disk, before anything is
    written; Diverged when training diverges; Interrupted, with a checkpoint written, when ``watch`` asks to stop.
    """
    RunDir.check(out, overwrite=restart.takes_folder)
    began = time.perf_counter()
    check_disk(out, [training.state()], 1)
    with opened(out, config, restart) as folder:
        if folder.finished and folder.is_final("scores.json"):
            return _read(folder)
        course = _TaskCourse(training, settings, RunFiles(folder, config), config["seed"], began)
        try:
            course.go_back()
            run_course(course, restart.checkpoint_every, watch)
        finally:
            course.files.close()
        return _finish(course)


class _TaskCourse:
    """The training with what is written of it while it goes on."""

    def __init__(
        self, training: TaskTraining, settings: TaskSettings, files: RunFiles, seed: Any, began: float
    ) -> None:
        self.training, self.files, self.name = training, files, f"seed {seed}"
        self._seed = seed
        self._began, self._steps = began, settings.steps
        self._due = record_steps(settings)

    @property
    def step(self) -> int:
        return self.training.step

    @property
    def next_record(self) -> int | None:
        return self._due[0] if self._due else None

    @property
    def folder(self) -> Path:
        return self.files.folder.path

    @property
    def seconds(self) -> float:
        """Of training and measuring, over all parts of the run."""
        return time.perf_counter() - self._began

    def go_back(self) -> None:
        """Put the training and the log at the newest checkpoint, or the log at nothing."""
        steps = self.files.steps(self._steps, self.training.state(), ("seconds",))
        if not steps:
            self.files.begin_again()
            return
        saved = self.files.load(steps[0])
        self.training.restore(saved.step, saved.state)
        self._began -= float(saved.rest["seconds"])
        logged = {record["step"] for record in self.files.folder.read_metrics()}
        self._due = [step for step in self._due if step >= saved.step and step not in logged]

    def advance(self, until: int) -> None:
        self.training.advance()

    def record(self, watch: Watch) -> None:
        line = self.training.measure()
        self.files.log(line)
        watch.step({"seed": self._seed, **line})
        watch.report("training", self._due.pop(0) / self._steps)

    def save(self) -> None:
        self.files.save(self.step, self.training.state(), seconds=np.array(self.seconds))


def _finish(course: _TaskCourse) -> TaskRun:
    folder = course.files.folder
    records = folder.read_metrics()
    arrays, scores = course.training.results()
    seconds = course.seconds
    folder.write_modes(**{name: np.array([record[name] for record in records]) for name in records[0]})
    folder.write_embeddings(arrays)
    folder.write_scores({"seconds": seconds, **records[-1], **scores, "results": list(scores)})
    folder.seal()
    return _read(folder)


def _read(folder: RunDir) -> TaskRun:
    written = folder.read_scores()
    scores = {name: written[name] for name in written.get("results", ())}  # path runs of earlier versions have none
    return TaskRun(tuple(folder.read_metrics()), folder.read_embeddings(), scores, float(written["seconds"]))
