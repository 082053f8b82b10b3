"""`fiedler sweep` as people see it: tables, figures, JSON, refusals."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from commands import answer, files_here, refusal, table

Capture = pytest.CaptureFixture[str]

FILE = """
[base]
graph = "path-star:3x3"
steps = 300
width = 40
[axes]
weight_decay = { from = 0.01, to = 1.0, points = 3, scale = "log" }
init_std = [0.1, 1.0]
[sweep]
seeds = 2
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


def write(text: str = FILE, name: str = "s.toml") -> str:
    Path(name).write_text(text)
    return name


def test_a_sweep_leaves_a_table_and_a_phase_diagram(capsys: Capture) -> None:
    found = answer(capsys, "sweep", write(), "--jobs", "1")
    assert (found["runs"], found["done"], found["failed"], found["pending"]) == (12, 12, 0, 0)
    assert found["phase_note"] == ""
    assert Path(found["phase_figure"]).read_bytes().startswith(b"\x89PNG")
    assert Path("runs/s/phase.json").stat().st_size > 100
    assert len(pd.read_csv(found["csv"])) == 12
    before = files_here()
    said = table(capsys, "sweep", "s.toml", "--jobs", "1")
    assert "12 of 12 runs done" in said
    assert "csv: runs/s/results.csv" in said
    points = {name for name in before if "points" in name}
    assert {name: data for name, data in files_here().items() if name in points} == {n: before[n] for n in points}


def test_failures_are_counted_by_their_error(capsys: Capture) -> None:
    said = table(capsys, "sweep", write(FILE.replace("[0.1, 1.0]", "[0.1, 1e200]")), "--jobs", "1", "--out", "o")
    assert "6 of 12 runs done, 6 failed" in said
    assert "3 x training diverged before step 0 (seed 1): lower the learning rate" in said


@pytest.mark.parametrize(
    ("axes", "note"),
    [
        ("", "no phase diagram: no axis of numbers varies"),
        ('model = ["node2vec", "node2vec-untied"]\nwidth = [30, 40]', "no phase diagram: "),
    ],
)
def test_where_there_is_no_phase_diagram_it_says_why(capsys: Capture, axes: str, note: str) -> None:
    text = f'[base]\ngraph = "cycle:5"\nsteps = 3\n[axes]\n{axes}\n'
    found = answer(capsys, "sweep", write(text), "--jobs", "1")
    assert found["phase_figure"] is None
    assert found["phase_note"].startswith(note)


def test_what_cannot_run_is_refused_before_anything_is_made(capsys: Capture) -> None:
    write(FILE.replace("path-star:3x3", "path-star:3"), "graph.toml")
    write(FILE.replace("300", "0"), "steps.toml")
    for name, message in (("graph.toml", "path-star"), ("steps.toml", "steps must be at least 1|steps and width")):
        before = files_here()
        said = refusal(capsys, "sweep", name)
        assert pd.Series([said]).str.contains(message).all(), said
        assert files_here() == before


def test_refusals(capsys: Capture) -> None:
    assert "cannot be read (No such file" in refusal(capsys, "sweep", "absent.toml")
    write()
    assert "unknown backend 'spark'" in refusal(capsys, "sweep", "s.toml", "--backend", "spark", "--out", "new")
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("x")
    assert "holds 'thesis.tex' but no sweep" in refusal(capsys, "sweep", "s.toml", "--out", "mine")
