"""A run's folder: what was asked for, where it ran, and everything it measured.

config.json (enough to run it again), environment.json, metrics.jsonl (one JSON object a line,
appended as the run goes), modes.npz, embeddings.safetensors, scores.json and figures/. Every file
but metrics.jsonl is written whole or not at all: a reader, or a run killed halfway, never leaves
or sees half of one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .environment import describe_environment
from .jsonio import from_json, to_json

T = TypeVar("T")

FORMAT_KEY = "fiedler_run"  # in config.json, so that no other program's config.json is taken for ours
FORMAT = 1
FILES = ("environment.json", "metrics.jsonl", "modes.npz", "embeddings.safetensors", "scores.json", "report.md")
FIGURE_SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class RunDir:
    """One run's folder at `path`; made by RunDir.create, found again by RunDir.open."""

    path: Path

    @staticmethod
    def create(path: str | os.PathLike[str], config: Mapping[str, Any], *, overwrite: bool = False) -> RunDir:
        """A run folder at `path`, parents included, with its config, environment and figures/.

        A folder that is already there must be empty, or with `overwrite` a run folder: then what
        the earlier run wrote is removed, file by file and by name, and anything else left alone.

        Raises ValueError where the folder holds something and `overwrite` is not given or would
        touch a folder that is not a run's, and where the folder cannot be made; ValueError or
        TypeError, with the folder as it was, where `config` has no JSON form.
        """
        run = RunDir(Path(path))
        text = to_json({**config, FORMAT_KEY: FORMAT}, indent=2)  # before anything is removed
        RunDir.check(path, overwrite=overwrite)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run._clear()
            # Written over the old one, never removed first: the folder stays known as a run's.
            run._write("config.json", text)
            run._write("environment.json", to_json(describe_environment(), indent=2))
            run.figures.mkdir(exist_ok=True)
        except OSError as error:
            raise _cannot_be_made(run.path, error) from error
        return run

    @staticmethod
    def check(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Refuse what `create` would refuse for what lies at `path`, with the same ValueError; changes nothing."""
        run = RunDir(Path(path))
        try:
            found = sorted(name for name in os.listdir(run.path) if not _is_leftover(name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _cannot_be_made(run.path, error) from error
        if found and not overwrite:
            raise ValueError(f"{run.path} is not empty (it holds {found[0]!r}): pass --overwrite or another --out")
        if found and not run._is_run():
            raise ValueError(
                f"{run.path} holds {found[0]!r} but no config.json of a run, so nothing in it is "
                "overwritten: give another --out"
            )

    @staticmethod
    def open(path: str | os.PathLike[str]) -> RunDir:
        """The run folder at `path`. Raises ValueError where there is none."""
        run = RunDir(Path(path))
        if not run.path.is_dir():
            raise ValueError(f"{run.path} is not a folder: give the --out of an earlier run")
        if not run._is_run():
            raise ValueError(f"{run.path} has no config.json of a run: give the --out of an earlier run")
        return run

    @staticmethod
    def remove(path: str | os.PathLike[str]) -> None:
        """Take away a run folder: every file a run writes, and the folder itself unless something else is in it.

        A folder that is no run's is left alone.
        """
        run = RunDir(Path(path))
        if not run._is_run():
            return
        run._clear()
        (run.path / "config.json").unlink()
        for folder in (run.figures, run.path):
            with contextlib.suppress(OSError):  # somebody else's files are in it
                folder.rmdir()

    @property
    def figures(self) -> Path:
        """The folder of the run's figures, made by `create`."""
        return self.path / "figures"

    def read_config(self) -> dict[str, Any]:
        """What was given to `create`, as JSON kept it. Raises ValueError where it is unreadable."""
        config = self._read_object("config.json")
        config.pop(FORMAT_KEY, None)
        return config

    def read_environment(self) -> dict[str, Any]:
        """What the run ran on. Raises ValueError where it is absent or unreadable."""
        return self._read_object("environment.json")

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add one line to metrics.jsonl and flush it; NaN and infinities are written as null.

        A last line cut short by a killed run is dropped first. Raises TypeError or ValueError,
        with the file as it was, where `record` has no JSON form or is no mapping.
        """
        if not isinstance(record, Mapping):
            raise TypeError(f"a {type(record).__name__} is no metrics record: give a mapping of names to values")
        line = to_json(record).encode() + b"\n"
        with (self.path / "metrics.jsonl").open("a+b") as stream:
            _drop_cut_line(stream)
            stream.write(line)
            stream.flush()

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records in the order they were added; empty before the first.

        A last line without its end, cut short by a killed run, is left out. Raises ValueError,
        with the line's number, where any other is not a JSON object.
        """
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        records = []
        whole = _guarded(path, path.read_bytes).split(b"\n")[:-1]
        for number, line in enumerate(whole, 1):
            try:
                record = from_json(line.decode())
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
            if not isinstance(record, dict):
                raise ValueError(f"{path}, line {number}: not a JSON object: remove the line")
            records.append(record)
        return records

    def write_modes(self, **arrays: ArrayLike) -> None:
        """Write modes.npz: named arrays of numbers, booleans or text.

        Raises ValueError, with the old file kept, for an array of Python objects.
        """
        plain = {name: np.asarray(array) for name, array in arrays.items()}
        for name, array in plain.items():
            if array.dtype.hasobject:
                raise ValueError(f"mode array {name!r} holds Python objects: give numbers of one type and shape")

        def write(stream: BinaryIO) -> None:
            # np.savez would take arrays called "file" or "allow_pickle" for its own arguments.
            with zipfile.ZipFile(stream, "w") as archive:
                for name, array in plain.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)

        atomic_write(self.path / "modes.npz", write)

    def read_modes(self) -> dict[str, NDArray[Any]]:
        """The arrays of modes.npz. Raises ValueError where it is absent or unreadable."""

        def read() -> dict[str, NDArray[Any]]:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}

        path = self._present("modes.npz")
        return _guarded(path, read)

    def write_embeddings(self, embeddings: Mapping[str, NDArray[Any]]) -> None:
        """Write embeddings.safetensors: named arrays, dtypes and shapes kept.

        Raises ValueError, with the old file kept, for an array safetensors has no type for.
        """
        from safetensors.numpy import save

        plain = {}
        for name, embedding in embeddings.items():
            array = np.asarray(embedding, order="C")  # safetensors writes memory as it lies
            if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
                raise ValueError(f"embedding {name!r} has dtype {array.dtype}: give real numbers, say float64")
            plain[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
        data = save(plain)
        atomic_write(self.path / "embeddings.safetensors", lambda stream: stream.write(data))

    def read_embeddings(self) -> dict[str, NDArray[Any]]:
        """The arrays of embeddings.safetensors. Raises ValueError where it is absent or unreadable."""
        from safetensors.numpy import load_file

        path = self._present("embeddings.safetensors")
        return _guarded(path, lambda: dict(load_file(path)))

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        """Write scores.json. Raises TypeError or ValueError, with the old file kept, without a JSON form."""
        self._write("scores.json", to_json(scores, indent=2))

    def read_scores(self) -> dict[str, Any]:
        """What was written as scores. Raises ValueError where it is absent or unreadable."""
        return self._read_object("scores.json")

    def _write(self, name: str, text: str) -> None:
        atomic_write(self.path / name, lambda stream: stream.write(f"{text}\n".encode()))

    def _present(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise ValueError(f"{self.path} holds no {name}: the run did not get so far, so run it again")
        return path

    def _read_object(self, name: str) -> dict[str, Any]:
        path = self._present(name)
        content = _guarded(path, lambda: from_json(path.read_text(encoding="utf-8")))
        if not isinstance(content, dict):
            raise ValueError(f"{path} holds no JSON object: run it again with --overwrite")
        return content

    def _is_run(self) -> bool:
        try:
            return self._read_object("config.json").get(FORMAT_KEY) == FORMAT
        except ValueError:
            return False

    def _clear(self) -> None:
        """Remove what an earlier run wrote, by name, following no link and entering no other folder."""
        doomed = [self.path / name for name in FILES]
        doomed += [self.path / name for name in os.listdir(self.path) if _is_leftover(name)]
        if self.figures.is_dir() and not self.figures.is_symlink():
            figures = list(self.figures.iterdir())
            doomed += [file for file in figures if file.suffix in FIGURE_SUFFIXES]
            doomed += [file for file in figures if file.suffix == ".tmp" and file.name.startswith(".")]
        for file in doomed:
            file.unlink(missing_ok=True)


def atomic_write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Make `path` hold what `write` writes, or, whatever goes wrong, what it held before."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # same folder: replace needs it
    try:
        with temporary.open("xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Make `path` hold `text` in UTF-8, or what it held before; see atomic_write."""
    atomic_write(path, lambda stream: stream.write(text.encode()))


def _cannot_be_made(path: Path, error: OSError) -> ValueError:
    return ValueError(f"{path} cannot be made a run folder ({error.strerror or error}): give another --out")


def _is_leftover(name: str) -> bool:
    """Whether this is a temporary file of a run killed in the middle of a write."""
    return name.endswith(".tmp") and name.startswith(tuple(f".{file}." for file in ("config.json", *FILES)))


def _drop_cut_line(stream: BinaryIO) -> None:
    if not stream.seek(0, os.SEEK_END):
        return
    stream.seek(-1, os.SEEK_END)
    if stream.read(1) != b"\n":
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)


def _guarded(path: Path, read: Callable[[], T]) -> T:
    """read(), where whatever a damaged file makes a library raise becomes one ValueError."""
    try:
        return read()
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path} cannot be read ({reason}): run it again with --overwrite") from error
