"""Folders whose scores are missing: scored from what is there, without training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fiedler.sims.compare.run as module
from fiedler.sims.cli.commands import main
from fiedler.sims.compare.run import compare
from fiedler.sims.compare.score_folder import score_folder
from fiedler.sims.disk.sums import read_sums
from fiedler.sims.models.registry import get_model
from fiedler.sims.page import kind_of, parts_of
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.sharded.run import run_sharded
from fiedler.sims.tasks.search import Search
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

TASK = Task(parse("irregular"))
NODE2VEC = get_model("node2vec")
SMALL = NODE2VEC.make_settings(steps=30, width=6)


def missing(folder: Path, search: Search | None = None) -> str:
    """What the report of a folder says it lacks."""
    (part,) = parts_of(folder, *([] if search is None else [search]))
    (section,) = [one for one in part.sections if one.title == "What is not here"]
    return "\n".join(section.notes)


def test_a_comparison_that_was_interrupted_after_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compare(TASK, [(NODE2VEC, SMALL)], [0, 1], out=tmp_path / "whole")
    folder = tmp_path / "stopped"

    def interrupted(*arguments: object) -> None:
        raise RuntimeError("stopped here")

    monkeypatch.setattr(module, "seek_optimum", interrupted)
    with pytest.raises(RuntimeError, match=f"`fiedler score {folder}` makes them"):
        compare(TASK, [(NODE2VEC, SMALL)], [0, 1], out=folder)
    monkeypatch.undo()
    assert kind_of(folder) == "trained"
    assert f"`fiedler score {folder}` makes them; finished are 2 of 2 runs" in missing(folder)
    before = {path: path.read_bytes() for path in folder.glob("runs/*/embeddings.safetensors")}
    assert len(before) == 2
    found = score_folder(folder)
    assert found == RunDir.open(tmp_path / "whole").read_scores()
    assert whole.optimum is not None
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "report.md").is_file()
    assert kind_of(folder) == "comparison"


def test_a_sharded_run_is_reported_at_once_and_scored(tmp_path: Path) -> None:
    folder = tmp_path / "sharded"
    run_sharded(TASK, SMALL, 0, folder)
    assert kind_of(folder) == "sharded"
    assert f"`fiedler score {folder}` makes them" in missing(folder)
    sums = read_sums(folder)
    scores = score_folder(folder)
    assert scores["gram_error"] is not None
    assert scores["loss_per_node"] == RunDir.open(folder).read_metrics()[-1]["loss_per_node"]
    assert read_sums(folder).items() >= sums.items()  # the shards' checksums stay
    assert "scores.json" in read_sums(folder)
    (part,) = parts_of(folder)
    assert [section.title for section in part.sections] == ["What is not here", "Training", "Scores"]
    assert main(["report", str(folder)]) == 0


def test_a_report_names_what_a_run_lacks(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main(["train", "irregular", "--steps", "20", "--no-optimum", "--out", str(folder)]) == 0
    without = Search(optimum=False)
    assert f"Scored without the optimum (--no-optimum): `fiedler score {folder} --optimum`" in missing(folder, without)
    (folder / "scores.json").unlink()
    assert f"There are no scores yet: `fiedler score {folder}`" in missing(folder, without)
    assert main(["report", str(folder), "--no-optimum"]) == 0
    assert main(["score", str(folder), "--json"]) == 0
    assert next(section.title for section in parts_of(folder)[0].sections) != "What is not here"


def test_a_flow_that_takes_too_long_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main(["train", "karate", "--steps", "20", "--no-optimum", "--out", str(folder)]) == 0
    assert f"not done after 1e-06 s (--time-limit): give `fiedler report {folder}` more" in missing(
        folder, Search(optimum=False, time_limit=1e-6)
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "has no config.json of a run"),
        (lambda path: RunDir.create(path, {"subjects": 3}), "is no run on a graph"),
        (
            lambda path: (path.mkdir(), (path / "sweep.json").write_text("{}")),
            "is a sweep's folder: `fiedler sweep FILE",
        ),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, make: object, message: str) -> None:
    make(tmp_path / "x")  # type: ignore[operator]
    with pytest.raises(ValueError, match=message):
        score_folder(tmp_path / "x")


def test_an_unfinished_run_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main(["train", "cycle:9", "--steps", "20", "--out", str(folder)]) == 0
    (folder / "modes.npz").unlink()
    with pytest.raises(ValueError, match="not finished: go on with the same command and --resume"):
        score_folder(folder)


def test_a_transformer_is_scored_from_its_last_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main(["train", "cycle:9", "-m", "transformer:width=8", "--steps", "5", "--out", str(folder)]) == 0
    first = json.loads((folder / "scores.json").read_text())
    (folder / "scores.json").unlink()
    assert score_folder(folder) == first
