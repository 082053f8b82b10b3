"""One run's folder while its run goes on: log, record and state are of one step, whatever happened since."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiedler.sims.disk.files import Damage
from fiedler.sims.disk.sums import SUMS_FILE
from fiedler.sims.models.protocol import Final, Snapshot
from fiedler.sims.runs.engine import finish_run, write_scores
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.recorded import record_snapshot
from fiedler.sims.runs.recorder import Recorder
from fiedler.sims.runs.run_files import METRICS, RunFiles
from fiedler.sims.tasks.task import Task
from fiedler.theory import parse
from filesystems import small_disk

CONFIG = {"graph": "cycle:5", "seed": 0}
STEPS = np.array([0, 1, 2, 5])
TASK = Task(parse("cycle:5"))
TIME_PER_STEP = 0.5
FINAL = Final(np.ones((5, 2)), None, np.zeros((5, 5)))


class SeedFiles(RunFiles):
    """The files of one seed with its recorder, as the engine uses them."""

    def __init__(self, folder: RunDir) -> None:
        super().__init__(folder, CONFIG)
        self.recorder = Recorder(TASK.spaces, STEPS)

    def go_back(self, step: int) -> dict[str, np.ndarray]:
        """The state of ``step``; the recorder is as it was then."""
        saved = self.load(step)
        assert saved.step == step
        self.recorder.restore(saved.record)
        return saved.state


def opened(path: Path) -> SeedFiles:
    """The files of a run, new or as a process that died left them."""
    return SeedFiles(RunDir(path) if path.exists() else RunDir.create(path, CONFIG))


def embedding(step: int) -> np.ndarray:
    return np.random.default_rng(step).standard_normal((5, 2))


def state(step: int) -> dict[str, np.ndarray]:
    return {"weights": embedding(step), "moments/first": np.array([step, np.nan, -0.0])}


def record(files: SeedFiles, step: int) -> None:
    files.log(record_snapshot(TASK, files.recorder, Snapshot(0, step, embedding(step), float(step)), TIME_PER_STEP))


def save(files: SeedFiles, step: int, arrays: dict[str, np.ndarray]) -> None:
    files.save(step, arrays, files.recorder.state())


def metrics(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / METRICS).read_text().splitlines()]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that recorded steps 0, 1 and 2 and was killed; checkpoints of steps 1 and 2."""
    files = opened(tmp_path / "run")
    record(files, 0)
    for step in (1, 2):
        record(files, step)
        save(files, step, state(step))
    files.close()
    return tmp_path / "run"


def test_lines_hold_step_time_loss_and_scores(tmp_path: Path) -> None:
    files = opened(tmp_path / "run")
    shot = Snapshot(0, 0, embedding(0), float("nan"), np.roll(np.eye(5), 1, axis=1) + np.roll(np.eye(5), -1, axis=1))
    files.log(record_snapshot(TASK, files.recorder, shot, TIME_PER_STEP))
    again = opened(tmp_path / "run")
    again.log(record_snapshot(TASK, again.recorder, Snapshot(0, 4, embedding(4), 2.0), TIME_PER_STEP))
    again.log(record_snapshot(TASK, again.recorder, Snapshot(0, 5, embedding(5), 2.0), None))
    first, second, third = metrics(tmp_path / "run")
    assert first.pop("geometric_level") <= 1
    assert first == {"step": 0, "time": 0.0, "loss_per_node": None, "edge_recall": 1.0}
    assert second == {"step": 4, "time": 2.0, "loss_per_node": 2.0}
    assert third == {"step": 5, "time": None, "loss_per_node": 2.0}


def test_state_record_and_log_go_back_together(run: Path) -> None:
    later = opened(run)
    record_of_two = later.recorder.state()
    later.go_back(2)
    record(later, 5)  # a process that died before it had a checkpoint of step 5
    later.close()
    assert [line["step"] for line in metrics(run)] == [0, 1, 2, 5]
    files = opened(run)
    assert files.steps() == [2, 1]
    for step in (2, 1):
        back = files.go_back(step)
        assert back.keys() == state(step).keys()
        for name, array in state(step).items():
            np.testing.assert_array_equal(back[name], array, strict=True)
        assert [line["step"] for line in metrics(run)] == list(range(step + 1))
        assert files.recorder.next_step == (5 if step == 2 else 2)
        assert files.recorder.state()["loss"].tolist() == list(range(step + 1))
    assert record_of_two["loss"].size == 0
    assert [json.loads(line)["step"] for line in (run / "resumed.jsonl").read_text().splitlines()] == [2, 2, 1]


def test_going_on_leaves_what_never_stopping_leaves(run: Path, tmp_path: Path) -> None:
    whole = opened(tmp_path / "whole")
    for step in (0, 1, 2, 5):
        record(whole, step)
    files = opened(run)
    files.go_back(1)
    for step in (2, 5):
        record(files, step)
    for each in (whole, files):
        finish_run(each, FINAL, {"loss": each.recorder.finish().loss, "energy": each.recorder.finish().energy})
    for name in (METRICS, "modes.npz", "embeddings.safetensors"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(run: Path) -> None:
    newest = max((run / "checkpoint").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1] + b"!")
    files = opened(run)
    with pytest.warns(Damage, match=f"{newest.name} is damaged"):
        assert files.steps() == [1]


def test_a_line_cut_short_by_a_kill_is_not_saved_again(run: Path) -> None:
    with (run / METRICS).open("a") as stream:
        stream.write('{"step": 5, "lo')
    files = opened(run)
    files.go_back(2)
    record(files, 5)
    assert [line["step"] for line in metrics(run)] == [0, 1, 2, 5]


def test_beginning_again_empties_the_log_and_says_so(run: Path) -> None:
    opened(run).begin_again()
    assert (run / METRICS).read_bytes() == b""
    assert [json.loads(line)["step"] for line in (run / "resumed.jsonl").read_text().splitlines()] == [0]


def test_a_first_beginning_is_none_that_is_made_again(tmp_path: Path) -> None:
    opened(tmp_path / "run").begin_again()
    assert not (tmp_path / "run" / "resumed.jsonl").exists()


@pytest.mark.parametrize(
    ("matrices", "names"),
    [
        ({}, {"embedding"}),
        ({"context": np.full((5, 2), 2.0)}, {"embedding", "context"}),
        ({"inner": np.eye(2)}, {"embedding", "inner"}),
    ],
)
def test_what_is_finished_has_its_checksum(run: Path, matrices: dict[str, Any], names: set[str]) -> None:
    files = opened(run)
    assert not files.folder.finished
    final = Final(**{"embedding": FINAL.embedding, "context": None, "logits": FINAL.logits, **matrices})
    finish_run(files, final, {"loss": np.arange(3.0)})
    folder = RunDir.open(run)
    assert folder.finished
    stored = folder.read_embeddings()
    assert stored.keys() == names
    for name in names:
        assert np.array_equal(stored[name], getattr(final, name))
    assert np.array_equal(folder.read_modes()["loss"], np.arange(3.0))


def test_nothing_of_a_finished_run_is_written_again(run: Path) -> None:
    finish_run(opened(run), FINAL, {"loss": np.arange(3.0)})
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    files = opened(run)
    assert files.frozen
    np.testing.assert_array_equal(files.go_back(1)["weights"], embedding(1))
    assert files.recorder.next_step == 2  # in memory it goes back
    record(files, 2)
    save(files, 2, state(9))
    files.begin_again()
    finish_run(files, Final(np.zeros((5, 2)), None, FINAL.logits), {"loss": np.zeros(3)})
    files.close()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_scores_are_written_again_where_they_are_others_or_damaged(run: Path) -> None:
    files = opened(run)
    finish_run(files, FINAL, {"loss": np.arange(3.0)})
    write_scores(files.folder, {"gram_error": 0.5})
    written = (run / "scores.json").stat().st_mtime_ns
    write_scores(files.folder, {"gram_error": 0.5})
    assert (run / "scores.json").stat().st_mtime_ns == written
    write_scores(files.folder, {"gram_error": 0.55})
    assert RunDir.open(run).read_scores() == {"gram_error": 0.55}
    assert RunDir.open(run).is_final("scores.json")
    (run / "scores.json").write_text('{"gram_error": 0.6}\n')
    with pytest.raises(ValueError, match="does not have its checksum"):
        RunDir.open(run).read_scores()
    write_scores(files.folder, {"gram_error": 0.7})
    assert RunDir.open(run).read_scores() == {"gram_error": 0.7}
    assert RunDir.open(run).finished


def test_a_full_disk_leaves_what_can_be_gone_on_from(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 160) as disk:
        files = opened(disk / "run")
        record(files, 0)
        save(files, 1, {"weights": np.zeros(4000)})
        with pytest.raises(OSError, match="No space left"):
            save(files, 2, {"weights": np.zeros(20_000)})
        files.close()
        again = opened(disk / "run")
        assert again.steps() == [1]
        assert np.array_equal(again.go_back(1)["weights"], np.zeros(4000))
        assert [line["step"] for line in metrics(disk / "run")] == [0]


def test_other_versions_are_warned_of_by_name(run: Path) -> None:
    environment = json.loads((run / "environment.json").read_text())
    environment["versions"]["numpy"] = "1.0"
    (run / SUMS_FILE).unlink()
    (run / "environment.json").write_text(json.dumps(environment))
    with pytest.warns(Damage, match="was begun with other versions of numpy: the rest of the run may differ"):
        opened(run).go_back(1)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"versions": {}}', '{"versions": 3}'])
def test_a_damaged_environment_stops_no_run(run: Path, text: str) -> None:
    (run / "environment.json").write_text(text)
    (run / SUMS_FILE).unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened(run).go_back(1)
    assert [line["step"] for line in metrics(run)] == [0, 1]
