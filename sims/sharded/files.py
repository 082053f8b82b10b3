"""Files of a run whose rows are spread over processes: each writes its own, all into one folder.

    embeddings-rank-K.safetensors     the rows of process K: embedding and, untied, context
    checkpoint/rank-K/                its checkpoints (checkpoints.py)

A folder that all machines share holds everything; on disks of their own each machine has the files of its processes, to
be put together for ``read_shards``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.kernels.sharded.ring import ALIKE, Ring

from ..disk.files import atomic_write, guarded, sha256_of
from ..disk.jsonio import from_json, to_json
from ..disk.sums import read_sums, wrong_sum
from ..runs.checkpoints import Checkpoint, clear_checkpoints, read_checkpoint, usable_steps, write_checkpoint
from ..runs.folder import RunDir

Arrays = Mapping[str, NDArray[Any]]

_SHARD = re.compile(r"embeddings-rank-(\d+)\.safetensors")
_RANK = re.compile(r"rank-(\d+)")
LOST = "put the files of all processes into the folder, or go on with --resume, which writes them again"


class ShardFiles:
    """The files of process ``ring.rank`` in the folder of the run that ``config`` (its JSON) describes."""

    def __init__(self, folder: RunDir, ring: Ring, config: str, device: Any) -> None:
        self.folder, self.ring, self.config, self.device = folder, ring, config, device
        self.checkpoints = folder.checkpoints / f"rank-{ring.rank}"

    def clear(self) -> None:
        """Remove the shard and the checkpoints that an earlier run left of this process, and process 0 those of
        processes that this world has not."""
        path = self.folder.path
        for name in _names(path):
            if (match := _SHARD.fullmatch(name)) and self._clears(int(match.group(1))):
                (path / name).unlink(missing_ok=True)
        for name in _names(self.folder.checkpoints):
            if (match := _RANK.fullmatch(name)) and self._clears(int(match.group(1))):
                clear_checkpoints(self.folder.checkpoints / name)

    def _clears(self, rank: int) -> bool:
        return rank == self.ring.rank or (self.ring.rank == 0 and rank >= self.ring.world)

    def save(self, step: int, arrays: Arrays) -> None:
        """Write this process's checkpoint. An OSError of one process is one of all, older checkpoints kept."""
        texts = {"config": self.config, "processes": str(self.ring.world), "rank": str(self.ring.rank)}

        def write() -> None:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            write_checkpoint(self.checkpoints, Checkpoint(step, arrays, texts))

        self.ring.together(write, self.device)

    def newest(self) -> Checkpoint | None:
        """This process's checkpoint of the newest step of which every process has one; None where there is no such
        step. Raises ValueError, on every process, for checkpoints of another run or of another number of processes."""
        steps = usable_steps(self.checkpoints)
        found = read_checkpoint(self.checkpoints, steps[0]) if steps else None
        processes, error = None, None
        if found is not None:
            processes = int(found.texts["processes"])
            if processes == self.ring.world and found.texts["config"] != self.config:
                error = ValueError(
                    f"{self.checkpoints} holds checkpoints of another run: give its settings, another --out, or "
                    "--overwrite"
                )
        notes = self.ring.agree({"steps": steps, "processes": processes}, error, self.device)
        for note in notes:
            if note["processes"] not in (None, self.ring.world):
                other = ValueError(
                    f"{self.folder.checkpoints} holds a run of {note['processes']} processes and {self.ring.world} "
                    f"were started: start {note['processes']}, give another --out, or --overwrite"
                )
                other.add_note(ALIKE)
                raise other
        common = set.intersection(*(set(note["steps"]) for note in notes))
        return read_checkpoint(self.checkpoints, max(common)) if common else None

    def write_shard(self, first_row: int, arrays: Arrays) -> dict[str, str]:
        """Write the rows here, ``first_row`` and those after it. The checksums of all processes' files by name."""
        from safetensors.numpy import save

        name = f"embeddings-rank-{self.ring.rank}.safetensors"
        path = self.folder.path / name
        place = {"first_row": first_row, "rank": self.ring.rank, "processes": self.ring.world}
        # One text: safetensors writes several in an order of its own, and the same rows should be the same bytes.
        data = save({key: np.asarray(array, order="C") for key, array in arrays.items()}, {"shard": to_json(place)})
        self.ring.together(lambda: atomic_write(path, lambda stream: stream.write(data)), self.device)
        notes = self.ring.agree({"name": name, "sum": sha256_of(path)}, None, self.device)
        return {note["name"]: note["sum"] for note in notes}


def read_shards(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """The whole ``embedding`` (n, m) and, untied, ``context`` (n, m) of a finished run whose folder is ``path``.

    Raises ValueError for shards that are missing, damaged or of different worlds.
    """
    from safetensors import safe_open

    folder = Path(path)
    sums = read_sums(folder)
    shards: list[tuple[int, int, dict[str, NDArray[Any]]]] = []
    for name in _names(folder):
        if not _SHARD.fullmatch(name):
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


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
