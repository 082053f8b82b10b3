"""The results of a sweep as one tidy table: a row for each point and seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..disk.files import atomic_write
from ..disk.jsonio import from_json
from .plan import SweepPlan
from .point import TASK_OPTIONS, Point, read_failure, read_scores

if TYPE_CHECKING:
    import pandas as pd

CSV, PARQUET = "results.csv", "results.parquet"
# Options of a task that a point may leave out.
DEFAULTS: dict[str, Any] = {
    "self_edges": False,
    "label_smoothing": 0.0,
    "window": 1,
    "p": 1.0,
    "q": 1.0,
    "symmetrize": False,
    "edges": "both",
    "weights": "node",
}


def collect(plan: SweepPlan, out: Path) -> pd.DataFrame:
    """The table of ``plan`` from its folder: every option and setting, defaults included, ``seed``, ``status`` ("done",
    "failed" or "pending"), ``error``, ``seconds``, ``folder`` and every score that is one number (NaN where it is
    undefined or the run is not done)."""
    import pandas as pd

    seconds = _seconds(out / "timings.jsonl")
    rows = []
    for point in plan.points:
        settings = dataclasses.asdict(point.settings())
        options = {**{name: dict(point.options).get(name, DEFAULTS.get(name)) for name in TASK_OPTIONS}, **settings}
        for seed in plan.seeds:
            rows.append(_row(point, seed, out, options, seconds))
    table = pd.DataFrame(rows)
    scores = [name for name in table.columns if name in _NUMBERS]
    return table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in scores})


def write_table(table: pd.DataFrame, out: Path) -> tuple[Path, Path]:
    """Write results.csv and results.parquet, each whole or not at all; their paths."""
    text = table.to_csv(index=False)
    atomic_write(out / CSV, lambda stream: stream.write(text.encode()))
    atomic_write(out / PARQUET, lambda stream: table.to_parquet(stream, index=False))
    return out / CSV, out / PARQUET


# The scores with one value; the rest of scores.json are lists.
_NUMBERS = (
    "loss_per_node",
    "fiedler_score",
    "effective_rank",
    "gram_error",
    "gram_scale",
    "geometric_level",
    "geometric_level_centred",
    "geometric_margin",
    "geometric_margin_top1",
    "edge_margin",
    "edge_top1",
    "edge_recall",
)


def _row(
    point: Point, seed: int, out: Path, options: Mapping[str, Any], seconds: Mapping[tuple[str, int], float]
) -> dict[str, Any]:
    scores = read_scores(point, seed, out)
    error = None if scores is not None else read_failure(point, seed, out)
    status = "done" if scores is not None else "pending" if error is None else "failed"
    return {
        "point": point.key,
        **options,
        "seed": seed,
        "status": status,
        "error": error,
        "seconds": seconds.get((point.key, seed)),
        **{name: (scores or {}).get(name) for name in _NUMBERS},
        "folder": str(point.folder(out, seed).relative_to(out)),
    }


def _seconds(log: Path) -> dict[tuple[str, int], float]:
    """The last time of each run; damaged lines are left out, they are no results."""
    found: dict[tuple[str, int], float] = {}
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            record = from_json(line)
            found[(str(record["key"]), int(record["seed"]))] = float(record["seconds"])
        except (ValueError, KeyError, TypeError):
            continue
    return found
