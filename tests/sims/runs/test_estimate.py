"""Estimates before a run: near what the run then takes, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from commands import answer, refusal, table
from fiedler.sims.models.registry import get_model
from fiedler.sims.runs.duration import duration
from fiedler.sims.runs.engine import run_seeds
from fiedler.sims.runs.estimate import describe_estimate, estimate_runs
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

Capture = pytest.CaptureFixture[str]
FACTOR = 4.0  # between an estimate from a second of steps and the run, on a machine that does other things too


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "steps", "seeds"), [("node2vec", 60_000, [0, 1]), ("transformer", 400, [3, 4])])
def test_the_time_is_near_that_of_the_runs(name: str, steps: int, seeds: list[int]) -> None:
    task, model = Task(parse("path-star:4x5")), get_model(name)
    settings = model.make_settings(steps=steps)
    found = estimate_runs(task, model, settings, seeds)
    began = time.perf_counter()
    run_seeds(task, model, settings, seeds)
    spent = time.perf_counter() - began
    assert spent / FACTOR < found.seconds < spent * FACTOR
    assert 0 < found.timed_steps < steps
    assert found.memory_bytes > 20e6
    assert (found.model, found.graph, found.steps, found.seeds) == (name, "path-star:4x5", steps, 2)


@pytest.mark.parametrize("steps", [1, 2, 100])
def test_runs_shorter_than_what_is_timed(steps: int) -> None:
    model = get_model("node2vec")
    found = estimate_runs(Task(parse("cycle:5")), model, model.make_settings(steps=steps), [0])
    assert 0 < found.seconds < 1
    assert found.timed_steps <= steps


def test_a_dry_run_writes_nothing(capsys: Capture) -> None:
    found = answer(capsys, "train", "cycle:15", "--steps", "1000000", "--dry-run")["estimates"]
    assert [one["steps"] for one in found] == [1_000_000]
    assert found[0]["seconds"] > 1
    assert found[0]["folder"] == "runs/cycle-15-node2vec-seed0"
    said = table(capsys, "compare", "cycle:15", "--steps", "3", "--dry-run")
    assert re.search(r"node2vec on cycle:15, 3 steps x 5 seed\(s\): about .* of training .* peak memory about", said)
    assert re.search(r"transformer on cycle:15, 3 steps x 5 seed\(s\)", said)
    assert os.listdir() == []
    assert "init_std" in refusal(capsys, "train", "cycle:15", "--init-std", "-1", "--dry-run")


def test_what_a_sweep_will_take(capsys: Capture) -> None:
    Path("s.toml").write_text(
        '[base]\ngraph = "cycle:6"\nsteps = 50\n'
        '[axes]\ninit_std = [0.1, 0.2, 0.3]\nmodel = ["node2vec", "transformer"]\n'
        "[sweep]\nseeds = 2\n"
    )
    found = answer(capsys, "sweep", "s.toml", "--dry-run")
    assert (found["runs"], found["done"], found["left"], found["jobs"]) == (12, 0, 12, 9)
    assert found["seconds"] > 0
    assert "12 runs: 0 done" in table(capsys, "sweep", "s.toml", "--dry-run")
    assert os.listdir() == ["s.toml"]


def test_the_answer_is_json(tmp_path: Path) -> None:
    model = get_model("node2vec")
    found = estimate_runs(Task(parse("cycle:5")), model, model.make_settings(steps=5), [0])
    described = describe_estimate(found, tmp_path / "x")
    assert json.loads(json.dumps(described)) == described
    assert described["free_disk_bytes"] > 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0123, "0.012 s"), (9.4, "9.4 s"), (61, "61 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
