"""The one run loop: advance, record, save when due, stop when asked. Every training of the package goes through it.

Graph runs (``engine``), trainings that are given whole such as path and recall runs (``one_run``), sharded runs and
data-parallel Transformers each are a ``Course``: what is trained, with its records and files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..models.protocol import Diverged
from .control import Watch
from .stopping import Interrupted

CHECKPOINT_SECONDS = 30.0
# Unless the interval is given: so many times as long as writing a checkpoint took must pass before the next.
CHECKPOINT_SHARE = 50

Flags = tuple[bool, bool]


class Course(Protocol):
    """A training with its records and files, always between two steps."""

    @property
    def step(self) -> int:
        """The steps taken."""

    @property
    def next_record(self) -> int | None:
        """The next step that is recorded, this one or a later; None after the last, where the course ends."""

    @property
    def folder(self) -> Path | None:
        """Where it is saved; None where nothing is kept."""

    @property
    def name(self) -> str:
        """Which run this is, for messages: "seed 0"."""

    def advance(self, until: int) -> None:
        """At least one step, and none beyond ``until``. Raises Diverged."""

    def record(self, watch: Watch) -> None:
        """Measure and log ``next_record``, which is now. Raises Diverged."""

    def save(self) -> None:
        """Write a checkpoint of this step. Raises Diverged where the state is not finite."""


def run_course(
    course: Course, every: float | None, watch: Watch, agree: Callable[[Flags], Flags] = lambda flags: flags
) -> None:
    """Take ``course`` from where it is to its last record, with a checkpoint there and whenever one is due.

    ``every``: seconds between checkpoints, see ``Restart``. ``agree``: of the flags (stop, save) of this process those
    of all processes together, each raised where any raises it.

    Raises Interrupted, with this step saved, where somebody asks to stop before the last step; Diverged, naming the run
    and the last good checkpoint. Notes on an error stay on it.
    """
    saved_step = course.step
    try:
        saved_at, wait = time.monotonic(), _wait(every, 0.0)
        while True:
            if course.next_record == course.step:
                course.record(watch)
            last = course.next_record is None
            stop, due = agree((watch.stop_asked and not last, last or time.monotonic() - saved_at >= wait))
            if course.folder is not None and course.step > saved_step and (stop or due):
                began = time.monotonic()
                course.save()
                saved_at, saved_step = time.monotonic(), course.step
                wait = _wait(every, saved_at - began)
            if last:
                return
            if stop:
                raise Interrupted(_interrupted(course))
            assert course.next_record is not None
            course.advance(course.next_record)
    except Diverged as error:
        raise _located(error, course, saved_step) from error


def _wait(every: float | None, writing: float) -> float:
    return max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * writing) if every is None else every


def _interrupted(course: Course) -> str:
    if course.folder is None:
        return f"interrupted at step {course.step}; nothing was kept"
    return f"interrupted at step {course.step}, which is saved in {course.folder}: go on with --resume"


def _located(error: Diverged, course: Course, saved_step: int) -> Diverged:
    """The divergence with the run and the last good checkpoint."""
    where = course.name
    if course.folder is not None and saved_step > 0:
        where += f"; the last good checkpoint is of step {saved_step}, in {course.folder}"
    located = Diverged(f"{error.message} ({where})", error.hint, error.step)
    for note in getattr(error, "__notes__", ()):
        located.add_note(note)
    return located
