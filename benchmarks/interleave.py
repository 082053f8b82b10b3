"""Timing several ways of doing one job side by side: every round runs each once, so that drift hits all alike."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiedler.sims.runs.environment import describe_environment

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Timing:
    """Seconds per round of one way, scaled to the whole job where only a part of it was run."""

    seconds: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        return 1e3 * statistics.median(self.seconds)

    @property
    def spread_ms(self) -> tuple[float, float]:
        return 1e3 * min(self.seconds), 1e3 * max(self.seconds)


def interleave(
    ways: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    share: Mapping[str, float] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time each way once a round, after one untimed round. ``share``: the part of the job a slow way runs, by which
    its time is divided. ``clock``: time.process_time leaves out what other jobs took of the core of a single thread."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = clock()
            way()
            seconds[name].append((clock() - start) / (share or {}).get(name, 1.0))
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def ratios(ours: Timing, peer: Timing) -> dict[str, float]:
    """peer / ours, round by round: median, smallest, largest (above one: ours is faster)."""
    each = sorted(p / o for p, o in zip(peer.seconds, ours.seconds, strict=True))
    return {"median": statistics.median(each), "min": each[0], "max": each[-1]}


def row(op: str, ours: str, timings: Mapping[str, Timing], **extra: Any) -> dict[str, Any]:
    """One row of a results file: our time, and each peer's with its ratio to ours."""
    mine = timings[ours]
    return {
        "op": op,
        **extra,
        "ms_median": mine.median_ms,
        "ms_spread": mine.spread_ms,
        "peers": {
            name: {"ms_median": t.median_ms, "ms_spread": t.spread_ms, "ratio_to_ours": ratios(mine, t)}
            for name, t in timings.items()
            if name != ours
        },
    }


def write_results(name: str, rows: list[dict[str, Any]]) -> Path:
    """Write benchmarks/results/NAME.json with the environment it was measured in."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"environment": describe_environment(), "rows": rows}, indent=2) + "\n")
    for line in rows:
        print(f"\n{line['op']} {line.get('graph', '')}: {line['ms_median']:.1f} ms")
        for peer, found in line["peers"].items():
            r = found["ratio_to_ours"]
            print(f"  {peer}: {found['ms_median']:.1f} ms, {r['median']:.2f} x ours ({r['min']:.2f} - {r['max']:.2f})")
    return path
