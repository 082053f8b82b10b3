"""Guards: room on the disk before a run, and words for memory that runs out during one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiedler.theory import Graph

from .checkpoints import KEPT
from .snapshots import FRAMES, SNAPSHOT_BYTES

# A state at step 0 may lack the optimiser's two moments for each weight.
GROWTH = 3
# Two checkpoints and a third while it is written, and the final embeddings, no larger than a state.
COPIES = KEPT + 2
LOGS = 1 << 20  # a run's logs, config and figures
# Settings that memory grows with, by name.
LARGE = ("width", "edge_batch", "path_batch", "batch", "subjects")


def disk_bytes(states: Sequence[Mapping[str, NDArray[Any]]], groups: int) -> int:
    """An upper estimate of what runs write: ``states`` of one group of seeds at step 0, ``groups`` of the same size."""
    one = sum(array.nbytes for state in states for array in state.values())
    largest = max((array.nbytes for state in states for array in state.values()), default=0)
    snapshots = min(SNAPSHOT_BYTES, FRAMES * largest)  # of the embedding, which is one of them
    return groups * (GROWTH * COPIES * one + (COPIES * snapshots + LOGS) * len(states))


def check_disk(folder: Path, states: Sequence[Mapping[str, NDArray[Any]]], groups: int) -> None:
    """Raises ValueError where the disk of ``folder`` has no room for the runs."""
    needed, free = disk_bytes(states, groups), free_bytes(folder)
    if free is not None and free < needed:
        raise ValueError(
            f"the runs need up to {size(needed)} in {folder}, where {size(free)} are free: free some, or give another "
            "--out"
        )


def free_bytes(folder: Path) -> int | None:
    """Free bytes on the disk that ``folder`` is, or would be, on; None where the system does not say."""
    for path in (folder, *folder.absolute().parents):
        if path.exists():
            try:
                return shutil.disk_usage(path).free
            except OSError:
                return None
    return None


def says_out_of_memory(error: BaseException) -> bool:
    """Whether NumPy, torch's CPU allocator or CUDA says that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


@contextmanager
def memory_hint(
    doing: str, settings: Any, seeds: int = 1, graph: Graph | None = None, processes: int | None = None
) -> Iterator[None]:
    """Where memory runs out within the context, the MemoryError says what was done and what to lower: what of
    ``settings`` makes a step large, the number of ``seeds`` at once, the ``graph``; or to start more ``processes``."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not says_out_of_memory(error):
            raise
        lower = [f"{name} (now {value})" for name in LARGE if (value := getattr(settings, name, 0))]
        if seeds > 1:
            lower.append(f"the number of seeds (now {seeds})")
        if graph is not None:
            lower.append(f"the graph (now {graph.n} nodes, {size(8 * graph.n**2)} for each matrix of logits)")
        more = "" if processes is None else f", or start more processes (now {processes})"
        hint = MemoryError(f"out of memory {doing}: lower {' or '.join(lower)}{more}")
        for note in getattr(error, "__notes__", ()):
            hint.add_note(note)
        raise hint from error


def size(count: float) -> str:
    """A number of bytes as people read it: 512 B, 1.5 MB (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{np.round(count, 1)} TB"
