"""Writing files so that a reader, a killed process or lost power never leaves or sees half of one."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")

CHUNK = 1 << 20  # bytes hashed at a time
YOUNG_SECONDS = 2.0  # between making a temporary file and holding it there is a moment
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp")


class Damage(UserWarning):
    """A file was found damaged, or from other versions, and what was done about it."""


def atomic_write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Make `path` hold what `write` writes, or, whatever goes wrong, what it held before; on the disk on return."""
    temporary = temporary_name(path)
    try:
        with temporary.open("xb") as stream:
            _hold(stream.fileno())
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(temporary, path)  # while it is held, so that nobody takes it for a leftover
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Make `path` hold `text` in UTF-8, or what it held before; see atomic_write."""
    atomic_write(path, lambda stream: stream.write(text.encode()))


def temporary_name(path: Path) -> Path:
    """A name in the folder of `path`, which renaming needs, that is_temporary knows again."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")


def is_temporary(name: str, of: tuple[str, ...]) -> bool:
    """Whether `name` is what a killed write of a file whose name begins like one of `of` left."""
    return name.endswith(".tmp") and name.startswith(tuple(f".{file}" for file in of))


def clear_leftovers(folder: Path, of: tuple[str, ...] = ()) -> None:
    """Remove what killed writes left in ``folder``, of files of the names ``of``, or of all; what somebody is writing
    now stays."""
    for name in os.listdir(folder) if folder.is_dir() else ():
        found = _TEMPORARY.fullmatch(name)
        if found and (not of or found[1] in of):
            with contextlib.suppress(OSError):
                _clear_leftover(folder / name)


def _clear_leftover(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        if time.time() - os.fstat(descriptor).st_mtime > YOUNG_SECONDS and _hold(descriptor):
            path.unlink()
    finally:
        os.close(descriptor)


def _hold(descriptor: int) -> bool:
    """Whether this process now is the one that writes the file, for as long as it lives and has it open."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):  # held, or a file system without locks
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Put renames and removals in `folder` on the disk, where the system can."""
    with contextlib.suppress(OSError):  # some network file systems do not open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def own_folder(folder: Path) -> Path:
    """``folder``, made if it is missing. Raises ValueError where it is a symbolic link, see ``refuse_link``."""
    refuse_link(folder)
    folder.mkdir(exist_ok=True)
    return folder


def refuse_link(folder: Path) -> None:
    """Raises ValueError where a folder of ours is a symbolic link: what it leads to is not ours to write or clear."""
    if folder.is_symlink():
        raise ValueError(f"{folder} is a symbolic link, and nothing is written or removed where it leads: remove it")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    import hashlib  # which takes longer than all the rest of this file

    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def guarded(path: Path, read: Callable[[], T], remedy: str) -> T:
    """read(), where whatever a damaged file makes a library raise becomes one ValueError that ends in `remedy`."""
    try:
        return read()
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path} cannot be read ({reason}): {remedy}") from error


def folder_name(name: str) -> str:
    """A graph's or model's name as a folder name: cycle:15 -> cycle-15."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
