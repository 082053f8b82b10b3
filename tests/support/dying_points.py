"""Points of a sweep that end their process: which, and how, is said by their initial scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import deaths
from fiedler.sims.sweep.point import Outcome, Point, run_point

DEATHS: dict[float, Callable[[], object]] = {
    0.11: deaths.killed,
    0.12: deaths.segmented,
    0.13: deaths.left,
    0.14: deaths.starves,
}


def run_or_die(point: Point, seeds: Sequence[int], out: str, *how: Any) -> list[Outcome]:
    """``run_point``, but for the points of DEATHS."""
    death = DEATHS.get(point.option("init_std"))
    if death is not None and 0 in seeds:
        death()
    return run_point(point, seeds, out, *how)


def die_once(point: Point, seeds: Sequence[int], out: str, *how: Any) -> list[Outcome]:
    """``run_point``, killed at its first try."""
    mark = Path(out) / f"died-{point.key}"
    if not mark.exists():
        mark.touch()
        deaths.killed()
    return run_point(point, seeds, out, *how)


def die_on_six(point: Point, seeds: Sequence[int], out: str, *how: Any) -> list[Outcome]:
    """``run_point``, but for what is on the cycle of six nodes."""
    if point.option("graph") == "cycle:6":
        deaths.segmented()
    return run_point(point, seeds, out, *how)
