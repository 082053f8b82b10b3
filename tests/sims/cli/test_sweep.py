"""`fiedler sweep` as people see it: tables, figures, JSON, refusals."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from commands import answer, files_here, refusal, table
from fiedler.sims.cli.commands import main
from fiedler.sims.models.neural import NeuralTraining
from fiedler.sims.paths.training import PathTraining
from fiedler.sims.recall.training import RecallTraining
from fiedler.sims.sweep.point import Point
from sweeps_here import sweep_here

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
    text = (
        '[base]\ngraph = "cycle:5"\nsteps = 30\nwidth = 4\n'
        "[axes]\nlearning_rate = [0.01, 0.02, 0.03]\ninit_std = [0.1, 1e200]\n[sweep]\nseeds = 1\n"
    )
    said = table(capsys, "sweep", write(text), "--jobs", "1", "--out", "o")
    assert "3 of 6 runs done, 3 failed" in said
    assert "3 x training diverged before step 0 (seed 0): lower the learning rate" in said


def test_a_sweep_of_which_every_run_failed_fails(capsys: Capture) -> None:
    write('[base]\ngraph = "cycle:5"\nsteps = 3\nwidth = 2\ninit_std = 1e200\n[sweep]\nseeds = 2\n')
    assert main(["sweep", "s.toml", "--jobs", "1"]) == 1
    said = capsys.readouterr()
    assert said.err == "fiedler: every run failed (2): see the column error of runs/s/results.csv\n"
    assert "0 of 2 runs done, 2 failed" in said.out


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


# Sweeps of the other commands that train.

COMMANDS = {
    "paths": 'graph = "path-star:4x3"\nlayers = 1\nheads = 2\nwidth = 8\nedge_batch = 8\npath_batch = 4\nrecords = 2',
    "recall": "subjects = 6\nrelations = 2\nwidth = 8\nneurons = 8\nrecords = 2",
    "headroom": 'graph = "cycle:6"\nmodel = "one-layer"\nvariant = "align"\nwidth = 8',
}
SCORES = {
    "paths": ("first_token_accuracy", "path_accuracy", "edge_recall", "loss"),
    "recall": ("accuracy", "transfer_accuracy", "superposition_r2", "loss"),
    "headroom": ("gram_error", "geometric_margin", "loss_per_node"),
}
METRIC = {"paths": "first_token_accuracy", "recall": "accuracy", "headroom": "geometric_margin"}
FAILURE = {"paths": "by nan", "recall": "by nan", "headroom": "training diverged"}  # of so large a start
STOPPED_AT = 3


def swept(command: str, axes: str, steps: int = 6) -> str:
    return f'[base]\ncommand = "{command}"\nsteps = {steps}\n{COMMANDS[command]}\n[axes]\n{axes}\n'


def stop_once(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Ctrl-C in the middle of the first run."""
    kind: Any = {"paths": PathTraining, "recall": RecallTraining, "headroom": NeuralTraining}[command]
    advance, sent = kind.advance, []

    def advance_and_stop(training: Any, *steps: Any) -> None:
        advance(training, *steps)
        if training.step >= STOPPED_AT and not sent:
            sent.append(training.step)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(kind, "advance", advance_and_stop)


# One of them is enough for the daily loop.
@pytest.mark.parametrize(
    "command", [one if one == "paths" else pytest.param(one, marks=pytest.mark.long) for one in COMMANDS]
)
def test_a_sweep_of_another_command(capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Interrupted, taken up again, with a point that fails, and a diagram of its scores."""
    write(swept(command, "init_std = [0.02, 1e30]\nlearning_rate = [0.01, 0.02]"))
    assert "4 runs: 0 done, 0 failed, 4 to do" in table(capsys, "sweep", "s.toml", "--jobs", "1", "--dry-run")
    assert not Path("runs").exists()
    with monkeypatch.context() as patch:
        sweep_here(patch)
        stop_once(patch, command)
        assert main(["sweep", "s.toml", "--jobs", "1"]) == 130
    assert set(pd.read_csv("runs/s/results.csv")["status"]) == {"pending"}
    capsys.readouterr()
    found = answer(capsys, "sweep", "s.toml", "--jobs", "1")
    assert (found["done"], found["failed"], found["pending"]) == (2, 2, 0)
    assert len(list(Path("runs/s/points").glob("*/seed0/resumed.jsonl"))) == 1
    assert len(list(Path("runs/s/failures").iterdir())) == 2
    results = pd.read_parquet("runs/s/results.parquet")
    done = results[results["status"] == "done"]
    assert set(done["init_std"]) == {0.02}
    assert set(results["command"]) == {command}
    assert done[list(SCORES[command])].notna().all(axis=None)
    assert results.loc[results["status"] == "failed", "error"].str.contains(FAILURE[command]).all()
    phase = json.loads(Path("runs/s/phase.json").read_text())
    assert (phase["metric"], phase["x"], phase["y"]) == (METRIC[command], "init_std", "learning_rate")
    assert phase["notes"][0] == f"no prediction for runs of fiedler {command}"
    assert Path("runs/s/figures/phase.png").read_bytes().startswith(b"\x89PNG")

    answer(
        capsys,
        "sweep",
        write(swept(command, "init_std = [0.02]\nlearning_rate = [0.01, 0.02]"), "t.toml"),
        "--jobs",
        "1",
    )
    whole = pd.read_parquet("runs/t/results.parquet")  # never stopped
    columns = ["point", *SCORES[command]]
    pd.testing.assert_frame_equal(done[columns].reset_index(drop=True), whole[columns])

    retried = answer(capsys, "sweep", "s.toml", "--jobs", "1", "--retry-failed")
    assert (retried["done"], retried["failed"]) == (2, 2)
    assert "report: runs/s/report.html" in table(capsys, "report", "runs/s")


def test_a_sweep_over_commands_has_one_table(capsys: Capture) -> None:
    text = '[base]\ngraph = "path-star:3x3"\nsteps = 2\nwidth = 8\n[axes]\ncommand = ["train", "paths", "headroom"]\n'
    found = answer(capsys, "sweep", write(text), "--jobs", "1")
    assert (found["done"], found["failed"]) == (3, 0)
    assert found["phase_note"] == "no phase diagram: no axis of numbers varies"
    results = pd.read_parquet(found["parquet"]).set_index("command")
    assert list(results.index) == ["train", "paths", "headroom"]
    assert results["gram_error"].notna().tolist() == [True, False, True]
    assert results["first_token_accuracy"].notna().tolist() == [False, True, False]
    assert results.loc["paths", "condition"] == "in_weights"
    assert results["pause"].dtype == "Int64"  # whole also where others have none


def test_a_point_of_training_has_the_key_it_always_had() -> None:
    plain = Point.make({"graph": "cycle:5", "width": 8})
    assert plain.key == "5b3c1711a66e27ea"
    assert Point.make({"graph": "cycle:5", "width": 8, "command": "train"}) == plain
    assert Point.make({"graph": "path-star:4x3", "command": "paths"}) != Point.make({"graph": "path-star:4x3"})


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ('command = "path"', "unknown command 'path' of a sweep; did you mean 'paths'?"),
        ("command = 3", "unknown command 3 of a sweep"),
        ('command = "paths"\nwidht = 8', "fiedler paths has no setting 'widht': did you mean 'width'?"),
        ('command = "paths"\nwidth = 2.5', "width must be a whole number; got 2.5"),
        ('command = "paths"\npath_learning_rate = "big"', "path_learning_rate must be a number; got 'big'"),
        ('command = "paths"\nwidth = 30', "width 30 must be a multiple of heads 4"),
        ('command = "paths"\npreset = "fig99"', "unknown preset 'fig99'; did you mean"),
        ('command = "paths"\ncondition = "frozen"', "no condition 'frozen'; did you mean 'frozen_embeddings'?"),
        ('command = "paths"\ngraph = "cycle:5"', "cycle:5 has no root-to-leaf paths"),
        ('command = "paths"\narch = "gtp2"', "gtp2 is neither a causal LM"),
        ('command = "recall"\ngraph = "cycle:5"', "fiedler recall has no setting 'graph'"),
        ('command = "recall"\npreset = "scaling"', "unknown preset 'scaling'; choose from structure"),
        ('command = "recall"\narch = "mamba"', "perceptron"),
        ('command = "recall"\nheld_out = 0.5', "raise hops"),
        ('command = "headroom"', "no graph: give one in [base] or [axes]"),
        (
            'command = "headroom"\ngraph = "cycle:5"\nvariant = "aligned"',
            "unknown variant 'aligned'; did you mean 'align'?",
        ),
        ('command = "headroom"\ngraph = "cycle:5"\nmodel = "node2vec"', "has no geometry to set"),
        ('command = "headroom"\ngraph = "cycle:5"\ngeometry = "init"', "has no setting 'geometry'"),
    ],
)
def test_refusals_of_other_commands(capsys: Capture, base: str, message: str) -> None:
    assert message in refusal(capsys, "sweep", write(f"[base]\n{base}\n"))
    assert list(files_here()) == ["s.toml"]
