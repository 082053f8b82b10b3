"""Nodes that a target cannot tell apart, and what the optimum has in common on them.

For l = 0, nodes i, j with equal rows, columns and weights of T (which are no neighbours then) have K* x = 0 for
x = e_i - e_j: x is an eigenvector of K*, which the swap of i and j leaves alone; from K* without it f is convex along
xx', with slope zero since P and T there have equal rows and columns i, j; and K* is unique. So v_i = v_j. The slack
along x is exactly zero, which no gap resolves, and a column along it dies like 1/t only: a search does better without.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ..checks import Array
from ..softmax import check_row_weight, check_target


def twin_classes(target: ArrayLike, row_weight: ArrayLike | None = None) -> NDArray[np.int64]:
    """A label (n,) from 0 on, equal for nodes whose rows and columns of ``target`` (n, n) and weights agree exactly."""
    t = check_target(target)
    return twin_labels(sp.csr_array(t), check_row_weight(row_weight, len(t)))


def twin_labels(weighted: sp.csr_array, row_weight: Array) -> NDArray[np.int64]:
    """The same for a sparse target or diag(w) T, in order of the first node of each class."""
    rows, columns = sp.csr_array(weighted, copy=True), sp.csc_array(weighted)
    for matrix in (rows, columns):
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    seen: dict[tuple[bytes, ...], int] = {}
    labels = np.empty(len(row_weight), dtype=np.int64)
    for node in range(len(labels)):
        key = (*_entries(rows, node), *_entries(columns, node), row_weight[node].tobytes())
        labels[node] = seen.setdefault(key, len(seen))
    return labels


def averaged(x: Array, labels: NDArray[np.int64]) -> Array:
    """X (n, k) with the mean of each class in its rows."""
    counts = np.bincount(labels)
    if len(counts) == len(labels):
        return x
    member = sp.csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(len(counts), len(labels)))
    return np.asarray((member @ x / counts[:, None])[labels])


def _entries(matrix: sp.csr_array | sp.csc_array, line: int) -> tuple[bytes, bytes]:
    part = slice(matrix.indptr[line], matrix.indptr[line + 1])
    return matrix.indices[part].tobytes(), matrix.data[part].tobytes()
