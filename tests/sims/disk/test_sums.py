"""SHA256SUMS: every listed file is what it was or is named as damaged; damage of the list itself is survived."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fiedler.sims.disk.files import sha256_of
from fiedler.sims.disk.sums import SUMS_FILE, read_sums, rewrite_sums, write_sums, wrong_sum

FILES = {"config.json": b"{}\n", "two words.txt": b"a\nb", "empty": b"", "Zürich.bin": bytes(range(256))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    write_sums(tmp_path, FILES)
    return tmp_path


def test_every_listed_file_is_as_it_was(folder: Path) -> None:
    sums = read_sums(folder)
    assert list(sums) == list(FILES)
    assert sums == {name: sha256_of(folder / name) for name in FILES}
    assert [wrong_sum(folder, name, sums) for name in FILES] == [None] * len(FILES)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_agrees(folder: Path) -> None:
    def check() -> int:
        return subprocess.run(["sha256sum", "--check", "--strict", SUMS_FILE], cwd=folder, check=False).returncode

    assert check() == 0
    (folder / "empty").write_bytes(b"\0")
    assert check() == 1


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _same_size_and_time(path: Path) -> None:
    """What a checksum sees and a look at size and time does not."""
    before = path.stat()
    _flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a flipped bit": _flip,
    "a flipped bit, with size and time as they were": _same_size_and_time,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "emptied": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_and_the_others_are_not(folder: Path, damage: str) -> None:
    DAMAGE[damage](folder / "Zürich.bin")
    sums = read_sums(folder)
    wrong = {name: wrong_sum(folder, name, sums) for name in FILES}
    assert [name for name, text in wrong.items() if text] == ["Zürich.bin"]
    assert wrong["Zürich.bin"] == (
        f"{folder / 'Zürich.bin'} does not have its checksum in SHA256SUMS, so it, or the list, is damaged"
    )


@pytest.mark.parametrize("how", ["removed", "a folder", "a link to nothing"])
def test_a_listed_file_that_is_gone(folder: Path, how: str) -> None:
    path = folder / "config.json"
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how == "a link to nothing":
        path.symlink_to(folder / "absent")
    assert wrong_sum(folder, "config.json", read_sums(folder)) == f"{path} is listed in SHA256SUMS but gone"


def test_two_files_that_changed_places_are_both_wrong(folder: Path) -> None:
    """Each content is in the list, but under the other name."""
    (folder / "config.json").write_bytes(FILES["two words.txt"])
    (folder / "two words.txt").write_bytes(FILES["config.json"])
    sums = read_sums(folder)
    assert wrong_sum(folder, "config.json", sums)
    assert wrong_sum(folder, "two words.txt", sums)


def test_a_file_that_is_not_listed_is_not_judged(folder: Path) -> None:
    (folder / "metrics.jsonl").write_text("grows")
    assert wrong_sum(folder, "metrics.jsonl", read_sums(folder)) is None


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda lines: [*lines[:2], lines[2][:40]], ["config.json", "two words.txt"]),  # cut short by a full disk
        (lambda lines: [lines[0].replace(b"  ", b" "), *lines[1:]], ["two words.txt", "empty", "Zürich.bin"]),
        (lambda lines: [b"\xff\xfe\x00", *lines], list(FILES)),
        (lambda lines: [b"x" + lines[0][1:], *lines[1:]], ["two words.txt", "empty", "Zürich.bin"]),
        (lambda lines: [b"00" + lines[0], *lines[1:]], ["two words.txt", "empty", "Zürich.bin"]),
        (lambda lines: [lines[0].upper(), *lines[1:]], ["two words.txt", "empty", "Zürich.bin"]),
        (lambda lines: [lines[0] + b"  " + lines[1], *lines[2:]], None),
        (lambda lines: [], []),
    ],
)
def test_damaged_lines_of_the_list_are_left_out(
    folder: Path, damage: Callable[[list[bytes]], list[bytes]], left: list[str] | None
) -> None:
    lines = (folder / SUMS_FILE).read_bytes().split(b"\n")[:-1]
    (folder / SUMS_FILE).write_bytes(b"\n".join(damage(lines)) + b"\n")
    sums = read_sums(folder)
    if left is None:  # two lines run together name a file that is not there
        left = ["empty", "Zürich.bin"]
        assert not sums.keys() & {"config.json", "two words.txt"}
        sums = {name: digest for name, digest in sums.items() if name in FILES}
    assert list(sums) == left
    assert [wrong_sum(folder, name, sums) for name in FILES] == [None] * len(FILES)


def test_without_a_list_nothing_is_listed(tmp_path: Path) -> None:
    assert read_sums(tmp_path) == {}
    assert read_sums(tmp_path / "absent") == {}
    (tmp_path / SUMS_FILE).mkdir()
    assert read_sums(tmp_path) == {}


def test_a_list_is_written_whole_or_not_at_all(folder: Path) -> None:
    """One of its files is gone: what was listed before stays listed."""
    before = (folder / SUMS_FILE).read_bytes()
    (folder / "empty").unlink()
    with pytest.raises(FileNotFoundError):
        write_sums(folder, FILES)
    assert (folder / SUMS_FILE).read_bytes() == before


def test_sums_are_taken_as_they_are(folder: Path) -> None:
    """Files are not read again: one that changed meanwhile does not become right by rewriting the list."""
    sums = read_sums(folder)
    _flip(folder / "Zürich.bin")
    del sums["empty"]
    rewrite_sums(folder, sums)
    assert read_sums(folder) == sums
    assert wrong_sum(folder, "Zürich.bin", read_sums(folder)) is not None
