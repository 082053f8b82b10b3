"""One writer for a folder: a second holder is refused, and whatever ends the first makes it free again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fiedler.sims.disk.lock import LOCK_FILE, Locked, locked
from filesystems import read_only, small_disk

REFUSED = 7


def other_process(folder: Path) -> int:
    """The exit code of a process that tries to hold the folder's lock: 0, or REFUSED."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with locked(folder):
                code = 0
        except Locked:
            code = REFUSED
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def holder(folder: Path) -> tuple[int, Callable[[], None]]:
    """A process that holds the lock, and how to let it go on to its end."""
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with locked(folder):
                os.write(ready[1], b"x")
                os.read(go[0], 1)
        finally:
            os._exit(0)
    assert os.read(ready[0], 1) == b"x"
    return pid, lambda: os.close(go[1]) if os.write(go[1], b"x") else None


def test_the_folder_is_made_with_its_parents_and_only_the_lock_file_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    with locked(folder):
        assert os.listdir(folder) == [LOCK_FILE]
    assert os.listdir(folder) == [LOCK_FILE]  # a lock file that were removed would let two processes in


def test_a_second_process_is_refused_while_the_first_writes(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert other_process(tmp_path) == REFUSED
    assert other_process(tmp_path) == 0


def test_the_refusal_says_who_and_what_to_do(tmp_path: Path) -> None:
    pid, end = holder(tmp_path)
    with pytest.raises(Locked) as caught, locked(tmp_path):
        pass
    end()
    os.waitpid(pid, 0)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == (
        f"another process is writing {tmp_path} (it holds {tmp_path / LOCK_FILE}): wait for it, or give another --out"
    )


def test_a_second_call_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(Locked), locked(tmp_path):
            pass
        assert other_process(tmp_path) == REFUSED  # the refused call has not let go of the first one's lock
    with locked(tmp_path):
        pass


def test_another_thread_is_refused(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with locked(tmp_path):
                pass
        except Locked as error:
            errors.append(error)

    with locked(tmp_path):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(errors) == 1


def test_an_error_inside_lets_go_of_it(tmp_path: Path) -> None:
    """At once, though whoever keeps the error keeps the lock's object alive with its traceback."""
    with pytest.raises(KeyboardInterrupt) as caught, locked(tmp_path):
        raise KeyboardInterrupt
    assert other_process(tmp_path) == 0
    assert caught.value.__traceback__ is not None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_process_that_is_killed_is_free(tmp_path: Path, number: signal.Signals) -> None:
    pid, _ = holder(tmp_path)
    assert other_process(tmp_path) == REFUSED
    os.kill(pid, number)
    os.waitpid(pid, 0)
    assert (tmp_path / LOCK_FILE).exists()
    assert other_process(tmp_path) == 0


def test_the_locks_of_two_folders_are_two(tmp_path: Path) -> None:
    with locked(tmp_path / "a"), locked(tmp_path / "b"):
        assert other_process(tmp_path / "c") == 0
        assert other_process(tmp_path / "a") == REFUSED
        assert other_process(tmp_path / "b") == REFUSED


def test_a_link_to_the_folder_is_the_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "run", target_is_directory=True)
    with locked(tmp_path / "run"):
        assert other_process(tmp_path / "link") == REFUSED


def test_a_lock_file_that_is_a_link_leads_nowhere(tmp_path: Path) -> None:
    """Whatever comes of it, the file of somebody else keeps its bytes."""
    theirs = tmp_path / "theirs"
    theirs.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK_FILE).symlink_to(theirs)
    try:
        with locked(tmp_path / "run"):
            pass
    except ValueError as error:
        assert "cannot be made a run folder" in str(error)  # noqa: PT017 (either outcome is right)
    assert theirs.read_text() == "mine"


def test_where_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=r"cannot be made a run folder .*: give another --out"), locked(path):
            pass
    assert (tmp_path / "file").read_text() == "mine"


def test_a_read_only_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        (disk / "run").mkdir()
        with read_only(disk):
            for path in (disk / "run", disk / "new"):
                message = f"{path.name} cannot be made .*Read-only"
                with pytest.raises(ValueError, match=message) as caught, locked(path):
                    pass
                assert not isinstance(caught.value, Locked)
