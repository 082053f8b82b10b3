"""Collect the tables of finished presets into results/tiny_graphs.json and print them beside the published numbers:

python benchmarks/tiny_graphs.py runs/fig1 runs/fig7 runs/fig21 runs/self-edges runs/lookup runs/knobs runs/parts
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from fiedler.sims.disk.jsonio import to_json
from fiedler.sims.runs.folder import RunDir

RESULTS = Path(__file__).parent / "results" / "tiny_graphs.json"


def collect(folders: list[Path]) -> dict[str, Any]:
    """Every row of every preset, and the environment of each."""
    rows, environments = [], {}
    for folder in folders:
        run = RunDir.open(folder)
        scores = run.read_scores()
        environments[scores["preset"]] = run.read_environment()
        rows += [{"preset": scores["preset"], **row} for row in scores["table"]]
    return {"environments": environments, "rows": rows}


def show(rows: list[dict[str, Any]]) -> None:
    """A line for every published number."""
    for row in rows:
        if row["published"] is None:
            continue
        mean, std = (math.nan if row[key] is None else float(row[key]) for key in ("mean", "std"))
        apart = 100 * abs(mean / row["published"] - 1) if row["published"] else math.nan
        stable = "  stable" if row["stable"] else ""
        print(
            f"{row['preset']:11} {row['cell']:25} {row['title']:25} {row['measure']:24} "
            f"{mean:10.4f} ± {std:<8.2g} {row['published']:10.4f} {apart:6.1f} %{stable}"
        )


if __name__ == "__main__":
    found = collect([Path(word) for word in sys.argv[1:]])
    RESULTS.write_text(to_json(found) + "\n")
    show(json.loads(RESULTS.read_text())["rows"])
