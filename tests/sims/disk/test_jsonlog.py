"""A log of lines: what was appended is there after a kill, a line cut short goes, and nothing else is ever lost."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from crash_points import DIED, Countdown, counted_operations
from fiedler.sims.disk.jsonlog import JsonLog
from filesystems import small_disk, with_file_limit

FIRST, SECOND = {"step": 0, "loss": 1.5}, {"step": 1, "note": "λ\nand a line"}


def records(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def append(path: Path, *lines: Any) -> None:
    with JsonLog(path) as log:
        for line in lines:
            log.append(line)


def test_lines_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append(path, FIRST)
    append(path, SECOND, {})
    assert records(path) == [FIRST, SECOND, {}]
    assert path.read_bytes().isascii()
    assert path.read_bytes().count(b"\n") == 3


def test_a_line_is_with_the_system_before_append_returns(tmp_path: Path) -> None:
    """Not in a buffer of the process, which a kill takes along."""
    path = tmp_path / "metrics.jsonl"
    pid = os.fork()
    if pid == 0:
        log = JsonLog(path)
        log.append(FIRST)
        os._exit(0)  # without closing, as a killed process
    os.waitpid(pid, 0)
    assert records(path) == [FIRST]
    log = JsonLog(path)
    log.append(SECOND)
    assert records(path) == [FIRST, SECOND]
    log.close()


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_line_cut_at_any_byte_is_dropped_and_the_log_goes_on(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "metrics.jsonl"
    append(path, FIRST, SECOND)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    append(path, {"step": 9})
    assert records(path) == [FIRST, {"step": 9}]


@pytest.mark.parametrize("content", [b"", b"{", b'{"step": 0', b"\xff\xfe"])
def test_a_first_line_cut_short_leaves_an_empty_log(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content)
    JsonLog(path).close()
    assert path.read_bytes() == b""


def test_opening_a_whole_log_changes_nothing(tmp_path: Path) -> None:
    """Not even a damaged line in the middle: readers name it, the log does not repair by guessing."""
    path = tmp_path / "metrics.jsonl"
    content = b'{"step": 0}\nnonsense\n\n{"step": 1}\n'
    path.write_bytes(content)
    JsonLog(path).close()
    assert path.read_bytes() == content


def test_dying_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    pid = os.fork()
    if pid == 0:
        try:
            with counted_operations(Countdown(2)):
                append(path, FIRST, SECOND)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == DIED
    assert not path.read_bytes().endswith(b"\n")
    append(path, SECOND)
    assert records(path) == [FIRST, SECOND]


def test_what_has_no_json_form_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with JsonLog(path) as log:
        log.append(FIRST)
        for wrong in ({"a": {1, 2}}, {"a": object()}, {1: 0, "1": 0}):
            with pytest.raises((TypeError, ValueError)):
                log.append(wrong)  # type: ignore[arg-type]
        for wrong in ([1], "text", None, 3):
            with pytest.raises(TypeError, match="is no record of a log: give a mapping"):
                log.append(wrong)  # type: ignore[arg-type]
        log.append(SECOND)
    assert records(path) == [FIRST, SECOND]


def test_nan_and_infinity_are_null(tmp_path: Path) -> None:
    append(tmp_path / "log", {"a": math.nan, "b": [math.inf, -math.inf, 1.0]})
    assert records(tmp_path / "log") == [{"a": None, "b": [None, None, 1.0]}]


def test_the_file_is_closed_with_the_context_also_after_an_error(tmp_path: Path) -> None:
    log = JsonLog(tmp_path / "log")
    with pytest.raises(ZeroDivisionError), log:
        log.append({"a": 1 / 0})
    assert log._stream.closed
    with JsonLog(tmp_path / "log") as log:
        log.append(FIRST)
    with pytest.raises(ValueError, match="closed"):
        log.append(SECOND)
    assert records(tmp_path / "log") == [FIRST]


def test_a_full_disk_costs_the_line_it_could_not_hold_and_no_other(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        path = disk / "metrics.jsonl"
        line = {"text": "x" * 1000}
        with pytest.raises(OSError, match="No space left"):
            append(path, *[line] * 100)
        written = path.read_bytes().count(b"\n")
        assert written > 10
        path_size = path.stat().st_size
        JsonLog(path).close()
        assert path_size - 1100 < path.stat().st_size <= path_size
        assert records(path) == [line] * written


def test_a_log_that_cannot_grow_is_whole_when_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    line = {"text": "x" * 60}

    def work() -> int:
        try:
            append(path, *[line] * 20)
        except OSError:
            return 3
        return 0

    assert with_file_limit(work, 500) == 3
    append(path, SECOND)
    *before, last = records(path)
    assert last == SECOND
    assert before == [line] * (500 // len(json.dumps(line) + "\n"))


def test_where_no_log_can_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent" / "log"):
        with pytest.raises(OSError, match=r"Is a directory|No such file"):
            JsonLog(path)


def test_what_is_somebody_s_is_not_written_into(tmp_path: Path) -> None:
    """Neither through a symbolic link nor under another name of the same file, as a copy made by ``cp -al`` has."""
    mine = tmp_path / "mine.txt"
    mine.write_text('{"step": 9}\n')
    (tmp_path / "link").symlink_to(mine)
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    os.link(mine, tmp_path / "copy")
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("link", "symbolic link"), ("dangling", "symbolic link"), ("pipe", "no ordinary file")):
        with pytest.raises(ValueError, match=rf"{name} is (a )?{why}.*remove it"):
            append(tmp_path / name, FIRST)
    append(tmp_path / "copy", FIRST)
    assert records(tmp_path / "copy") == [{"step": 9}, FIRST]
    assert mine.read_text() == '{"step": 9}\n'
    assert not (tmp_path / "absent").exists()
