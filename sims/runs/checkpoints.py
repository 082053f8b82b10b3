"""Checkpoints: a step's state in one safetensors file whose name carries its checksum.

    checkpoint/step-000000500.<first 32 hexadecimal digits of the file's SHA-256>.safetensors

A file appears under that name whole or not at all, so one whose bytes do not have the checksum was damaged afterwards.
The newest two are kept: if the last is damaged, the one before it is used.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk.files import Damage, atomic_write, is_temporary, own_folder, sha256_of
from ..disk.jsonio import from_json, to_json

FOLDER = "checkpoint"
KEPT = 2
DIGITS = 32  # of the checksum in the name: 128 bits
_NAME = re.compile(rf"step-(\d{{9,}})\.([0-9a-f]{{{DIGITS}}})\.safetensors")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a run needs to go on after ``step``: named arrays of plain numbers and named texts."""

    step: int
    arrays: Mapping[str, NDArray[Any]]
    texts: Mapping[str, str] = field(default_factory=dict)


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``checkpoint`` into ``folder`` (made if absent) and remove all but the newest two up to its step.

    Raises OSError, with every earlier checkpoint kept, where it cannot be written; ValueError for a link.
    """
    from safetensors.numpy import save

    own_folder(folder)
    arrays = {name: np.asarray(array, order="C") for name, array in checkpoint.arrays.items()}
    # One entry: safetensors writes several in any order, and equal states should be equal files. In memory rather than
    # by its save_file, which leaves files of random names behind when it is killed.
    data = save(arrays, {"texts": to_json(checkpoint.texts)})
    path = folder / f"step-{checkpoint.step:09d}.{sha256(data).hexdigest()[:DIGITS]}.safetensors"
    atomic_write(path, lambda stream: stream.write(data))
    _prune(folder, path, checkpoint.step)  # atomic_write has put the new one on the disk before an old one goes
    return path


@dataclass(frozen=True)
class Needs:
    """What a checkpoint must have so that a run can go on from it: no step beyond the ``last``, arrays of these
    ``shapes`` by name (None: any) and the named ``texts``."""

    last: int | None = None
    shapes: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict)
    texts: Collection[str] = ()


def usable_steps(folder: Path, needs: Needs = Needs()) -> list[int]:
    """The steps of the checkpoints in ``folder`` that have their checksum and what it ``needs``, newest first. Warns of
    each that has not."""
    found = []
    for step, path in _files(folder):
        amiss = _amiss(step, path, needs)
        if amiss is None:
            found.append(step)
        else:
            warnings.warn(f"{path} is damaged ({amiss}): an older state is used", Damage, stacklevel=2)
    return sorted(set(found), reverse=True)


def read_checkpoint(folder: Path, step: int) -> Checkpoint | None:
    """The checkpoint of ``step``, or None where there is none that has its checksum."""
    from safetensors import safe_open

    for found, path in _files(folder):
        if found == step and _amiss(step, path, Needs()) is None:
            with safe_open(path, framework="np") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
                texts = from_json(file.metadata()["texts"])
            return Checkpoint(step, arrays, texts)
    return None


def clear_checkpoints(folder: Path) -> None:
    """Remove every checkpoint in ``folder``, then the folder unless something else is in it. Links are not followed."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for name in os.listdir(folder):
        if _NAME.fullmatch(name) or is_temporary(name, ("step-",)):
            (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody else's files are in it
        folder.rmdir()


def _files(folder: Path) -> list[tuple[int, Path]]:
    """Every checkpoint file with its step, newest first."""
    if not folder.is_dir():
        return []
    matches = [(match, folder / match.string) for name in os.listdir(folder) if (match := _NAME.fullmatch(name))]
    return sorted(((int(match.group(1)), path) for match, path in matches), reverse=True)


def _amiss(step: int, path: Path, needs: Needs) -> str | None:
    """Why nothing can go on from the checkpoint ``path``; None where it can."""
    from safetensors import safe_open

    match = _NAME.fullmatch(path.name)
    try:
        if match is None or sha256_of(path)[:DIGITS] != match.group(2):
            return "its checksum does not hold"
        with safe_open(path, framework="np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no mapping)
            texts = from_json(file.metadata()["texts"])
    except OSError as error:
        return error.strerror or "it cannot be read"
    except Exception:  # safetensors' own error, and whatever a file that is none makes it raise
        return "its content is no checkpoint"
    if not isinstance(texts, dict):
        return "its content is no checkpoint"
    if needs.last is not None and step > needs.last:
        return f"its step is beyond the last, {needs.last}"
    for name, shape in needs.shapes.items():
        if name not in shapes or shape not in (None, shapes[name]):
            return f"its {name} {'has another shape' if name in shapes else 'is missing'}"
    lacking = [name for name in needs.texts if not isinstance(texts.get(name), str)]
    return f"its {lacking[0]} is missing" if lacking else None


def _prune(folder: Path, newest: Path, step: int) -> None:
    # A file of a later step is a damaged one, or of a course that was given up: the run is at ``step`` now.
    earlier = [path for found, path in _files(folder) if found < step]
    kept = {newest, *earlier[: KEPT - 1]}
    for name in os.listdir(folder):
        if folder / name not in kept and (_NAME.fullmatch(name) or is_temporary(name, ("step-",))):
            (folder / name).unlink(missing_ok=True)
