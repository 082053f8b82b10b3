"""A sweep's progress: counts and the latest runs on a terminal, silence elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from fiedler.sims.cli.sweep_progress import LATEST, SweepProgress
from fiedler.sims.sweep.point import Outcome, Point
from fiedler.sims.sweep.run import Counts

POINTS = [Point.make({"graph": "cycle:5", "weight_decay": 0.001 * k, "width": k}) for k in range(1, 11)]


def shown(terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, color_system=None, legacy_windows=False)
    counts = Counts(total=len(POINTS), before=2, done=2)
    with SweepProgress(("weight_decay", "width"), console) as progress:
        progress.update(counts, None)
        for number, point in enumerate(POINTS[2:]):
            failed = number == 3
            counts.done += not failed
            counts.failed += failed
            message = "training diverged: lower the learning rate" if failed else ""
            progress.update(counts, Outcome(point, 7, "failed" if failed else "done", 1.25, message))
    return stream.getvalue()


def test_a_terminal_sees_counts_and_the_latest_runs() -> None:
    lines = shown(True).splitlines()
    last = "\n".join(lines[-(LATEST + 3) :])
    assert "10/10" in last
    assert "1 failed" in last
    assert "0.01" in last  # the last point's decay, and width
    assert "weight_decay" in last
    assert "training diverged" in last
    assert max(map(len, lines[-(LATEST + 3) :])) <= 110


def test_anything_else_sees_nothing() -> None:
    assert shown(False) == ""
