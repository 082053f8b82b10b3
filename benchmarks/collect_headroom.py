"""Finished folders of `fiedler headroom` into results/headroom.json: every seed, with the environment of each.

python benchmarks/collect_headroom.py FOLDER ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def collect(folders: list[Path]) -> Path:
    """Write the scores and the environment of every folder."""
    runs = []
    for folder in folders:
        environment = json.loads((folder / "environment.json").read_text())
        scores = json.loads((folder / "scores.json").read_text())
        runs.append({"run_again_with": _command(scores), "environment": environment, **scores})
    path = RESULTS / "headroom.json"
    path.write_text(json.dumps({"runs": runs}, indent=1) + "\n")
    return path


def _command(scores: dict[str, Any]) -> str:
    """The command that trains the same runs."""
    if scores["kind"] == "paths":
        seeds, width = len(scores["seeds"]), scores["width"]
        return f"fiedler headroom --paths {scores['graph']} --width {width} --seeds {seeds}"
    seeds = len(next(iter(scores["graphs"].values()))["seeds"])
    return f"fiedler headroom {' '.join(scores['graphs'])} --model {scores['model']} --seeds {seeds}"


if __name__ == "__main__":
    print(collect([Path(word) for word in sys.argv[1:]]))
