"""Atomic writing: the new file whole or the old one untouched, no leftovers, and what is done before the rename."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from unittest import mock

import pytest

from crash_points import die_at
from fiedler.sims.disk import files
from fiedler.sims.disk.files import (
    CHUNK,
    atomic_write,
    clear_leftovers,
    folder_name,
    guarded,
    is_temporary,
    sha256_of,
    temporary_name,
    write_text,
)
from filesystems import read_only, small_disk, with_file_limit

OLD, NEW = "old\n", "new, and longer than what was there before\n"


def interrupted(stream: BinaryIO) -> None:
    stream.write(b"half of the new co")
    stream.flush()
    raise KeyboardInterrupt


def test_writing_replaces_the_whole_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "Zürich.txt"
    write_text(path, "λ = 1\n")
    assert path.read_bytes() == "λ = 1\n".encode()
    write_text(path, "")
    assert path.read_bytes() == b""
    atomic_write(path, lambda stream: stream.write(bytes(range(256))))
    assert path.read_bytes() == bytes(range(256))
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("before", [OLD, None])
def test_a_write_that_is_interrupted_changes_nothing(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "scores.json"
    if before is not None:
        path.write_text(before)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, interrupted)
    assert (path.read_text() if path.exists() else None) == before
    assert os.listdir(tmp_path) == ([path.name] if before else [])


@pytest.mark.parametrize("after", [False, True])
def test_dying_at_any_operation_leaves_the_old_file_or_the_new_one(tmp_path: Path, after: bool) -> None:
    """And what is left besides is known as temporary, so that the next run can clear it away."""
    seen = set()
    for fatal in range(1, 20):
        folder = tmp_path / str(fatal)
        folder.mkdir()
        path = folder / "scores.json"
        path.write_text(OLD)
        died = die_at(lambda path=path: write_text(path, NEW), fatal, after)
        seen.add(path.read_text())
        assert seen <= {OLD, NEW}
        left = set(os.listdir(folder)) - {path.name}
        assert all(is_temporary(name, ("scores.",)) for name in left)
        if not died:
            assert not left
            break
    assert fatal == 4  # the file is synced, renamed and its folder synced
    assert seen == {OLD, NEW}


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path: Path) -> None:
    """A rename that reaches the disk before the bytes do leaves an empty file when the power goes."""
    path = tmp_path / "config.json"
    order: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        order.append("folder" if name == str(tmp_path) else f"{os.path.getsize(name)} bytes")
        sync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        assert not path.exists()
        order.append("rename")
        replace(source, target)

    with mock.patch.object(os, "fsync", synced), mock.patch.object(os, "replace", renamed):
        write_text(path, NEW)
    assert order == [f"{len(NEW)} bytes", "rename", "folder"]


def test_a_folder_that_cannot_be_synced_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems do not open folders; the file is written all the same."""
    opened = os.open

    def refuse(path: object, flags: int, *options: int) -> int:
        if path == tmp_path:
            raise OSError(errno.EINVAL, "Invalid argument")
        return opened(path, flags, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    write_text(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_text() == NEW


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        path = disk / "modes.npz"
        path.write_text(OLD)
        with pytest.raises(OSError, match="No space left"):
            atomic_write(path, lambda stream: stream.write(bytes(100_000)))
        assert path.read_text() == OLD
        assert os.listdir(disk) == [path.name]  # and the room that the half-written file took is free again
        write_text(path, NEW)
        assert path.read_text() == NEW


def test_a_file_that_cannot_grow_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "modes.npz"
    path.write_text(OLD)

    def work() -> int:
        try:
            atomic_write(path, lambda stream: stream.write(bytes(5000)))
        except OSError as error:
            return int(error.errno or 1)
        return 0

    assert with_file_limit(work, 4096) == errno.EFBIG
    assert path.read_text() == OLD
    assert os.listdir(tmp_path) == [path.name]
    assert with_file_limit(work, 5000) == 0
    assert path.read_bytes() == bytes(5000)


def test_a_read_only_disk_keeps_the_old_file(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        path = disk / "config.json"
        path.write_text(OLD)
        with read_only(disk), pytest.raises(OSError, match="Read-only"):
            write_text(path, NEW)
        assert path.read_text() == OLD
        assert os.listdir(disk) == [path.name]


def test_a_folder_that_is_not_there_or_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "absent" / "a", NEW)
    assert not (tmp_path / "absent").exists()
    (tmp_path / "file").write_text(OLD)
    with pytest.raises(NotADirectoryError):
        write_text(tmp_path / "file" / "a", NEW)
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path, NEW)
    assert (tmp_path / "file").read_text() == OLD


def test_writing_over_a_link_replaces_the_link(tmp_path: Path) -> None:
    """What the link points to belongs to somebody else and stays as it was."""
    theirs, path = tmp_path / "theirs", tmp_path / "ours"
    theirs.write_text(OLD)
    path.symlink_to(theirs)
    write_text(path, NEW)
    assert not path.is_symlink()
    assert (path.read_text(), theirs.read_text()) == (NEW, OLD)


def test_a_temporary_file_of_somebody_else_is_never_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it has the very name: a link laid there would lead the bytes elsewhere."""
    monkeypatch.setattr(files.os, "urandom", bytes)  # zeros
    theirs = tmp_path / "theirs"
    theirs.write_text(OLD)
    temporary_name(tmp_path / "ours").symlink_to(theirs)
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "ours", NEW)
    assert theirs.read_text() == OLD
    assert not (tmp_path / "ours").exists()


def test_temporary_names_are_known_again_and_never_twice_the_same(tmp_path: Path) -> None:
    path = tmp_path / "modes.npz"
    names = {temporary_name(path) for _ in range(100)}
    assert len(names) == 100
    assert all(name.parent == tmp_path and is_temporary(name.name, ("modes.npz.",)) for name in names)
    for name in ("modes.npz", ".modes.npz.1234.tmp.npz", "modes.npz.1234.tmp", ".thesis.1234.tmp", ".tmp"):
        assert not is_temporary(name, ("modes.npz.", "step-"))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_the_checksum_is_that_of_every_byte(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "a").write_bytes(data[:size])
    assert sha256_of(tmp_path / "a") == hashlib.sha256(data[:size]).hexdigest()


def _raises(error: Exception) -> Callable[[], object]:
    def read() -> object:
        raise error

    return read


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("metrics"), "'metrics'"),
        (ValueError("two\nlines  and   blanks"), "two lines and blanks"),
        (EOFError(), "EOFError"),
        (RuntimeError("x" * 900), "x" * 200),
    ],
)
def test_whatever_a_damaged_file_raises_becomes_one_line(tmp_path: Path, error: Exception, reason: str) -> None:
    path = tmp_path / "modes.npz"
    with pytest.raises(ValueError, match="make it again") as caught:
        guarded(path, _raises(error), "make it again")
    assert str(caught.value) == f"{path} cannot be read ({reason}): make it again"
    assert caught.value.__cause__ is error


def test_what_stops_the_program_is_not_taken_for_damage(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        guarded(tmp_path, _raises(KeyboardInterrupt()), "make it again")  # type: ignore[arg-type]
    assert guarded(tmp_path, lambda: 3, "make it again") == 3


def test_names_of_graphs_as_names_of_folders() -> None:
    assert folder_name("cycle:15") == "cycle-15"
    assert folder_name("../../etc/passwd") == "..-..-etc-passwd"
    assert folder_name("a b\0c\\d_e.f-g") == "a-b-c-d_e.f-g"


def test_what_killed_writes_left_goes_and_what_is_being_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "YOUNG_SECONDS", 0.0)
    path = tmp_path / "page.html"
    assert die_at(lambda: write_text(path, "half"), 1, after=False)  # before the bytes are put on the disk
    (tmp_path / ".other.png.deadbeef.tmp").write_text("of another file")
    (tmp_path / ".mine.tmp").write_text("mine")
    assert len(os.listdir(tmp_path)) == 3

    def write(stream: BinaryIO) -> None:
        stream.write(b"whole")
        clear_leftovers(tmp_path, (path.name,))
        assert len(os.listdir(tmp_path)) == 3  # the half one is gone, this one is not

    atomic_write(path, write)
    assert path.read_text() == "whole"
    clear_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".mine.tmp", "page.html"]
    clear_leftovers(tmp_path / "absent")


def test_a_young_one_may_be_somebody_s_who_just_begins(tmp_path: Path) -> None:
    (tmp_path / ".page.html.deadbeef.tmp").write_text("")
    clear_leftovers(tmp_path)
    assert len(os.listdir(tmp_path)) == 1
