"""Progress on standard error: one bar a stage on a terminal, a line every some seconds elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.text import Text

from ..foreign import visible
from ..runs.control import Watch
from ..runs.stopping import StopRequest

LINE_SECONDS = 10.0  # between two lines where there is no terminal, and before the first
SAYING = 0.01  # of a stage: the time left is said from there on, before which it is a guess of hours


class Stages:
    """``with Stages() as stages: stages.update("training", 0.5)``: stages appear when first named.

    A stage of which nothing but its beginning is known, a fraction of zero, shows a bar that moves to and fro and the
    time since, without a percentage or an estimate. ``transient``: the bars go when the work is done, for commands that
    mostly take no time. Where standard error is no terminal, what is known is said in a line every LINE_SECONDS.
    """

    def __init__(self, *, transient: bool = False) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<24}", markup=False),
            BarColumn(),
            _Percent(),
            TimeElapsedColumn(),
            _Estimate(),
            _Note(),
            console=console,
            transient=transient,
            disable=not console.is_terminal,
        )
        self._lines = not console.is_terminal
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._said = time.monotonic()

    def update(self, stage: str, fraction: float) -> None:
        """Set ``stage`` to ``fraction`` in [0, 1] of its work."""
        task = self._task(stage)
        if fraction > 0:
            self._progress.update(task, total=1.0, completed=fraction)
        if SAYING <= fraction < 1:
            spent = time.monotonic() - self._began[stage]
            self._line(f"{stage}: {100 * fraction:.0f} %, about {spent * (1 - fraction) / fraction:.0f} s left")

    def note(self, stage: str, text: str) -> None:
        """What else is known of ``stage``."""
        self._progress.update(self._task(stage), note=text)
        self._line(f"{stage}: {text}")

    def say(self, text: str) -> None:
        """A line of its own, at once."""
        text = visible(text)
        if self._lines:
            print(f"fiedler: {text}", file=sys.stderr, flush=True)
        else:
            self._progress.console.print(text, highlight=False, markup=False)

    def watch(self, stop: StopRequest | None = None) -> Watch:
        """One who shows everything here."""
        return Watch(self.update, stop, self.note)

    def _task(self, stage: str) -> TaskID:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(visible(stage), total=None, note="")
            self._began[stage] = time.monotonic()
        return self._tasks[stage]

    def _line(self, text: str) -> None:
        now = time.monotonic()
        if self._lines and now - self._said >= LINE_SECONDS:
            self._said = now
            self.say(text)

    def __enter__(self) -> Stages:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class _Percent(ProgressColumn):
    """The percentage, blank where no fraction is known."""

    def render(self, task: Task) -> Text:
        return Text("    " if task.total is None else f"{task.percentage:>3.0f}%")


class _Estimate(Remaining):
    """The time left, blank where no fraction is known."""

    def render(self, task: Task) -> Text:
        return Text("") if task.total is None else super().render(task)


class _Note(ProgressColumn):
    """What else is known, cut where the terminal ends."""

    def render(self, task: Task) -> Text:
        return Text(task.fields.get("note", ""), style="dim", no_wrap=True, overflow="ellipsis")
