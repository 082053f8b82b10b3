"""One pass over the rows of a softmax by blocks: no n x n array, whatever n is.

    Z_ij = v_i . u_j + c_j,    P = row-softmax(Z)   ->   sum_i w_i lse(Z_i),  P U,  P' diag(w) V,  P' w

Each worker thread owns one block of rows at a time and its own sums, which are added in a fixed order: the result does
not depend on timing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike

from ..checks import Array
from .threads import one_blas_thread, worker_threads

BLOCK_ENTRIES = 1 << 22  # of one block of logits, 32 megabytes of float64: products of fewer rows are slower
MOST_ROWS = 512
ONE_THREAD_BELOW = 400  # nodes: the whole pass is shorter than waking a second thread
# Seconds on one core of a column of one pair of nodes in a pass, and an exponential beside it, in columns.
PAIR_WORK, EXPONENTIAL = 1.8e-10, 66


class Stopped(Exception):
    """A computation was asked to end; what it had is to be returned by who started it."""


class RowSums(NamedTuple):
    """``lse``: sum_i w_i lse(Z_i). ``right`` (n, r): diag(w) PU. ``left`` (m, r): P' diag(w) V. ``mass`` (m,): P' w.

    Where V is U and there is no c, ``right`` may hold the sum of both, ``left`` zero and ``mass`` nothing: that is what
    tied logits need.
    """

    lse: float
    right: Array
    left: Array
    mass: Array


class RowPass(Protocol):
    """What computes the sums: ``softmax_pass``, or another that keeps its promises, on another device, say."""

    def __call__(
        self, v: Array, u: Array, c: Array | None, w: Array, *, dtype: DTypeLike, check: Callable[[], None] | None
    ) -> RowSums: ...


def pass_work(n: int, columns: float) -> float:
    """About how many seconds a pass over n nodes and so many ``columns`` takes on one core."""
    return PAIR_WORK * float(n) ** 2 * (columns + EXPONENTIAL)


def block_rows(columns: int) -> int:
    """How many rows of ``columns`` logits make a block."""
    return int(np.clip(BLOCK_ENTRIES // max(columns, 1), 16, MOST_ROWS))


def softmax_pass(
    v: Array,
    u: Array,
    c: Array | None,
    w: Array,
    *,
    dtype: DTypeLike = np.float64,
    check: Callable[[], None] | None = None,
) -> RowSums:
    """The sums for V (n, r), U (m, r), c (m,) or None, w (n,). ``dtype``: of the logits; the sums are float64.

    ``check`` is called between blocks of one thread, and may raise to end the pass.
    """
    n, m = len(v), len(u)
    left_factor, right_factor = v.astype(dtype, copy=False), u.astype(dtype, copy=False)
    offset = None if c is None else c.astype(dtype, copy=False)
    right = np.empty(v.shape)
    rows = block_rows(m)
    starts = range(0, n, rows)

    def work(mine: range, *, ask: bool) -> tuple[float, Array, Array]:
        buffer = np.empty((min(rows, n), m), dtype=dtype)
        total, left, mass = 0.0, np.zeros(u.shape), np.zeros(m)
        for start in mine:
            if ask and check is not None:
                check()
            block, weight = left_factor[start : start + rows], w[start : start + rows]
            z = buffer[: len(block)]
            np.matmul(block, right_factor.T, out=z)
            if offset is not None:
                z += offset
            top = z.max(axis=1, keepdims=True)
            z -= top
            np.exp(z, out=z)
            sums = z.sum(axis=1, dtype=np.float64)
            total += float(weight @ (np.log(sums) + top[:, 0]))
            scale = weight / sums
            right[start : start + rows] = (z @ right_factor) * scale[:, None]
            left += z.T @ (v[start : start + rows] * scale[:, None]).astype(dtype, copy=False)
            mass += scale.astype(dtype, copy=False) @ z
        return total, left, mass

    pool, workers = worker_threads()
    workers = min(workers, len(starts)) if n >= ONE_THREAD_BELOW else 1
    with one_blas_thread():
        if workers == 1:
            parts = [work(starts, ask=True)]
        else:
            parts = [
                job.result() for job in [pool.submit(work, starts[k::workers], ask=k == 0) for k in range(workers)]
            ]
    total, left, mass = parts[0]
    for other in parts[1:]:
        total, left, mass = total + other[0], left + other[1], mass + other[2]
    return RowSums(total, right, left, mass)
