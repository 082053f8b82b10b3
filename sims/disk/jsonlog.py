"""A log of JSON objects, one a line, that a killed process leaves readable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from .jsonio import to_json


class JsonLog:
    """The log at ``path``, open for adding lines; a last line cut short by a killed process is dropped."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a+b")
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


def _drop_cut_line(stream: BinaryIO) -> None:
    if not stream.seek(0, os.SEEK_END):
        return
    stream.seek(-1, os.SEEK_END)
    if stream.read(1) != b"\n":
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)
