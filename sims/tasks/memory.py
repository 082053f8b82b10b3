"""What matrices of all pairs of nodes take, said before they are made."""

from __future__ import annotations

import contextlib
from pathlib import Path

from .task import DENSE_NODES

CGROUP = Path("/sys/fs/cgroup")


def check_pairs(nodes: int, matrices: int, what: str) -> None:
    """Raises ValueError where ``matrices`` of float64 of all pairs of so many ``nodes`` exceed the memory that is free,
    as far as the system says. ``what``: of what they are, for the message."""
    if nodes <= DENSE_NODES:
        return
    needed, free = 8 * matrices * nodes**2, free_memory()
    if free is not None and needed > free:
        raise ValueError(
            f"{what} of {nodes} nodes takes {needed / 1e9:.1f} GB, all pairs of nodes in float64, and "
            f"{free / 1e9:.1f} GB of memory are free: take a smaller graph, fewer seeds, or `python -m "
            "fiedler.sims.sharded`, which holds no pairs"
        )


def free_memory() -> int | None:
    """Bytes that a process may still take, of the machine and of its control group; None where nothing says so."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with contextlib.suppress(OSError, ValueError):
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        found.append(max(0, limit - used))
    return min(found, default=None)
