"""Progress on standard error: one bar a stage, and nothing at all when that is not a terminal."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.text import Text


class Stages:
    """``with Stages() as stages: stages.update("training", 0.5)``: stages appear when first named.

    A stage of which nothing but its beginning is known, a fraction of zero, shows a bar that moves to and fro and the
    time since, without a percentage or an estimate. ``transient``: the bars go when the work is done, for commands that
    mostly take no time.
    """

    def __init__(self, *, transient: bool = False) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            _Percent(),
            TimeElapsedColumn(),
            _Estimate(),
            console=console,
            transient=transient,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def update(self, stage: str, fraction: float) -> None:
        """Set ``stage`` to ``fraction`` in [0, 1] of its work."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=None)
        if fraction > 0:
            self._progress.update(self._tasks[stage], total=1.0, completed=fraction)

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
