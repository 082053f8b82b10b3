"""Which rows of a matrix lie on which process, and how a process makes its own without the others.

Process r of p holds n // p consecutive rows, one more if r < n % p.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..models.node2vec import Node2VecSettings

SKIPPED_AT_ONCE = 1 << 16  # numbers, half a megabyte: they stay in the cache


def row_sizes(n: int, processes: int) -> tuple[int, ...]:
    """Rows of every process. Raises ValueError for fewer than one process."""
    if processes < 1:
        raise ValueError(f"a world has at least one process; got {processes}")
    return tuple(n // processes + (rank < n % processes) for rank in range(processes))


def row_range(n: int, processes: int, rank: int) -> range:
    """The rows of process ``rank``."""
    starts = [*accumulate(row_sizes(n, processes), initial=0)]
    return range(starts[rank], starts[rank + 1])


def initial_rows(
    n: int, settings: Node2VecSettings, seed: int, rows: range, dtype: DTypeLike = np.float64
) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    """These rows of V(0), and of U(0) when untied: the very numbers of ``initial_embedding``, rounded to ``dtype``.

    NumPy's normal numbers take a varying number of random ones each, so a later row cannot be jumped to: everything
    before it is drawn and dropped, ten nanoseconds a number (two minutes for 10^8 rows of width 128, once a run),
    in constant memory. Raises ValueError for orthogonal rows, which take the whole matrix.
    """
    if settings.init != "gaussian":
        raise ValueError(f"init {settings.init!r} needs the whole matrix on one process; use gaussian for shards")
    rng = np.random.default_rng(seed)
    _skip(rng, rows.start * settings.width)
    embedding = _take(rng, len(rows), settings, dtype)
    if settings.tied:
        return embedding, None
    _skip(rng, (n - len(rows)) * settings.width)
    return embedding, _take(rng, len(rows), settings, dtype)


def _skip(rng: np.random.Generator, count: int) -> None:
    room = np.empty(min(count, SKIPPED_AT_ONCE))
    while count:
        drawn = room[: min(count, SKIPPED_AT_ONCE)]
        rng.standard_normal(out=drawn)
        count -= len(drawn)


def _take(rng: np.random.Generator, rows: int, settings: Node2VecSettings, dtype: DTypeLike) -> NDArray[np.floating]:
    taken = np.empty((rows, settings.width), dtype=dtype)
    at_once = max(1, SKIPPED_AT_ONCE // settings.width)
    for first in range(0, rows, at_once):
        block = taken[first : first + at_once]
        block[:] = settings.init_std * rng.standard_normal(block.shape)
    return taken
