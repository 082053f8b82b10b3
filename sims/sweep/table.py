"""The results of a sweep as one tidy table: a row for each point and seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..disk.files import atomic_write
from ..disk.jsonio import from_json
from ..foreign import spreadsheet_cell
from .commands import TRAIN
from .plan import SweepPlan
from .point import Point, read_failure, read_scores

if TYPE_CHECKING:
    import pandas as pd

CSV, PARQUET = "results.csv", "results.parquet"
NO_SCORES = ("step", "seed", "seconds")  # of the numbers in scores.json


def collect(plan: SweepPlan, out: Path) -> pd.DataFrame:
    """The table of ``plan`` from its folder: every option and setting, defaults included, ``seed``, ``status`` ("done",
    "failed" or "pending"), ``error``, ``seconds``, ``folder`` and every score that is one number (NaN where it is
    undefined or the run is not done). ``command`` comes first where a point is not of `fiedler train`; what a row's
    command does not have is missing there."""
    import pandas as pd

    options = [options_of(point) for point in plan.points]
    if any(point.option("command") != TRAIN for point in plan.points):
        options = [{"command": point.option("command"), **own} for point, own in zip(plan.points, options, strict=True)]
    names = tuple(dict.fromkeys(name for own in options for name in own))
    results = {(point.key, seed): read_scores(point, seed, out) for point in plan.points for seed in plan.seeds}
    scores = tuple(name for name in _score_names(plan, results) if name not in names)
    seconds = run_seconds(out / "timings.jsonl")
    rows = [
        {
            "point": point.key,
            **{name: own.get(name) for name in names},
            "seed": seed,
            **_status(point, seed, out, results[point.key, seed] is not None),
            "seconds": seconds.get((point.key, seed)),
            **{name: (results[point.key, seed] or {}).get(name) for name in scores},
            "folder": str(point.folder(out, seed).relative_to(out)),
        }
        for point, own in zip(plan.points, options, strict=True)
        for seed in plan.seeds
    ]
    table = pd.DataFrame(rows)
    whole = [name for name in names if _whole_with_gaps(table[name], [own.get(name) for own in options])]
    numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in scores}
    return table.assign(**numbers, **{name: table[name].astype("Int64") for name in whole})


def write_table(table: pd.DataFrame, out: Path) -> tuple[Path, Path]:
    """Write results.csv and results.parquet, each whole or not at all; their paths."""
    text = table.map(spreadsheet_cell).to_csv(index=False)
    atomic_write(out / CSV, lambda stream: stream.write(text.encode()))
    atomic_write(out / PARQUET, lambda stream: table.to_parquet(stream, index=False))
    return out / CSV, out / PARQUET


def options_of(point: Point) -> dict[str, Any]:
    """Every option and setting of a point, defaults included."""
    return {**point.command.columns(point.own), **dataclasses.asdict(point.settings())}


def _score_names(plan: SweepPlan, results: Mapping[tuple[str, int], Mapping[str, Any] | None]) -> tuple[str, ...]:
    """Those of each command, or where it does not list them every number in its results."""
    names: dict[str, None] = {}
    for point in plan.points:
        listed = point.command.scores
        if listed is not None:
            names |= dict.fromkeys(listed)
            continue
        for seed in plan.seeds:
            scores = results[point.key, seed] or {}
            names |= dict.fromkeys(
                name for name, value in scores.items() if name not in NO_SCORES and _is_number(value)
            )
    return tuple(names)


def _is_number(value: Any) -> bool:
    """Whether it is a score, undefined (null) or not."""
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _whole_with_gaps(column: pd.Series[Any], values: Sequence[Any]) -> bool:
    """Whether whole numbers became floats because some rows have none."""
    present = [value for value in values if value is not None]
    return column.dtype.kind == "f" and bool(present) and all(isinstance(value, int) for value in present)


def _status(point: Point, seed: int, out: Path, done: bool) -> dict[str, Any]:
    error = None if done else read_failure(point, seed, out)
    return {"status": "done" if done else "pending" if error is None else "failed", "error": error}


def run_seconds(log: Path) -> dict[tuple[str, int], float]:
    """The last time of each run, by key and seed; damaged lines are left out, they are no results."""
    times: dict[tuple[str, int], float] = {}
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return times
    for line in lines:
        try:
            record = from_json(line)
            times[(str(record["key"]), int(record["seed"]))] = float(record["seconds"])
        except (ValueError, KeyError, TypeError):
            continue
    return times
