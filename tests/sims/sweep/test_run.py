"""Sweeps: every point once, whatever ends them, on every back end; the table they leave."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from fiedler.sims.disk.sums import read_sums
from fiedler.sims.models.registry import get_model
from fiedler.sims.processes.children import CHILDREN
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.scored import run_and_score
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.sims.sweep.plan import SweepPlan, plan_sweep
from fiedler.sims.sweep.point import Outcome, Point, run_point
from fiedler.sims.sweep.report import report_sweep
from fiedler.sims.sweep.run import Counts, outstanding, run_sweep
from fiedler.sims.sweep.table import collect
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse

BASE = {"graph": "path-star:3x2", "steps": 200, "width": 4}
AXES = {"weight_decay": [0.01, 0.1], "init_std": [0.1, 1e200]}  # the larger one diverges at once


def small(**sweep: Any) -> SweepPlan:
    return plan_sweep({"base": BASE, "axes": AXES, "sweep": {"seeds": 2, **sweep}}, "small")


def statuses(plan: SweepPlan, out: Path) -> dict[str, int]:
    return {str(name): int(count) for name, count in collect(plan, out)["status"].value_counts().items()}


@pytest.fixture(scope="module", autouse=True)
def _no_workers_left() -> Iterator[None]:
    yield
    CHILDREN.close()


@pytest.fixture(scope="module")
def _swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``run_sweep`` leaves of ``small()``, made once."""
    out = tmp_path_factory.mktemp("swept")
    counts = run_sweep(small(), out, jobs=1)
    assert (counts.total, counts.done, counts.failed, counts.left) == (8, 4, 4, 0)
    return out


@pytest.fixture
def swept(_swept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_swept, tmp_path / "s"))


def test_every_point_is_what_training_it_alone_gives(tmp_path: Path) -> None:
    plan = small()
    seen: list[Outcome | None] = []
    counts = run_sweep(plan, tmp_path / "s", jobs=2, on_outcome=lambda _, outcome: seen.append(outcome))
    assert (counts.total, counts.done, counts.failed, counts.left) == (8, 4, 4, 0)
    assert seen[0] is None
    assert sorted(one.status for one in seen[1:] if one) == ["done"] * 4 + ["failed"] * 4
    table = collect(plan, tmp_path / "s")
    task, model = Task(parse(BASE["graph"])), get_model("node2vec")
    for _, row in table[table["status"] == "done"].iterrows():
        settings = model.make_settings(steps=200, width=4, weight_decay=row["weight_decay"], init_std=row["init_std"])
        (alone,) = run_and_score(
            task, model, settings, [int(row["seed"])], folder=lambda _, row=row: tmp_path / f"alone{row.name}"
        )
        for name in ("loss_per_node", "fiedler_score", "gram_error", "geometric_margin"):
            assert row[name] == alone[name] or (alone[name] is None and np.isnan(row[name]))
        assert RunDir.open(tmp_path / "s" / row["folder"]).finished


def test_the_table_is_tidy(swept: Path) -> None:
    answer = report_sweep(small(), swept)
    assert (answer["runs"], answer["done"], answer["failed"], answer["pending"]) == (8, 4, 4, 0)
    (message,) = {error.partition(" (")[0] for error in answer["errors"]}
    assert message == "training diverged before step 0"
    sums = read_sums(swept)
    assert set(sums) == {"results.csv", "results.parquet", "phase.json"}
    (swept / "phase.json").write_text("{}")
    report_sweep(small(), swept, draw=False)  # which leaves the figure as it is, and its checksum
    assert read_sums(swept) == sums
    csv, parquet = pd.read_csv(answer["csv"]), pd.read_parquet(answer["parquet"])
    pd.testing.assert_frame_equal(csv, parquet, check_dtype=False)
    assert len(csv) == 8
    assert csv[["point", "seed"]].drop_duplicates().shape == (8, 2)
    assert sorted(csv["weight_decay"].unique()) == [0.01, 0.1]
    assert set(csv["learning_rate"]) == {0.01}  # a default is a column too
    failed = csv["status"] == "failed"
    assert csv.loc[failed, "loss_per_node"].isna().all()
    assert csv.loc[failed, "error"].str.contains("lower the learning rate").all()
    assert csv.loc[~failed, ["loss_per_node", "geometric_margin", "edge_recall"]].notna().all(axis=None)
    assert (csv["seconds"] > 0).all()


def test_finished_points_never_run_again_and_failed_ones_on_request(swept: Path) -> None:
    plan = small()
    done = [path.parent for path in (swept / "points").glob("*/*/scores.json")]
    before = {path: path.stat().st_mtime_ns for folder in done for path in folder.rglob("*") if path.is_file()}
    seen: list[Outcome | None] = []
    again = run_sweep(plan, swept, jobs=1, on_outcome=lambda _, outcome: seen.append(outcome))
    assert (again.done, again.before, again.failed) == (4, 4, 4)
    assert seen == [None]
    retried = run_sweep(plan, swept, jobs=1, retry_failed=True, on_outcome=lambda _, o: seen.append(o))
    assert (retried.done, retried.failed) == (4, 4)
    assert [one.status for one in seen[2:] if one] == ["failed"] * 4
    assert len(done) == 4
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_failure_that_is_mended_is_forgotten(tmp_path: Path) -> None:
    """A graph file that was broken when its point failed."""
    file = tmp_path / "g.edgelist"
    file.write_text("a b\nb c\nlonely\n")
    plan = plan_sweep({"base": {"graph": str(file), "steps": 3, "width": 2}}, "mended")
    assert run_sweep(plan, tmp_path / "s", jobs=1).failed == 1
    file.write_text("a b\nb c\n")
    assert run_sweep(plan, tmp_path / "s", jobs=1).failed == 1  # not asked to
    get_reusable = run_sweep(plan, tmp_path / "s", jobs=1, retry_failed=True)
    assert (get_reusable.done, get_reusable.failed) == (1, 0)
    assert statuses(plan, tmp_path / "s") == {"done": 1}
    assert not list((tmp_path / "s" / "failures").iterdir())


def test_a_file_that_grows_runs_only_what_is_new(tmp_path: Path) -> None:
    plan = plan_sweep({"base": BASE, "axes": {"weight_decay": [0.1, 0.2]}, "sweep": {"seeds": 1}}, "s")
    larger = plan_sweep({"base": BASE, "axes": {"weight_decay": [0.1, 0.2, 0.3]}, "sweep": {"seeds": 2}}, "s")
    run_sweep(plan, tmp_path, jobs=1)
    counts, left = outstanding(larger, tmp_path)
    assert (counts.total, counts.done, counts.left) == (6, 2, 4)
    assert sorted((dict(job.point.options)["weight_decay"], job.seeds) for job in left) == [
        (0.1, (1,)),
        (0.2, (1,)),
        (0.3, (0, 1)),
    ]
    assert run_sweep(larger, tmp_path, jobs=1).done == 6
    assert statuses(plan, tmp_path) == {"done": 2}


@pytest.mark.parametrize("name", ["embeddings.safetensors", "scores.json", "config.json", "modes.npz"])
def test_a_finished_point_that_is_damaged_is_made_again(swept: Path, name: str) -> None:
    plan = small()
    expected = collect(plan, swept).drop(columns="seconds")
    path = plan.points[0].folder(swept, 0) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))
    assert statuses(plan, swept) == {"done": 3, "failed": 4, "pending": 1}  # not taken for true
    with pytest.warns(UserWarning, match=name) if name == "config.json" else _nothing():
        (outcome,) = run_point(plan.points[0], [0], str(swept))
    assert outcome.status == "done"
    pd.testing.assert_frame_equal(collect(plan, swept).drop(columns="seconds"), expected)


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


def test_seeds_that_train_together_fail_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fiedler.sims.models.node2vec as node2vec

    real = node2vec.initial_embedding
    scale = {1: 1e200}
    monkeypatch.setattr(node2vec, "initial_embedding", lambda n, s, seed: real(n, s, seed) * scale.get(seed, 1.0))
    outcomes = run_point(Point.make(BASE), [0, 1, 2], str(tmp_path))
    assert {one.seed: one.status for one in outcomes} == {0: "done", 1: "failed", 2: "done"}


def test_a_mistake_of_ours_is_a_failure_with_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fiedler.sims.runs.scored as runs

    monkeypatch.setattr(runs, "score_final", lambda *_: {}["absent"])
    point = Point.make(BASE)
    (outcome,) = run_point(point, [0], str(tmp_path))
    assert (outcome.status, outcome.message) == ("failed", "'absent'")
    record = json.loads(point.failure(tmp_path, 0).read_text())
    assert record["error"] == "KeyError"
    assert "score_run" in "".join(record["traceback"])


# Ends of every kind.


def test_stopping_keeps_what_is_done_and_the_same_call_goes_on(tmp_path: Path) -> None:
    plan = plan_sweep({"base": {**BASE, "steps": 10_000}, "axes": {"init_std": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}}, "s")
    stop = StopRequest()

    def after_one(counts: Counts, outcome: Outcome | None) -> None:
        stop.signalled = stop.signalled or outcome is not None

    with pytest.raises(Interrupted, match=r"interrupted with \d of 6 runs left: the same command goes on"):
        run_sweep(plan, tmp_path / "s", jobs=2, stop=stop, on_outcome=after_one)
    done = statuses(plan, tmp_path / "s")
    assert done["done"] >= 1
    assert done["pending"] >= 1
    assert run_sweep(plan, tmp_path / "s", jobs=2).done == 6
    run_sweep(plan, tmp_path / "whole", jobs=2)
    pd.testing.assert_frame_equal(
        collect(plan, tmp_path / "s").drop(columns="seconds"), collect(plan, tmp_path / "whole").drop(columns="seconds")
    )


FILE = '[base]\ngraph = "path-star:3x2"\nsteps = 30000\nwidth = 4\n[axes]\ninit_std = [0.1, 0.2, 0.3, 0.4]\n'


def command(folder: Path, *options: str) -> subprocess.Popen[str]:
    (folder / "s.toml").write_text(FILE)
    words = [sys.executable, "-m", "fiedler.sims.cli", "sweep", "s.toml", "--jobs", "2", *options]
    return subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_a_run(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not list(folder.glob("runs/s/points/*/seed0/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.parametrize("backend", ["local", "dask"])
def test_ctrl_c_on_the_command(tmp_path: Path, backend: str) -> None:
    """As a terminal does it: to the whole group of processes."""
    process = command(tmp_path, "--backend", backend)
    wait_for_a_run(tmp_path)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert [line for line in error.splitlines() if "runs done" not in line] == [
        line for line in error.splitlines() if "interrupted with" in line
    ]
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert (tmp_path / "runs/s/results.csv").exists()
    assert not (tmp_path / "runs/s/.stop").exists()
    finish = command(tmp_path, "--json")
    output, error = finish.communicate(timeout=120)
    assert finish.returncode == 0, error
    assert json.loads(output)["done"] == 4


@pytest.mark.long
def test_a_killed_command_goes_on(tmp_path: Path) -> None:
    process = command(tmp_path)
    wait_for_a_run(tmp_path)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait(timeout=60)
    assert children
    assert psutil.wait_procs(children, timeout=10)[1] == []  # they end with it
    finish = command(tmp_path, "--json")
    output, error = finish.communicate(timeout=120)
    assert finish.returncode == 0, error
    answer = json.loads(output)
    assert (answer["done"], answer["failed"]) == (4, 0)


def test_two_sweeps_in_one_folder(tmp_path: Path) -> None:
    from fiedler.sims.disk.lock import locked

    with locked(tmp_path), pytest.raises(ValueError, match="another process is writing"):
        run_sweep(small(), tmp_path)
    point = Point.make(BASE)
    with locked(point.folder(tmp_path, 0)):
        (outcome,) = run_point(point, [0], str(tmp_path))
    assert outcome.status == "busy"
    assert not point.failure(tmp_path, 0).exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match=r"holds 'thesis.tex' but no sweep: give another --out"):
        run_sweep(small(), tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]
    with pytest.raises(ValueError, match="cannot be a sweep's folder"):
        run_sweep(small(), tmp_path / "thesis.tex")


@pytest.mark.parametrize("how", ["", "{", "[]", "\x00\x01"])
def test_a_damaged_sweep_file_of_ours_is_written_again(tmp_path: Path, how: str) -> None:
    plan = plan_sweep({"base": {**BASE, "steps": 2}}, "s")
    run_sweep(plan, tmp_path, jobs=1)
    (tmp_path / "sweep.json").write_text(how)
    (tmp_path / "timings.jsonl").write_text(f"nonsense\n[1]\n{{}}\n{how}")
    counts = run_sweep(plan, tmp_path, jobs=1)
    assert (counts.done, counts.before) == (1, 1)
    assert np.isnan(collect(plan, tmp_path)["seconds"].astype(float)).all()
    assert json.loads((tmp_path / "sweep.json").read_text())["fiedler_sweep"] == 1
