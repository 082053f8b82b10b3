"""How a run treats what is in its folder, and who watches it: two values that travel from the command to the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .stopping import StopRequest

Progress = Callable[[str, float], None]
StepRecord = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Restart:
    """What becomes of an earlier run in the folder, and how often this one is saved.

    ``overwrite``: it is replaced. ``resume``: a run of the same settings goes on from its last checkpoint, a finished
    one is only read, and where there is none a run starts. With neither, a folder in use is refused.
    ``checkpoint_every``: seconds between checkpoints, 0 for one after every chunk of steps; None for
    ``loop.CHECKPOINT_SECONDS``, more where writing takes long.

    Raises ValueError for both at once, and for an interval below zero or no number.
    """

    overwrite: bool = False
    resume: bool = False
    checkpoint_every: float | None = None

    def __post_init__(self) -> None:
        if self.overwrite and self.resume:
            raise ValueError("--overwrite starts a run over and --resume goes on with it: give one of them")
        if self.checkpoint_every is not None and not self.checkpoint_every >= 0:
            raise ValueError(f"checkpoint_every must be a number of seconds >= 0; got {self.checkpoint_every}")

    @property
    def takes_folder(self) -> bool:
        """Whether a folder that holds a run is accepted."""
        return self.overwrite or self.resume

    @property
    def inside(self) -> Restart:
        """For the runs in a folder that ``opening`` has emptied, where it was to be overwritten, or taken up."""
        return replace(self, overwrite=False)


@dataclass(frozen=True)
class Watch:
    """``on_progress(stage, fraction)`` is called as a run goes on, ``on_note(stage, text)`` where a stage has more to
    say; ``stop``: asked between steps whether to end, in which case a checkpoint is written and Interrupted raised.
    ``on_step(record)`` is called at every recorded step of a run with its line of metrics.jsonl and its "seed", on a
    graph its "model" too; what it raises ends the run. Runs in processes of their own tell nothing."""

    on_progress: Progress | None = None
    stop: StopRequest | None = None
    on_note: Callable[[str, str], None] | None = None
    on_step: StepRecord | None = None

    def report(self, stage: str, fraction: float) -> None:
        if self.on_progress is not None:
            self.on_progress(stage, fraction)

    def note(self, stage: str, text: str) -> None:
        if self.on_note is not None:
            self.on_note(stage, text)

    def step(self, record: Mapping[str, Any]) -> None:
        if self.on_step is not None:
            self.on_step(record)

    @property
    def stop_asked(self) -> bool:
        return self.stop is not None and self.stop.asked

    def within(self, name: str) -> Watch:
        """The same, with every stage under ``name``."""
        return replace(
            self,
            on_progress=lambda stage, fraction: self.report(f"{name}: {stage}", fraction),
            on_note=lambda stage, text: self.note(f"{name}: {stage}", text),
        )


AFRESH = Restart()
UNWATCHED = Watch()
