"""Finished folders of `fiedler recall` into results/recall.json: every seed, with the environment of each. Entries of
other folders stay as they are.

python benchmarks/collect_recall.py FOLDER ...
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from fiedler.sims.disk.jsonio import from_json, to_json
from fiedler.sims.runs.folder import RunDir

RESULTS = Path(__file__).parent / "results" / "recall.json"
LEFT_OUT = ("curve",)  # thousands of lines; the run folders have them


def collect(folders: list[Path]) -> dict[str, Any]:
    """The scores of every folder but for the curves, under its name."""
    found = {}
    for folder in folders:
        run = RunDir.open(folder)
        scores = {name: value for name, value in run.read_scores().items() if name not in LEFT_OUT}
        found[folder.name] = {"environment": run.read_environment(), **scores}
    return found


if __name__ == "__main__":
    kept = from_json(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(to_json({**kept, **collect([Path(word) for word in sys.argv[1:]])}) + "\n")
    print(RESULTS)
