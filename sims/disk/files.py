"""Writing files so that a reader, a killed process or lost power never leaves or sees half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")

CHUNK = 1 << 20  # bytes hashed at a time


class Damage(UserWarning):
    """A file was found damaged, or from other versions, and what was done about it."""


def atomic_write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Make `path` hold what `write` writes, or, whatever goes wrong, what it held before; on the disk on return."""
    temporary = temporary_name(path)
    try:
        with temporary.open("xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
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
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def is_temporary(name: str, of: tuple[str, ...]) -> bool:
    """Whether `name` is what a killed write of a file whose name begins like one of `of` left."""
    return name.endswith(".tmp") and name.startswith(tuple(f".{file}" for file in of))


def sync_folder(folder: Path) -> None:
    """Put renames and removals in `folder` on the disk, where the system can."""
    with contextlib.suppress(OSError):  # some network file systems do not open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
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
