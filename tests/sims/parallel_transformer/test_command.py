"""The Transformer with its batch spread over two processes against the same on one, and its command."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from fiedler.sims.models.neural_settings import NeuralSettings
from fiedler.sims.parallel_transformer import command as parallel_transformer
from fiedler.sims.parallel_transformer.run import run_parallel
from fiedler.sims.parallel_transformer.training import train_parallel_transformer
from fiedler.sims.runs.control import Restart, Watch
from fiedler.sims.runs.folder import RunDir
from fiedler.sims.runs.recorder import Recorder
from fiedler.sims.runs.stopping import Interrupted, StopRequest
from fiedler.sims.tasks.task import Task
from fiedler.theory import one_hop_sparse, parse
from killed_runs import assert_same_run
from neural_runs import train_alone
from sharded_runs import TRANSFORMER, TRANSFORMER_STEPS

pytestmark = pytest.mark.processes  # of several processes, or killed ones: make processes

# A gradient summed in two parts is off by some units in the seventh place. Adam divides it by its own size, so that an
# entry that nearly cancels takes an error many times that, of at most its whole step of 0.01, into its weight.
LOSS, WEIGHT = 2e-5, 2e-3


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def test_one_process_alone_follows_itself() -> None:
    target = one_hop_sparse(parse("cycle:8"))
    states = list(train_parallel_transformer(target, TRANSFORMER, 1, TRANSFORMER_STEPS))
    for state, expected in zip(states, train_alone(target, TRANSFORMER, 1, TRANSFORMER_STEPS), strict=True):
        assert state.step == expected.step
        assert state.loss == pytest.approx(expected.loss, rel=LOSS)
        assert relative(state.embedding, expected.embedding) < WEIGHT
        assert relative(state.logits, expected.logits) < WEIGHT


def test_the_command_s_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["cycle:8", "--steps", "5", "--width", "8", "--out", str(tmp_path / "run"), "--json"]
    assert parallel_transformer.main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    run = RunDir.open(tmp_path / "run")
    assert (answer["n"], answer["processes"], answer["steps"]) == (8, 1, 5)
    last = run.read_metrics()[-1]
    assert 0 <= last.pop("edge_recall") <= 1
    assert abs(last.pop("geometric_level")) <= 1
    assert last == {"step": 5, "time": None, "loss_per_node": answer["loss_per_node"]}
    assert run.read_embeddings()["embedding"].shape == (8, 8)
    assert run.is_final("embeddings.safetensors")
    assert run.read_config()["processes"] == 1
    assert run.finished
    assert parallel_transformer.main(arguments) == 2
    assert "is not empty" in capsys.readouterr().err
    assert parallel_transformer.main([*arguments, "--overwrite"]) == 0


def start(folder: Path, *options: str, processes: int = 2) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = [*command, "-m", "fiedler.sims.parallel_transformer", "cycle:8", "--steps", "200", "--width", "8"]
    words += ["--checkpoint-every", "0", "--out", str(folder), *options]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error


@pytest.mark.long
def test_two_processes_that_are_killed_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    finish(start(tmp_path / "whole"))
    process = start(tmp_path / "killed")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "killed").glob("checkpoint/step-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    for child in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        child.kill()
    process.communicate(timeout=60)
    assert not RunDir.open(tmp_path / "killed").finished
    finish(start(tmp_path / "killed", "--resume"))
    assert_same_run(tmp_path / "killed", tmp_path / "whole")
    resumed = json.loads((tmp_path / "killed/resumed.jsonl").read_text())
    assert 0 < resumed["step"] < 200


def test_a_stopped_run_goes_on_and_a_finished_one_is_read(tmp_path: Path) -> None:
    task, settings = Task(parse("cycle:8")), NeuralSettings(steps=60, width=8)
    stop = StopRequest()
    records: list[Any] = []
    whole = run_parallel(task, settings, 3, tmp_path / "whole", watch=Watch(on_step=records.append))
    logged = RunDir.open(tmp_path / "whole").read_metrics()
    assert records == [{"model": "transformer", "seed": 3, **line} for line in logged]
    real = Recorder.record

    def record(self: Recorder, *given: Any) -> None:
        real(self, *given)
        stop.signalled = self.count == 30

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "record", record)
        with pytest.raises(Interrupted, match=r"interrupted at step \d+, which is saved in .*: go on with --resume"):
            run_parallel(task, settings, 3, tmp_path / "stopped", watch=Watch(stop=stop))
    assert run_parallel(task, settings, 3, tmp_path / "stopped", restart=Restart(resume=True)) == whole
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")
    assert run_parallel(task, settings, 3, tmp_path / "whole", restart=Restart(resume=True)) == whole
    with pytest.raises(ValueError, match="holds another run: seed 3 instead of 4"):
        run_parallel(task, settings, 4, tmp_path / "whole", restart=Restart(resume=True))


def test_what_it_cannot_do(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    target = one_hop_sparse(parse("cycle:8"))
    with pytest.raises(ValueError, match="dropout is for one process"):
        next(train_parallel_transformer(target, NeuralSettings(dropout=0.1), 0, [1]))
    with pytest.raises(FloatingPointError, match=r"training diverged before step \d+: lower the learning rate"):
        list(train_parallel_transformer(target, NeuralSettings(learning_rate=1e30), 0, [20]))
    for task in (Task(parse("cycle:8"), edges="forward"), Task(parse("path-star:2x3"), weights="line")):
        with pytest.raises(ValueError, match="no direction, no line weights"):
            run_parallel(task, NeuralSettings(), 0, Path("never"))
    monkeypatch.setitem(sys.modules, "accelerate", None)  # as where it is not installed
    assert parallel_transformer.main(["cycle:8", "--steps", "5"]) == 1
    assert capsys.readouterr().err == 'fiedler: accelerate is not installed; pip install "fiedler[distributed]"\n'
