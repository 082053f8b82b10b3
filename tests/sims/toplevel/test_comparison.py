"""fiedler.compare: the runs and numbers of `fiedler compare`, live and afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import fiedler
from commands import Capture, answer
from fiedler.sims.disk.jsonio import to_json
from fiedler.sims.runs.control import Watch
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.runs.folder import RunDir

SHORT: dict[str, Any] = {"seeds": 2, "steps": 60, "width": 8}
Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Records, list[tuple[str, float]], Path]:
    folder, records, progress = tmp_path_factory.mktemp("out") / "run", Records(), list[tuple[str, float]]()
    found = fiedler.compare(
        "cycle:7",
        "node2vec",
        out=folder,
        on_step=records.append,
        on_progress=lambda *told: progress.append(told),
        **SHORT,
    )
    return found, records, progress, folder


def test_it_is_the_answer_and_the_folder_of_the_command(compared: Any, tmp_path: Path, capsys: Capture) -> None:
    found, _, _, folder = compared
    line = ("compare", "cycle:7", "-m", "node2vec", "--seeds", "2", "--steps", "60", "--width", "8")
    assert json.loads(to_json(found.answer)) == answer(capsys, *line, "--out", str(tmp_path / "theirs"))
    assert found.folder == folder
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    theirs = tmp_path / "theirs"
    assert names == {path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file()}


def test_every_recorded_step_is_told_as_it_is_logged(compared: Any) -> None:
    _, records, progress, folder = compared
    for seed in (0, 1):
        logged = RunDir.open(folder / "runs" / f"node2vec-seed{seed}").read_metrics()
        assert [one for one in records if one["seed"] == seed] == [
            {"model": "node2vec", "seed": seed, **line} for line in logged
        ]
    assert {stage for stage, _ in progress} >= {"Node2Vec", "optimum"}


def test_frame_table_figure(compared: Any) -> None:
    found = compared[0]
    frame = found.to_frame()
    assert frame[["model", "seed"]].values.tolist() == [["node2vec", 0], ["node2vec", 1]]
    assert frame["loss_per_node"].tolist() == [run["loss_per_node"] for run in found.answer["runs"]]
    assert repr(found).startswith("ComparisonResult(cycle:7; Node2Vec: 2 seeds, loss per node ")
    assert "<td>Node2Vec</td>" in found._repr_html_()
    assert len(found.plot().axes) == 4


def test_nothing_is_kept_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = fiedler.compare("cycle:5", ["node2vec", "node2vec-untied"], seeds=[3], steps=20, width=4, optimum=False)
    assert found.folder is None
    assert [run["seed"] for run in found.answer["runs"]] == [3, 3]
    assert list(tmp_path.iterdir()) == []


def test_what_on_step_raises_ends_the_training() -> None:
    steps = []

    def enough(record: Any) -> None:
        steps.append(record["step"])
        if record["step"] >= 5:
            raise StopIteration("enough")

    with pytest.raises(StopIteration, match="enough"):
        fiedler.compare("cycle:5", "node2vec", seeds=1, steps=1000, width=4, on_step=enough)
    assert steps[-1] == 5


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"seeds": 1.5}, TypeError, "seeds must be their number or a list"),
        ({"seeds": "01"}, TypeError, "seeds must be their number or a list"),
        ({"seeds": 0}, ValueError, "non-empty"),
        ({"seeds": [1, 1]}, ValueError, "without repeats"),
        ({"models": "node2vek"}, ValueError, "did you mean 'node2vec'"),
        ({"models": []}, ValueError, "models must be a non-empty list"),
        ({"width": -1}, ValueError, "width"),
        ({"overwrite": True, "resume": True}, ValueError, "give one of them"),
        ({"smoothing": 0.1}, TypeError, "unknown option 'smoothing'; did you mean 'label_smoothing'"),
    ],
)
def test_bad_input(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fiedler.compare("cycle:5", **{"models": "node2vec", **options})


def test_a_single_training_tells_the_same() -> None:
    from fiedler.sims.models.registry import get_model
    from fiedler.sims.tasks.task import Task
    from fiedler.theory import parse

    records, notes = Records(), list[tuple[str, str]]()
    model = get_model("node2vec")
    (run,) = run_seeds(
        Task(parse("cycle:5")), model, model.make_settings(steps=30, width=4), [0],
        watch=Watch(on_step=lambda record: records.append(dict(record)), on_note=lambda *note: notes.append(note)),
    )  # fmt: skip
    assert [one["step"] for one in records] == run.modes.steps.tolist()
    assert [one["loss_per_node"] for one in records] == run.modes.loss.tolist()
    assert {(one["model"], one["seed"]) for one in records} == {("node2vec", 0)}
    assert notes[-1] == ("Node2Vec", f"loss {records[-1]['loss_per_node']:.5g}, step 30")
