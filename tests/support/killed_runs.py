"""Runs in child processes that are killed, and what must be left of them."""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from fiedler.sims.runs.folder import RunDir

# What may differ between a run that was stopped and one that was not: where and when it ran.
VOLATILE = {"environment.json", "resumed.jsonl", "SHA256SUMS", ".lock"}


def in_child(work: Callable[[], object]) -> int:
    """Fork, do ``work`` in the child and end it without any clean-up; returns the child's process number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def kill_after(pid: int, seconds: float) -> bool:
    """SIGKILL after ``seconds`` unless the child is done before; whether it was killed. A child that fails is a bug."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0, f"the child failed: {status}"
            return False
        time.sleep(min(0.002, seconds / 10))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def kill_until_done(work: Callable[[], object], longest: float, rng: random.Random, kills: int) -> int:
    """Run ``work`` again and again, killing it ``kills`` times at random instants; returns how many kills hit."""
    hit = 0
    for _ in range(kills):
        hit += kill_after(in_child(work), rng.uniform(0.0, longest))
    wait_for(work)
    return hit


def wait_for(work: Callable[[], object]) -> None:
    """Do ``work`` in a child, to its end. A child that fails is a bug."""
    _, status = os.waitpid(in_child(work), 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"the child failed: {status}"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a finished run that must not depend on how often it was stopped, checkpoints included."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in VOLATILE
    }
    # Which steps have checkpoints depends on the clock, but not the last one.
    checkpoints = sorted(name for name in found if "checkpoint/step-" in name)
    for folder_name in {name.rpartition("/")[0] for name in checkpoints}:
        for name in [one for one in checkpoints if one.startswith(folder_name)][:-1]:
            del found[name]
    return found


def assert_same_run(folder: Path, reference: Path) -> None:
    """The same files with the same bytes, and every checksum of the folder in order."""
    found, expected = contents(folder), contents(reference)
    assert sorted(found) == sorted(expected), sorted(found.keys() ^ expected.keys())
    for name, data in expected.items():
        assert found[name] == data, f"{name} differs"
    for path in [folder, *folder.glob("runs/*")]:
        if (path / "metrics.jsonl").exists():
            assert RunDir.open(path).finished
