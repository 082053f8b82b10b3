"""A sweep's progress on standard error: a bar with counts and the latest runs, or a line every some seconds when that
is no terminal."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ..foreign import visible
from ..sweep.point import Outcome
from ..sweep.run import Counts
from .entry import print_line
from .progress import LINE_SECONDS

LATEST = 6
COLOURS = {"done": "green", "failed": "red", "interrupted": "yellow", "busy": "yellow"}


class SweepProgress:
    """``with SweepProgress(axes) as progress: run_sweep(..., on_outcome=progress.update)``."""

    def __init__(self, axes: tuple[str, ...], console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._axes, self._said = axes, time.monotonic()
        self._bar = Progress(
            TextColumn("runs"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=None)
        self._latest: deque[Outcome] = deque(maxlen=LATEST)
        self._live = Live(console=console, refresh_per_second=2, transient=False) if console.is_terminal else None

    def update(self, counts: Counts, outcome: Outcome | None) -> None:
        """Show ``counts`` and, if there is one, the run that just ended."""
        if self._live is None:
            if time.monotonic() - self._said >= LINE_SECONDS:
                self._said = time.monotonic()
                print_line(f"{counts.done} of {counts.total} runs done, {counts.failed} failed, {counts.left} left")
            return
        words = f"{counts.failed} failed" if counts.failed else ""
        ended = counts.done + counts.failed
        self._bar.update(self._task, total=counts.total, completed=ended, description=words)
        if outcome is not None:
            self._latest.append(outcome)
        self._live.update(Group(self._bar, self._table()))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        widest = max(map(len, COLOURS))
        for name in (*self._axes, "seed", "", "seconds"):
            table.add_column(name, justify="right", no_wrap=True, min_width=widest if name == "" else None)
        table.add_column("", no_wrap=True, overflow="ellipsis")
        for outcome in self._latest:
            values = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in map(outcome.point.option, self._axes)]
            status = Text(outcome.status, style=COLOURS[outcome.status])
            before = [Text(visible(value)) for value in (*values, str(outcome.seed))]
            table.add_row(*before, status, f"{outcome.seconds:.1f}", Text(visible(outcome.message)))
        return table

    def __enter__(self) -> SweepProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
