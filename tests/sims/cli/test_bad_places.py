"""Where runs cannot write, or not alone: full and read-only disks, one folder for two, clocks that jump."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fiedler.sims.cli.commands import main
from fiedler.sims.disk.lock import Locked, locked
from fiedler.sims.runs import guards
from fiedler.sims.runs.checkpoints import write_checkpoint
from fiedler.sims.runs.folder import RunDir
from filesystems import read_only, small_disk, with_file_limit
from killed_runs import assert_same_run, contents

Capture = pytest.CaptureFixture[str]

TRAIN = ["train", "path-star:3x3", "--steps", "300", "--width", "6"]
LONG = [*TRAIN[:2], "--steps", "300000", "--width", "6"]  # some seconds
OFTEN = ["--checkpoint-every", "0"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference") / "run"
    assert main([*TRAIN, *OFTEN, "--out", str(folder)]) == 0
    return folder


def one_line(said: str) -> str:
    assert re.fullmatch(r"fiedler: [^\n]+\n", said), said
    return said


# Full and read-only disks.


def test_too_small_a_disk_is_refused_before_anything_is_made(tmp_path: Path, capsys: Capture) -> None:
    with small_disk(tmp_path / "disk", 300) as disk:
        assert main([*TRAIN, "--out", str(disk / "run")]) == 2
        assert re.search(r"need up to .* kB? in|need up to .*MB in .*are free", one_line(capsys.readouterr().err))
        assert not os.listdir(disk)


def test_a_disk_that_fills_up(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, reference: Path
) -> None:
    """The run stops in one line; with room again it goes on to the same bytes."""
    monkeypatch.setattr(guards, "LOGS", 0)
    monkeypatch.setattr(guards, "GROWTH", 0)
    monkeypatch.setattr(guards, "FRAMES", 0)
    with small_disk(tmp_path / "disk", 400) as disk:
        (disk / "others").write_bytes(bytes(370_000))
        out = disk / "run"
        assert main([*TRAIN, *OFTEN, "--out", str(out)]) == 1
        assert "No space left on device" in one_line(capsys.readouterr().err)
        kept = len(list((out / "checkpoint").glob("step-*")))
        assert main([*TRAIN, *OFTEN, "--out", str(out), "--resume"]) in (1, 2)
        assert "space" in one_line(capsys.readouterr().err)
        assert len(list((out / "checkpoint").glob("step-*"))) >= kept
        (disk / "others").unlink()
        assert main([*TRAIN, *OFTEN, "--out", str(out), "--resume"]) == 0
        assert_same_run(out, reference)


@pytest.mark.parametrize("size", [400, 1500, 3000, 6000, 9000, 12000])
def test_files_that_cannot_grow(tmp_path: Path, size: int, reference: Path) -> None:
    """As on a full disk, whatever the file: exit code 1 or 2, and nothing that a resumed run cannot use."""
    out = tmp_path / "run"
    code = with_file_limit(lambda: main([*TRAIN, *OFTEN, "--out", str(out)]), size)
    assert code in (0, 1, 2)
    assert code != 0 or size == 12000
    assert main([*TRAIN, *OFTEN, "--out", str(out), "--resume"]) == 0
    assert_same_run(out, reference)


def test_a_read_only_disk(tmp_path: Path, capsys: Capture) -> None:
    with small_disk(tmp_path / "disk", 4000) as disk:
        out = disk / "run"
        assert main([*TRAIN, *OFTEN, "--out", str(out)]) == 0
        before = contents(out)
        capsys.readouterr()
        with read_only(disk):
            for arguments in (["--overwrite"], ["--resume", "--steps", "301"]):
                assert main([*TRAIN, "--out", str(out), *arguments]) == 2
                assert "Traceback" not in one_line(capsys.readouterr().err)
            assert main([*TRAIN, "--out", str(disk / "new")]) == 2
            assert "Read-only" in one_line(capsys.readouterr().err)
            assert main([*TRAIN, "--out", str(out), "--resume"]) == 0  # finished: only read
            assert main(["compare", "cycle:4", "--out", str(disk / "other"), "--model", "node2vec"]) == 2
            assert "Read-only" in capsys.readouterr().err
        assert contents(out) == before


def test_no_room_for_a_checkpoint_keeps_the_earlier_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from fiedler.sims.runs.checkpoints import Checkpoint, usable_steps

    folder = tmp_path / "checkpoint"
    for step in (1, 2):
        write_checkpoint(folder, Checkpoint(step, {"a": np.arange(100)}))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(folder, Checkpoint(3, {"a": np.arange(100)}))
    assert usable_steps(folder) == [2, 1]
    assert len(os.listdir(folder)) == 2


# One folder, one writer.


def start(arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fiedler.sims.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_second_start_is_refused_and_the_first_unharmed(tmp_path: Path, reference: Path) -> None:
    out = tmp_path / "run"
    both = [start([*TRAIN, *OFTEN, "--out", str(out), "--resume"]) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, 2])  # one may have begun when the other was done
    for process, (_, error) in zip(both, said, strict=True):
        if process.returncode == 2:
            assert "another process is writing" in one_line(error)
    assert_same_run(out, reference)


def test_a_folder_in_work_is_neither_resumed_nor_overwritten(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run"
    assert main([*TRAIN, "--out", str(out)]) == 0
    (out / "modes.npz").unlink()  # so that there is something to resume
    before = contents(out)
    capsys.readouterr()
    with locked(out):
        for option in ("--resume", "--overwrite"):
            assert main([*TRAIN, "--out", str(out), option]) == 2
            assert "another process is writing" in one_line(capsys.readouterr().err)
    assert contents(out) == before
    assert main([*TRAIN, "--out", str(out), "--resume"]) == 0
    assert RunDir.open(out).finished


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from fiedler.sims.disk.lock import locked\n"
        "with locked(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Locked, match="another process is writing"), locked(tmp_path):
        pass
    process.kill()
    process.wait()
    with locked(tmp_path):
        pass


# Signals and clocks.


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    process = start([*LONG, "--out", str(out)])
    deadline = time.monotonic() + 60
    while not (out / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"interrupted at step \d+, which is saved in .*: go on with --resume", one_line(error))
    assert not RunDir.open(out).finished
    (checkpoint,) = (out / "checkpoint").glob("step-*")  # the only one: half a minute had not passed
    assert f"step {int(checkpoint.name[5:14])}," in error
    assert main([*LONG, "--out", str(out), "--resume"]) == 0
    assert main([*LONG, "--out", str(whole)]) == 0
    assert_same_run(out, whole)


def test_clocks_that_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: Path) -> None:
    jumps = itertools.cycle([-1e9, 3e9, 0.0, 1e5, -5.0])
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    out = tmp_path / "run"
    assert main([*TRAIN, *OFTEN, "--out", str(out)]) == 0
    assert_same_run(out, reference)
    for path in out.rglob("*"):  # file times from the future
        os.utime(path, (4e9, 4e9))
    (out / "modes.npz").unlink()
    assert main([*TRAIN, *OFTEN, "--out", str(out), "--resume"]) == 0
    assert_same_run(out, reference)


def test_a_run_that_was_moved_goes_on(tmp_path: Path, reference: Path) -> None:
    out = tmp_path / "elsewhere" / "moved"
    shutil.copytree(reference, out)
    (out / "embeddings.safetensors").unlink()
    assert main([*TRAIN, *OFTEN, "--out", str(out), "--resume"]) == 0
    assert_same_run(out, reference)
