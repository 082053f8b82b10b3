"""A log of JSON objects, one a line, that a killed process leaves readable."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .files import atomic_write
from .jsonio import to_json


class JsonLog:
    """The log at ``path``, open for adding lines; a last line cut short by a killed process is dropped.

    Raises ValueError for a link, whose file is somebody's, and for what is no ordinary file.
    """

    def __init__(self, path: Path) -> None:
        self._stream = _own_file(path)
        _drop_cut_line(self._stream)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line and hand it to the system; NaN and infinities are written as null.

        Raises TypeError or ValueError, with the log as it was, where ``record`` is no mapping or has no JSON form.
        """
        if not isinstance(record, Mapping):
            raise TypeError(f"a {type(record).__name__} is no record of a log: give a mapping of names to values")
        self._stream.write(to_json(record).encode() + b"\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> JsonLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _own_file(path: Path) -> BinaryIO:
    """Open for appending. A symbolic link is not followed; a file that has other names too (hard links, as in a copy
    made by ``cp -al``) is left to them, and a copy of it written."""
    if path.is_symlink():
        raise ValueError(f"{path} is a symbolic link, and what it leads to is not written: remove it")
    stream = _open(path)
    if os.fstat(stream.fileno()).st_nlink > 1:
        with stream:
            stream.seek(0)
            content = stream.read()
        atomic_write(path, lambda copy: copy.write(content))
        stream = _open(path)
    return stream


def _open(path: Path) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path} is no ordinary file, so nothing is written into it: remove it")
    return os.fdopen(descriptor, "a+b")


def _drop_cut_line(stream: BinaryIO) -> None:
    if not stream.seek(0, os.SEEK_END):
        return
    stream.seek(-1, os.SEEK_END)
    if stream.read(1) != b"\n":
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)
