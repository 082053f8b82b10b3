"""``--dry-run`` says of path and recall runs the disk that the runs then ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fiedler.sims.paths.estimate import estimate_paths
from fiedler.sims.paths.one_run import run_path
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.recall.estimate import estimate_recall
from fiedler.sims.recall.one_run import run_recall
from fiedler.sims.recall.settings import RecallSettings
from fiedler.sims.runs import guards
from fiedler.theory import parse

STAR = parse("path-star:4x3")
PATHS = PathSettings(layers=1, width=8, heads=2, pause=1, steps=8, edge_batch=8, path_batch=2, records=2)
RECALL = RecallSettings(subjects=6, relations=2, width=8, neurons=12, steps=8, records=2)


@pytest.mark.parametrize("kind", ["paths", "recall"])
def test_a_run_asks_for_what_was_estimated(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def free(folder: Path) -> int | None:
        return asked[0] - 1 if asked else None

    def run(folder: Path) -> Any:
        return run_path(STAR, PATHS, 0, folder) if kind == "paths" else run_recall(RECALL, 0, False, folder)

    if kind == "paths":
        asked.append(estimate_paths(STAR, {"one": PATHS}, [0], tmp_path)[0].disk_bytes)
    else:
        asked.append(estimate_recall({"one": RECALL}, [0], tmp_path)[0].disk_bytes)
    monkeypatch.setattr(guards, "free_bytes", free)
    with pytest.raises(ValueError, match=f"the runs need up to {guards.size(asked[0])} in"):
        run(tmp_path / "short")
    asked[0] += 1  # room for all of it
    run(tmp_path / "enough")


def test_seeds_add_up(tmp_path: Path) -> None:
    one, three = (estimate_recall({"one": RECALL}, range(seeds), tmp_path)[0].disk_bytes for seeds in (1, 3))
    assert three == 3 * one
