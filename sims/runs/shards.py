"""The rows of a finished sharded run, read from the files of all its processes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..disk.files import guarded
from ..disk.jsonio import from_json
from ..disk.sums import read_sums, wrong_sum

SHARD = re.compile(r"embeddings-rank-(\d+)\.safetensors")
LOST = "put the files of all processes into the folder, or go on with --resume, which writes them again"


def read_shards(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """The whole ``embedding`` (n, m) and, untied, ``context`` (n, m) of a finished run whose folder is ``path``.

    Raises ValueError for shards that are missing, damaged or of different worlds.
    """
    from safetensors import safe_open

    folder = Path(path)
    sums = read_sums(folder)
    shards: list[tuple[int, int, dict[str, NDArray[Any]]]] = []
    for name in names_in(folder):
        if not SHARD.fullmatch(name):
            continue
        if (wrong := wrong_sum(folder, name, sums)) is not None:
            raise ValueError(f"{wrong}: {LOST}")

        def read(shard: Path = folder / name) -> tuple[int, int, dict[str, NDArray[Any]]]:
            with safe_open(shard, framework="np") as file:
                place = from_json(file.metadata()["shard"])
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            return place["first_row"], place["processes"], arrays

        shards.append(guarded(folder / name, read, LOST))
    shards.sort(key=lambda shard: (shard[0], len(shard[2]["embedding"])))
    first = 0
    for start, processes, arrays in shards:
        if start != first or processes != len(shards):
            raise ValueError(f"{folder} holds {len(shards)} shards of {processes}: {LOST}")
        first += len(arrays["embedding"])
    if not shards:
        raise ValueError(f"{folder} holds no embeddings-rank-K.safetensors: {LOST}")
    return {key: np.concatenate([arrays[key] for _, _, arrays in shards]) for key in shards[0][2]}


def names_in(folder: Path) -> list[str]:
    """Sorted; none where there is no such folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def has_shards(folder: Path) -> bool:
    """Whether a sharded run has left rows in ``folder``."""
    return any(SHARD.fullmatch(name) for name in names_in(folder))
