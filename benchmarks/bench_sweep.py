"""Throughput of a sweep: 64 points of about a second on two processes, against two processes that only compute."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from fiedler.sims.sweep.plan import SweepPlan, plan_sweep
from fiedler.sims.sweep.point import Outcome, run_point
from fiedler.sims.sweep.run import run_sweep
from interleave import write_results

POINTS, PROCESSES, SECONDS, ROUNDS = 64, 2, 1.0, 2
TRIAL_STEPS = 20_000


def plan(steps: int) -> SweepPlan:
    axes = {"weight_decay": {"from": 0.0001, "to": 0.1, "points": POINTS, "scale": "log"}}
    return plan_sweep({"base": {"graph": "path-star:4x5", "steps": steps}, "axes": axes}, "throughput")


def test_throughput(benchmark: Any) -> None:
    """efficiency = (sum of the seconds of all points) / (processes x wall seconds); and against points run alone."""
    assert len(os.sched_getaffinity(0)) >= PROCESSES, "needs two CPUs"
    root = Path(tempfile.mkdtemp())
    try:
        trial = plan(TRIAL_STEPS).points[0]
        run_point(trial, [0], str(root / "warm"))
        began = time.perf_counter()
        run_point(trial, [0], str(root / "trial"))
        steps = int(TRIAL_STEPS * SECONDS / (time.perf_counter() - began))
        points = plan(steps)
        alone = []
        for number in range(5):
            began = time.perf_counter()
            run_point(points.points[0], [0], str(root / f"alone{number}"))
            alone.append(time.perf_counter() - began)
        rows = []
        for backend in ("local", "dask"):
            walls, busy = [], []
            for number in range(ROUNDS):
                seconds: list[float] = []

                def note(counts: Any, outcome: Outcome | None, seconds: list[float] = seconds) -> None:
                    if outcome is not None:
                        seconds.append(outcome.seconds)

                began = time.perf_counter()
                counts = run_sweep(
                    points, root / f"{backend}{number}", jobs=PROCESSES, backend=backend, on_outcome=note
                )
                walls.append(time.perf_counter() - began)
                busy.append(sum(seconds))
                assert counts.done == POINTS
            ideal = POINTS * statistics.median(alone) / PROCESSES
            rows.append(
                {
                    "op": f"sweep of {POINTS} points, {backend}, {PROCESSES} processes",
                    "steps": steps,
                    "ms_median": 1e3 * statistics.median(walls),
                    "ms_spread": (1e3 * min(walls), 1e3 * max(walls)),
                    "point_alone_ms": 1e3 * statistics.median(alone),
                    "busy_share": sorted(b / (PROCESSES * w) for b, w in zip(busy, walls, strict=True)),
                    "throughput_of_ideal": sorted(ideal / w for w in walls),
                    "peers": {},
                }
            )
        benchmark.extra_info["rows"] = rows
        benchmark.pedantic(lambda: run_point(points.points[0], [0], str(root / "alone0")), rounds=3)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    write_results("sweep", rows)
    for line in rows:
        print(f"{line['op']}: busy {line['busy_share']}, of ideal {line['throughput_of_ideal']}")
