"""Files of a run whose rows are spread over processes: each writes its own, all into one folder.

    embeddings-rank-K.safetensors     the rows of process K: embedding and, untied, context
    checkpoint/rank-K/                its checkpoints (checkpoints.py)

A folder that all machines share holds everything; on disks of their own each machine has the files of its processes, to
be put together for ``runs.shards.read_shards``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.kernels.sharded.ring import ALIKE, Ring

from ..disk.files import atomic_write, sha256_of
from ..disk.jsonio import to_json
from ..runs.checkpoints import Checkpoint, Needs, clear_checkpoints, read_checkpoint, usable_steps, write_checkpoint
from ..runs.folder import RunDir
from ..runs.shards import SHARD, names_in

Arrays = Mapping[str, NDArray[Any]]

_RANK = re.compile(r"rank-(\d+)")


class ShardFiles:
    """The files of process ``ring.rank`` in the folder of the run that ``config`` (its JSON) describes."""

    def __init__(self, folder: RunDir, ring: Ring, config: str, device: Any) -> None:
        self.folder, self.ring, self.config, self.device = folder, ring, config, device
        self.checkpoints = folder.checkpoints / f"rank-{ring.rank}"

    def clear(self) -> None:
        """Remove the shard and the checkpoints that an earlier run left of this process, and process 0 those of
        processes that this world has not."""
        path = self.folder.path
        for name in names_in(path):
            if (match := SHARD.fullmatch(name)) and self._clears(int(match.group(1))):
                (path / name).unlink(missing_ok=True)
        for name in names_in(self.folder.checkpoints):
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

    def newest(self, last: int | None = None) -> Checkpoint | None:
        """This process's checkpoint of the newest step of which every process has one; None where there is no such
        step up to ``last``. Raises ValueError, on every process, for checkpoints of another run or of another number of
        processes."""
        steps = usable_steps(self.checkpoints, Needs(last, texts=("config", "processes")))
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
