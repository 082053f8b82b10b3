"""Calls in processes of their own: what comes back, how a death is told, and that nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

import deaths
from fiedler.sims.processes.child import NoProcess, ProcessDied
from fiedler.sims.processes.children import CHILDREN, Children, as_they_end, in_child, local_calls

pytestmark = pytest.mark.processes  # of several processes, or killed ones: make processes

MOST = 5.0  # seconds for a process that was told to end, on a busy machine


@pytest.fixture(scope="module", autouse=True)
def _none_left() -> Iterator[None]:
    yield
    CHILDREN.close()


def test_a_process_is_kept_between_calls() -> None:
    first = in_child(deaths.pid)
    assert first != os.getpid()
    assert in_child(deaths.pid) == first


@pytest.mark.parametrize(
    ("death", "code", "words"),
    [
        (deaths.killed, -signal.SIGKILL, "its process died: SIGKILL (did memory run out?), peak memory "),
        (deaths.segmented, -signal.SIGSEGV, "its process died: SIGSEGV, peak memory "),
        (deaths.left, 7, "its process died: exit code 7, peak memory "),
        (deaths.exits, 3, "its process died: exit code 3"),
        (deaths.forks, -signal.SIGKILL, "SIGKILL"),  # a child of its own keeps the pipes open
    ],
)
def test_a_death_says_how_it_came(death: object, code: int, words: str) -> None:
    with pytest.raises(ProcessDied) as found:
        in_child(death)  # type: ignore[arg-type]
    assert found.value.code == code
    assert words in str(found.value)
    assert in_child(deaths.pid)  # another takes its place


def test_a_death_says_how_much_memory_there_was() -> None:
    size = 400_000_000
    with pytest.raises(ProcessDied) as found:
        in_child(deaths.holds, size)
    assert found.value.peak is not None
    assert size < found.value.peak < size + max(2e8, 2 * psutil.Process().memory_info().rss)


def test_memory_that_runs_out_is_an_error_and_its_process_is_not_used_again() -> None:
    before = in_child(deaths.pid)
    with pytest.raises(MemoryError):
        in_child(deaths.starves)
    assert in_child(deaths.pid) != before


def test_errors_come_back_with_where_they_were_raised() -> None:
    with pytest.raises(ValueError, match="of ours") as found:
        in_child(deaths.raises, ValueError("of ours"))
    assert "in raises" in found.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Odd: 1 and 2"):
        in_child(deaths.raises_odd)


def test_what_is_printed_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_child(deaths.prints, "words\n") == ""  # and there is nothing to read
    monkeypatch.chdir(tmp_path)
    assert in_child(deaths.where) == os.getcwd()


def test_one_that_cannot_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(NoProcess, match="does not start"):
        Children().call(deaths.pid)


def test_idle_ones_that_ended_are_replaced() -> None:
    """Each after half a minute without a call, all of them at once."""
    with ThreadPoolExecutor(3) as pool:
        before = {one.result() for one in [pool.submit(in_child, deaths.naps, 0.3) for _ in range(3)]}
    assert len(before) == 3
    for one in before:
        os.kill(one, signal.SIGKILL)
    assert in_child(deaths.pid) not in before


def test_it_ends_by_itself_without_a_call() -> None:
    lines = "import fiedler.sims.processes.serving as s; s.IDLE_SECONDS = 0.1; s.serve()"
    with subprocess.Popen([sys.executable, "-c", lines], stdin=subprocess.PIPE) as process:  # which stays open
        assert process.wait(timeout=30) == 0


def test_leaving_by_an_exception_kills_what_is_in_work(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in "ab"]

    def go() -> None:
        with local_calls(2) as pool:
            for file in files:
                pool.submit(in_child, deaths.sleeps, file, 60.0)
            while not all(Path(file).exists() and Path(file).read_text() for file in files):
                time.sleep(0.01)
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        go()
    assert time.monotonic() - began < 30
    assert not any(psutil.pid_exists(int(Path(file).read_text())) for file in files)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_none_outlives_whoever_called(tmp_path: Path, how: int) -> None:
    file = tmp_path / "child"
    lines = f"import sys; sys.path[:] = {sys.path!r}\nimport deaths\n"
    lines += f"from fiedler.sims.processes.children import in_child\nin_child(deaths.sleeps, {str(file)!r}, 60.0)\n"
    with subprocess.Popen([sys.executable, "-c", lines]) as process:
        while not (file.exists() and file.read_text()):
            time.sleep(0.01)
        child = psutil.Process(int(file.read_text()))
        process.send_signal(how)
    assert psutil.wait_procs([child], timeout=MOST)[1] == []


def test_so_many_at_a_time_and_no_more() -> None:
    going, most = 0, 0

    def submit(work: int) -> object:
        nonlocal going, most
        going += 1
        most = max(most, going)
        return pool.submit(pow, work, 2)

    with local_calls(3) as pool:
        found = {}
        for work, future in as_they_end(submit, range(10), lambda: 3):  # type: ignore[arg-type, var-annotated]
            going -= 1
            found[work] = future.result()
    assert found == {work: work**2 for work in range(10)}
    assert most == 3
