"""Logs of runs: TensorBoard's files read back, Weights & Biases offline, and a logger that fails."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from commands import Capture, refusal
from fiedler.sims.cli.commands import main
from fiedler.sims.interop import export_logs, follow_logs, run_logs
from fiedler.sims.runs.folder import RunDir

TRAIN = ["train", "cycle:6", "--steps", "40", "--out"]
FLOAT32 = 1e-6  # relative: what TensorBoard keeps of a number


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "one"
    assert main([*TRAIN, str(folder)]) == 0
    return folder


def series(folder: Path, name: str) -> dict[int, float]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {event.step: event.value for event in events.Scalars(name)}


def test_tensorboard_holds_what_the_folder_does(run: Path, tmp_path: Path) -> None:
    assert export_logs(run, "tensorboard", tmp_path) == 1
    records, modes = RunDir(run).read_metrics(), RunDir(run).read_modes()
    losses = series(tmp_path / "one", "metrics/loss_per_node")
    assert losses == pytest.approx({one["step"]: one["loss_per_node"] for one in records}, rel=FLOAT32)
    first = series(tmp_path / "one", "energy/mode_01")
    assert first == pytest.approx(dict(zip(modes["steps"], modes["energy"][:, 1], strict=True)), rel=FLOAT32)
    scores = RunDir(run).read_scores()
    assert series(tmp_path / "one", "scores/gram_error") == pytest.approx({40: scores["gram_error"]}, rel=FLOAT32)


def test_wandb_offline_keeps_every_step(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setenv("WANDB_MODE", "offline")
    from wandb.sdk.wandb_run import Run

    log = Run.log
    monkeypatch.setattr(Run, "log", lambda self, data, *a, **k: (sent.append(data), log(self, data, *a, **k))[1])
    assert export_logs(run, "wandb", tmp_path) == 1
    steps = [one["step"] for one in sent if "metrics/loss_per_node" in one]
    assert steps == [one["step"] for one in RunDir(run).read_metrics()]
    (kept,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert kept.stat().st_size > 1000


def test_following_a_run_changes_no_bit_of_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_logs, "POLL_SECONDS", 0.01)
    assert main([*TRAIN, "two", "--log", "tensorboard", "--log-dir", "logs"]) == 0
    for name in ("modes.npz", "embeddings.safetensors", "metrics.jsonl", "scores.json"):
        assert Path("two", name).read_bytes() == (run / name).read_bytes()
    assert len(series(Path("logs/two"), "metrics/loss_per_node")) == len(RunDir(run).read_metrics())
    assert series(Path("logs/two"), "energy/mode_00")


def test_a_growing_log_is_followed_line_by_line(tmp_path: Path) -> None:
    folder = tmp_path / "grows"
    folder.mkdir()
    with (
        follow_logs(folder, "tensorboard", tmp_path / "logs", every=0.01),
        (folder / "metrics.jsonl").open("w") as file,
    ):
        for step in range(3):
            file.write(json.dumps({"step": step, "accuracy": step / 2, "word": "x", "bad": None}) + "\n")
            file.flush()
            time.sleep(0.03)
        file.write('{"step": 3, "accu')  # a line that a killed process left
    assert series(tmp_path / "logs/grows", "metrics/accuracy") == {0: 0.0, 1: 0.5, 2: 1.0}


def test_a_failing_logger_does_not_lose_the_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left for logs")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_logs.TensorBoardWriter, "write", fail)
    assert main([*TRAIN, "three", "--log", "tensorboard"]) == 0
    assert "warning: the tensorboard log is not complete (OSError: no space left" in capsys.readouterr().err
    assert Path("three/embeddings.safetensors").read_bytes() == (run / "embeddings.safetensors").read_bytes()


def test_a_library_that_is_missing_is_said_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    for command in ([*TRAIN, "four", "--log", "wandb"], ["export", ".", "--to", "wandb"]):
        message = refusal(capsys, *command)
        assert message == 'this needs wandb, which is not installed: pip install "fiedler[wandb]"'
    assert not Path("four").exists()


def test_folders_without_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no metrics\.jsonl"):
        export_logs(tmp_path, "tensorboard", tmp_path)


def written(folder: Path, name: str) -> list[tuple[int, float]]:
    """Every point of a series in the files themselves, withdrawn ones too."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            found += [(event.step, round(v.tensor.float_val[0], 6)) for v in event.summary.value if v.tag == name]
    return found


def records(folder: Path, losses: dict[int, float]) -> None:
    lines = [json.dumps({"step": step, "loss": loss}) for step, loss in losses.items()]
    (folder / "metrics.jsonl").write_text("\n".join([*lines, ""]))


def test_logging_a_run_again_writes_nothing_twice(run: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert export_logs(run, "tensorboard", tmp_path) == 1
    steps = [one["step"] for one in RunDir(run).read_metrics()]
    for name in ("metrics/loss_per_node", "energy/mode_00"):
        assert [step for step, _ in written(tmp_path / "one", name)] == steps
    assert len(written(tmp_path / "one", "scores/gram_error")) == 1
    assert len(list((tmp_path / "one").iterdir())) == 1


def test_a_resumed_run_goes_on_in_its_log(tmp_path: Path) -> None:
    """After Ctrl-C only what is new is added; after a kill, steps behind the checkpoint are withdrawn first."""
    folder, out = tmp_path / "run", tmp_path / "logs"
    folder.mkdir()
    records(folder, {0: 5.0, 1: 4.0, 2: 3.0})
    export_logs(folder, "tensorboard", out)
    records(folder, {0: 5.0, 1: 4.0, 2: 3.0, 3: 2.0})
    export_logs(folder, "tensorboard", out)
    assert written(out / "run", "metrics/loss") == [(0, 5.0), (1, 4.0), (2, 3.0), (3, 2.0)]
    records(folder, {0: 5.0, 1: 4.0, 2: 2.5, 4: 1.0})  # overwritten, say, or back at step 1 with other versions
    export_logs(folder, "tensorboard", out)
    events = EventAccumulator(str(out / "run"), size_guidance={"scalars": 0}).Reload().Scalars("metrics/loss")
    assert [(event.step, event.value) for event in events] == [(0, 5.0), (1, 4.0), (2, 2.5), (4, 1.0)]
    assert written(out / "run", "metrics/loss")[4:] == [(2, 2.5), (4, 1.0)]


def test_wandb_that_is_switched_off_is_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.chdir(tmp_path)
    words = "WANDB_MODE=disabled, so nothing is logged: unset it, or set it to offline or online"
    assert refusal(capsys, "export", str(run), "--to", "wandb") == words
    assert main([*TRAIN, "five", "--log", "wandb"]) == 0
    assert f"warning: the wandb log is not there: {words}" in capsys.readouterr().err
    assert RunDir.open("five").finished
