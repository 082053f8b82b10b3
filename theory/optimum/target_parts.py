"""A target and its row weights as the linear maps that an optimum needs, dense or sparse, never densified.

T = S + e 11' with a sparse or dense S and one number e, so that a smoothed target of a large graph stays sparse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from ..checks import Array, check_smoothing
from ..softmax import ROW_SUM_TOLERANCE, check_target

DENSE_BELOW = 0.1  # part of the entries that are not zero from which a dense product is faster


@dataclass(frozen=True, eq=False)
class SmoothedTarget:
    """(1 - a) T + a 11'/n for a sparse row-stochastic ``target`` (n, n) and a ``smoothing`` a in [0, 1)."""

    target: sp.csr_array
    smoothing: float = 0.0


@dataclass(frozen=True, eq=False)
class TargetParts:
    """``matrix``: S, CSR or dense; ``uniform``: e."""

    matrix: Any  # CSR, or an array
    uniform: float

    @property
    def n(self) -> int:
        return int(self.matrix.shape[0])

    def dense(self) -> Array:
        """T as an array: only for graphs that fit."""
        return np.asarray((self.matrix.toarray() if sp.issparse(self.matrix) else self.matrix) + self.uniform)

    @cached_property
    def support(self) -> sp.csr_array:
        """S as CSR."""
        return self.matrix if sp.issparse(self.matrix) else sp.csr_array(self.matrix)

    @cached_property
    def positive_rows(self) -> Array:
        """Which rows have no zero in T."""
        counts = np.diff(self.support.indptr)
        return np.full(self.n, True) if self.uniform > 0 else np.asarray(counts == self.n)

    def entropies(self) -> Array:
        """H(T_i) (n,)."""
        s, e = self.support, self.uniform
        stored = sp.csr_array((-xlogy(s.data + e, s.data + e), s.indices, s.indptr), shape=s.shape)
        missing = self.n - np.diff(s.indptr)
        return np.asarray(stored.sum(axis=1) - missing * xlogy(e, e))

    def part(self, nodes: NDArray[np.integer]) -> TargetParts:
        """The rows and columns of ``nodes``; only where nothing leads out of them."""
        if sp.issparse(self.matrix):
            return TargetParts(sp.csr_array(self.matrix[nodes][:, nodes]), self.uniform)
        return TargetParts(self.matrix[np.ix_(nodes, nodes)], self.uniform)

    def weighted(self, w: Array) -> sp.csr_array:
        """diag(w) S as CSR."""
        return sp.csr_array(sp.diags_array(w) @ self.support)


def target_parts(target: ArrayLike | sp.sparray | SmoothedTarget) -> TargetParts:
    """The parts of a dense, sparse or smoothed target, checked to be row-stochastic.

    Raises ValueError as ``check_target``.
    """
    if isinstance(target, TargetParts):
        return target
    smoothing = 0.0
    if isinstance(target, SmoothedTarget):
        smoothing, target = check_smoothing(target.smoothing), target.target
    if not sp.issparse(target):
        t = check_target(target)
        sparse = np.count_nonzero(t) < DENSE_BELOW * t.size
        matrix = sp.csr_array(t) if sparse else t
        return TargetParts((1.0 - smoothing) * matrix if smoothing else matrix, smoothing / len(t))
    matrix = sp.csr_array(target).astype(np.float64)
    matrix.sum_duplicates()
    n = matrix.shape[0]
    if matrix.shape[0] != matrix.shape[1] or n == 0:
        raise ValueError(f"target must be a square matrix with at least one row; got shape {matrix.shape}")
    bad = ~np.isfinite(matrix.data) | (matrix.data < 0)
    rows = np.repeat(np.arange(n), np.diff(matrix.indptr))
    if bad.any():
        row = int(rows[np.flatnonzero(bad)[0]])
        raise ValueError(f"target row {row} holds a negative or non-finite entry; use probabilities")
    sums = np.asarray(matrix.sum(axis=1)).ravel()
    miss = np.abs(sums - 1.0)
    if miss.max() > ROW_SUM_TOLERANCE:
        row = int(miss.argmax())
        raise ValueError(f"target row {row} sums to {sums[row]:.6g}; divide each row by its sum (one_hop_target)")
    matrix.eliminate_zeros()
    return TargetParts(sp.csr_array((1.0 - smoothing) * matrix), smoothing / n)
