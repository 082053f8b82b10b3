"""A run's folder: what was asked for, where it ran, and everything it measured.

config.json (enough to run it again), environment.json, resumed.jsonl (where and when it was taken up
again), metrics.jsonl (one JSON object a line, appended as the run goes), modes.npz,
embeddings.safetensors, scores.json, figures/, checkpoint/ and .lock. Every file but the two logs is
written whole or not at all: a reader, or a run killed halfway, never leaves or sees half of one.
SHA256SUMS (as sha256sum writes and checks it) holds the checksums of what is final; a listed file
that has changed since is never read.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..disk.files import atomic_write, guarded, is_temporary, own_folder, refuse_link, write_text
from ..disk.jsonio import from_json, to_json
from ..disk.jsonlog import JsonLog
from ..disk.lock import LOCK_FILE
from ..disk.sums import SUMS_FILE, read_sums, rewrite_sums, write_sums, wrong_sum
from .checkpoints import FOLDER as CHECKPOINTS
from .checkpoints import clear_checkpoints
from .environment import describe_environment

FORMAT_KEY = "fiedler_run"  # in config.json, so that no other program's config.json is taken for ours
FORMAT = 1
STARTED = ("config.json", "environment.json")
RESULTS = ("metrics.jsonl", "modes.npz", "embeddings.safetensors")  # of a finished run
FILES = ("environment.json", "resumed.jsonl", *RESULTS, "scores.json", "report.md")
PAGE = "report.html"  # what `fiedler report` makes of the folder, unless it is given another name
RESUME = "continue the run with --resume, which makes it again from the last checkpoint, or start over with --overwrite"
FIGURES = "figures"
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
        touch a folder that is not a run's, where the folder cannot be made, and where its figures/ is a
        symbolic link; ValueError or TypeError, with the folder as it was, where `config` has no JSON form.
        """
        run = RunDir(Path(path))
        text = config_text(config)  # before anything is removed
        RunDir.check(path, overwrite=overwrite)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run._clear()
            # Written over the old one, never removed first: the folder stays known as a run's.
            run._write_file("config.json", lambda stream: stream.write(text.encode()))
            run._write("environment.json", to_json(describe_environment(), indent=2))
            own_folder(run.figures)
            write_sums(run.path, STARTED)
        except OSError as error:
            raise _cannot_be_made(run.path, error) from error
        return run

    @staticmethod
    def check(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Refuse what `create` would refuse for what lies at `path`, with the same ValueError; changes nothing."""
        run = RunDir(Path(path))
        refuse_link(run.figures)
        try:
            found = sorted(name for name in os.listdir(run.path) if not _is_leftover(name) and name != LOCK_FILE)
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
        (run.path / LOCK_FILE).unlink(missing_ok=True)
        for folder in (run.figures, run.path):
            with contextlib.suppress(OSError):  # somebody else's files are in it
                folder.rmdir()

    @property
    def figures(self) -> Path:
        """The folder of the run's figures, made by `create`."""
        return self.path / FIGURES

    def clean(self) -> None:
        """Remove what killed writes left half done. Only for the holder of the folder's lock."""
        for name in os.listdir(self.path):
            if _is_leftover(name):
                (self.path / name).unlink(missing_ok=True)

    @property
    def checkpoints(self) -> Path:
        """The folder of the run's checkpoints, made by the first."""
        return self.path / CHECKPOINTS

    @property
    def finished(self) -> bool:
        """Whether every result is there with its checksum."""
        return all(self.is_final(name) for name in (*STARTED, *RESULTS))

    def is_final(self, name: str) -> bool:
        """Whether the file `name` is there with its checksum."""
        sums = read_sums(self.path)
        return name in sums and wrong_sum(self.path, name, sums) is None

    def seal(self) -> None:
        """List everything that is final, with its checksum: config.json, environment.json, results and scores. Call it
        when no more of them will change."""
        names = [*STARTED, *RESULTS, "scores.json"]
        write_sums(self.path, [name for name in names if (self.path / name).is_file()])

    def begin(self, config: Mapping[str, Any]) -> None:
        """Make an unfinished run's folder as `create` left it, results and logs aside: what was damaged of config.json
        and environment.json is written again, only these two have checksums, and no scores are left."""
        sums = read_sums(self.path)
        texts = {
            "config.json": lambda: config_text(config),
            "environment.json": lambda: f"{to_json(describe_environment(), indent=2)}\n",
        }
        for name, make in texts.items():
            if not (self.path / name).is_file() or wrong_sum(self.path, name, sums) is not None:
                write_text(self.path / name, make())
        own_folder(self.figures)
        write_sums(self.path, STARTED)
        (self.path / "scores.json").unlink(missing_ok=True)  # of results that are made again

    def read_config(self) -> dict[str, Any]:
        """What was given to `create`, as JSON kept it. Raises ValueError where it is unreadable."""
        config = self._read_object("config.json")
        config.pop(FORMAT_KEY, None)
        return config

    def read_environment(self) -> dict[str, Any]:
        """What the run ran on. Raises ValueError where it is absent or unreadable."""
        return self._read_object("environment.json")

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add one line to metrics.jsonl; see JsonLog. ``open_metrics`` is faster for many."""
        self.append("metrics.jsonl", record)

    def append(self, name: str, record: Mapping[str, Any]) -> None:
        """Add one line to the log `name`; see JsonLog."""
        self._unlist(name)
        with JsonLog(self.path / name) as log:
            log.append(record)

    def open_metrics(self) -> JsonLog:
        """metrics.jsonl, open for adding lines."""
        self._unlist("metrics.jsonl")
        return JsonLog(self.path / "metrics.jsonl")

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records in the order they were added; empty before the first.

        A last line without its end, cut short by a killed run, is left out. Raises ValueError,
        with the line's number, where any other is not a JSON object.
        """
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        records = []
        self._check_sum("metrics.jsonl")
        whole = guarded(path, path.read_bytes, RESUME).split(b"\n")[:-1]
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

        self._write_file("modes.npz", write)

    def read_modes(self) -> dict[str, NDArray[Any]]:
        """The arrays of modes.npz. Raises ValueError where it is absent or unreadable."""

        def read() -> dict[str, NDArray[Any]]:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}

        path = self._present("modes.npz")
        return guarded(path, read, RESUME)

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
        self._write_file("embeddings.safetensors", lambda stream: stream.write(data))

    def read_embeddings(self) -> dict[str, NDArray[Any]]:
        """The arrays of embeddings.safetensors. Raises ValueError where it is absent or unreadable."""
        from safetensors.numpy import load_file

        path = self._present("embeddings.safetensors")
        return guarded(path, lambda: dict(load_file(path)), RESUME)

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        """Write scores.json. Raises TypeError or ValueError, with the old file kept, without a JSON form."""
        self._write("scores.json", to_json(scores, indent=2))

    def read_scores(self) -> dict[str, Any]:
        """What was written as scores. Raises ValueError where it is absent or unreadable."""
        return self._read_object("scores.json")

    def _write(self, name: str, text: str) -> None:
        self._write_file(name, lambda stream: stream.write(f"{text}\n".encode()))

    def _write_file(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        self._unlist(name)
        atomic_write(self.path / name, write)

    def _unlist(self, name: str) -> None:
        """Take a file that will change off the list of checksums: killed between the two, it is unlisted, not wrong."""
        sums = read_sums(self.path)
        if sums.pop(name, None) is not None:
            rewrite_sums(self.path, sums)

    def _present(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise ValueError(f"{self.path} holds no {name}: the run did not get so far, so run it again")
        self._check_sum(name)
        return path

    def _check_sum(self, name: str) -> None:
        if (wrong := wrong_sum(self.path, name, read_sums(self.path))) is not None:
            raise ValueError(f"{wrong}: {RESUME}")

    def _read_object(self, name: str) -> dict[str, Any]:
        path = self._present(name)
        content = guarded(path, lambda: from_json(path.read_text(encoding="utf-8")), RESUME)
        if not isinstance(content, dict):
            raise ValueError(f"{path} holds no JSON object: run it again with --overwrite")
        return content

    def _is_run(self) -> bool:
        try:
            config = from_json((self.path / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return all(name in read_sums(self.path) for name in STARTED)  # damaged, but a run's
        return isinstance(config, dict) and config.get(FORMAT_KEY) == FORMAT

    def _clear(self) -> None:
        """Remove what an earlier run wrote, by name, following no link and entering no other folder."""
        (self.path / SUMS_FILE).unlink(missing_ok=True)  # first: nothing is final any more
        clear_checkpoints(self.checkpoints)
        doomed = [self.path / name for name in (*FILES, PAGE)]
        doomed += [self.path / name for name in os.listdir(self.path) if _is_leftover(name)]
        if self.figures.is_dir() and not self.figures.is_symlink():
            figures = list(self.figures.iterdir())
            doomed += [file for file in figures if file.suffix in FIGURE_SUFFIXES]
            doomed += [file for file in figures if file.suffix == ".tmp" and file.name.startswith(".")]
        for file in doomed:
            file.unlink(missing_ok=True)


def config_text(config: Mapping[str, Any]) -> str:
    """config.json of a run. Raises TypeError or ValueError where `config` has no JSON form."""
    return f"{to_json({**config, FORMAT_KEY: FORMAT}, indent=2)}\n"


def _cannot_be_made(path: Path, error: OSError) -> ValueError:
    return ValueError(f"{path} cannot be made a run folder ({error.strerror or error}): give another --out")


def _is_leftover(name: str) -> bool:
    """Whether this is a temporary file of a run killed in the middle of a write."""
    return is_temporary(name, tuple(f"{file}." for file in ("config.json", SUMS_FILE, *FILES)))
