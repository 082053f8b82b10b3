"""What a finished experiment leaves in its folder is written by the library, and only by the holder of its lock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fiedler.sims.compare.presets.definitions import Cell, Preset, PresetModel
from fiedler.sims.compare.presets.output import write_preset
from fiedler.sims.compare.presets.run import run_preset
from fiedler.sims.compare.run import compare
from fiedler.sims.compare.show.output import write_comparison
from fiedler.sims.disk.lock import Locked, locked
from fiedler.sims.models.registry import get_model
from fiedler.sims.paths.run import run_paths
from fiedler.sims.paths.settings import PathSettings
from fiedler.sims.paths.show.output import write_paths
from fiedler.sims.recall.run import run_recalls
from fiedler.sims.recall.settings import RecallSettings
from fiedler.sims.recall.show.output import write_recall
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

TASK = Task(parse("cycle:6"))
NODE2VEC = PresetModel("node2vec:width=6,steps=20", "node2vec", "Node2Vec", "node2vec", "node")
PATHS = PathSettings(layers=1, width=8, heads=2, pause=1, steps=4, edge_batch=8, path_batch=2, records=2)
RECALL = RecallSettings(subjects=6, relations=2, width=8, neurons=12, steps=4, records=2)


def comparison(out: Path) -> Callable[[], Any]:
    model = get_model("node2vec")
    result = compare(TASK, [(model, model.make_settings(steps=20, width=6))], [0], out=out)
    return lambda: write_comparison(result)


def preset(out: Path) -> Callable[[], Any]:
    result = run_preset(Preset("tiny", "Tiny", "figure 0", (Cell("cycle:6", (NODE2VEC,)),)), [0], out)
    return lambda: write_preset(result)


def paths(out: Path) -> Callable[[], Any]:
    result = run_paths(parse("path-star:4x3"), {"in_weights": PATHS}, [0], out, jobs=1)
    return lambda: write_paths(result, "a test")


def recall(out: Path) -> Callable[[], Any]:
    result = run_recalls({"trained": RECALL}, [0], out, jobs=1)
    return lambda: write_recall(result, "a test")


@pytest.mark.parametrize("finished", [comparison, preset, paths, recall], ids=lambda finished: finished.__name__)
def test_report_figures_and_scores_are_written_under_the_lock(
    finished: Callable[[Path], Callable[[], Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write = finished(out)
    with locked(out), pytest.raises(Locked, match="another process is writing"):
        write()
    assert not (out / "report.md").exists()
    write()
    for name in ("report.md", "scores.json", "config.json"):
        assert (out / name).stat().st_size > 0
    assert list((out / "figures").glob("*.png"))
    with locked(out):  # let go again
        pass


def test_a_comparison_without_a_folder_has_no_report() -> None:
    model = get_model("node2vec")
    result = compare(TASK, [(model, model.make_settings(steps=5, width=6))], [0])
    with pytest.raises(ValueError, match="give compare\\(\\) a folder"):
        write_comparison(result)
