"""The two training objectives as functions of a stacked factor F and of column masses b, with exact gradients.

Tied: F = V (n, r), objective L(VV' + 1a') + l ||V||^2. Without decay the column bias a is free, and is held as
b_j = a_j + |v_j|^2 / 2, in which P_ij is proportional to exp(b_j - |v_i - v_j|^2 / 2): a Gaussian kernel around each
node. It does not change when every v moves by the same vector, and a stretched embedding does not move the masses;
in (V, a) both would. (Stochastic neighbour embedding of Hinton and Roweis, 2002, with masses.) With decay b is empty.
Untied: F = V stacked over U (2n, r), objective L(VU') + l/2 (||V||^2 + ||U||^2); no masses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray
from scipy.sparse.linalg import LinearOperator, eigsh, svds

from ..checks import DENSE_LIMIT, Array
from ..softmax import row_softmax
from .row_pass import RowPass, RowSums, softmax_pass
from .target_parts import DENSE_BELOW, TargetParts
from .threads import symmetric_eigen
from .twins import averaged, twin_labels

DENSE_SPECTRUM = DENSE_LIMIT  # nodes up to which all eigenvectors are found, which takes seconds there
DENSE_UP_TO = 150  # nodes: where a sparse product is only overhead
# Columns of the start: n up to FULL_RANK_LIMIT nodes, COLUMNS_PER_ROOT sqrt(n) above, at most MOST_COLUMNS. More are
# opened where the certificate asks for them.
FULL_RANK_LIMIT = 60
COLUMNS_PER_ROOT = 3.0
MOST_COLUMNS = 150
WIDE_UP_TO, NARROW = 4000, 64  # nodes from which a start is narrow, since each column costs n^2 in every pass


class Objective(ABC):
    """A smooth function of (F, b). ``value`` and gradients are of the sum over rows, not their mean."""

    masses: bool  # whether b is there

    def __init__(self, target: TargetParts, row_weight: Array, weight_decay: float) -> None:
        self.target, self.w, self.decay = target, row_weight, weight_decay
        self.n, self.scale = target.n, float(row_weight.sum())
        weighted = target.weighted(row_weight)
        dense = self.n <= DENSE_UP_TO or weighted.nnz >= DENSE_BELOW * self.n**2
        self.wt: Any = weighted.toarray() if dense else weighted
        self.sparse_wt = weighted
        self.columns = np.asarray(weighted.sum(axis=0)).ravel() + target.uniform * self.scale
        self.dtype: DTypeLike = np.float64  # of the logits of a pass
        self.check: Callable[[], None] | None = None
        self.row_pass: RowPass = softmax_pass
        # Of a bound without n x n arrays: what its eigenvalues may miss, and how long they may take.
        self.accuracy, self.seconds = 0.0, np.inf

    def times_target(self, x: Array) -> Array:
        """diag(w) T X."""
        return np.asarray(self.wt @ x) + self.target.uniform * np.outer(self.w, x.sum(axis=0))

    def times_transpose(self, x: Array) -> Array:
        """T' diag(w) X."""
        return np.asarray(self.wt.T @ x) + self.target.uniform * (self.w @ x)

    @property
    def rows(self) -> int:
        """Of F."""
        return self.n

    @abstractmethod
    def halves(self, f: Array) -> tuple[Array, Array]:
        """V and U of the logits VU' (+ a)."""

    @abstractmethod
    def start(self, rank: int) -> tuple[Array, Array]:
        """A generic starting point (F, b): leading directions of growth at zero logits."""

    @abstractmethod
    def evaluate(self, f: Array, b: Array) -> tuple[float, Array, Array]:
        """Value and gradient."""

    @abstractmethod
    def penalty(self, f: Array) -> float: ...

    @abstractmethod
    def at_zero(self) -> LinearOperator:
        """R + R' (tied), R (untied) at zero logits, where P is uniform: how embeddings grow from nothing."""

    def softmax(self, f: Array, b: Array) -> Array:
        """P (n, n) at (F, b)."""
        v, u = self.halves(f)
        a = self.column_bias(f, b)
        return row_softmax(v @ u.T + (0.0 if a is None else a))

    def residual(self, p: Array) -> Array:
        """R = diag(w) (T - P) (n, n)."""
        return self.times_target(np.eye(self.n)) - self.w[:, None] * p

    def centred(self, f: Array, b: Array) -> tuple[Array, Array]:
        """The same logits with the free constants removed."""
        return f, b

    def alike(self, f: Array) -> Array:
        """F with equal rows where the optimum is known to have them (``twins``)."""
        return f

    def column_bias(self, f: Array, b: Array) -> Array | None:
        """a of the logits, or None."""
        return None

    def _pass(self, v: Array, u: Array, c: Array | None) -> RowSums:
        return self.row_pass(v, u, c, self.w, dtype=self.dtype, check=self.check)


class TiedObjective(Objective):
    def __init__(self, target: TargetParts, row_weight: Array, weight_decay: float) -> None:
        super().__init__(target, row_weight, weight_decay)
        self.masses = weight_decay == 0
        self.symmetric: Any = self.wt + self.wt.T
        if sp.issparse(self.symmetric):
            self.symmetric = sp.csr_array(self.symmetric)

    def halves(self, f: Array) -> tuple[Array, Array]:
        return f, f

    @cached_property
    def twins(self) -> NDArray[np.int64]:
        return twin_labels(self.sparse_wt, self.w)

    def alike(self, f: Array) -> Array:
        return averaged(f, self.twins) if self.masses else f

    def times_symmetric(self, x: Array) -> Array:
        """(diag(w) T + T' diag(w)) X."""
        both = np.asarray(self.symmetric @ x)
        if self.target.uniform:
            both += self.target.uniform * (np.outer(self.w, x.sum(axis=0)) + self.w @ x)
        return both

    def at_zero(self) -> LinearOperator:
        n, flat = self.n, self.target.uniform - 1.0 / self.n  # zero logits: R = wT - w 1'/n
        return LinearOperator(
            (n, n), matvec=lambda x: self.symmetric @ x + flat * (self.w * x.sum() + self.w @ x), dtype=np.float64
        )

    def start(self, rank: int) -> tuple[Array, Array]:
        n, e = self.n, self.target.uniform
        flat = e - 1.0 / n  # zero logits: R = wT - w 1'/n
        if n <= DENSE_SPECTRUM:
            s = (self.symmetric.toarray() if sp.issparse(self.symmetric) else self.symmetric.copy()) + flat * (
                self.w[:, None] + self.w
            )
            modes = symmetric_eigen(s, subset_by_index=[n - min(rank, n), n - 1])[1]
        else:
            first = np.random.default_rng(0).standard_normal(n)
            modes = eigsh(self.at_zero(), k=min(rank, n - 1), which="LA", v0=first, tol=1e-2)[1]
        f = modes[:, ::-1]
        return self.centred(f, np.log(np.maximum(self.columns, 1e-6 * self.scale / n)) if self.masses else np.zeros(0))

    def centred(self, f: Array, b: Array) -> tuple[Array, Array]:
        return (f - f.sum(axis=0) / len(f), b - b.sum() / len(b)) if self.masses else (f, b)

    def column_bias(self, f: Array, b: Array) -> Array | None:
        return b - (f * f).sum(axis=1) / 2 if self.masses else None

    def penalty(self, f: Array) -> float:
        return self.decay * float((f * f).sum())

    def evaluate(self, f: Array, b: Array) -> tuple[float, Array, Array]:
        a = self.column_bias(f, b)
        sums = self._pass(f, f, a)
        pull = self.times_symmetric(f)
        value = sums.lse - float((f * pull).sum()) / 2 + self.penalty(f)
        df = sums.right + sums.left - pull
        if a is None:
            return value, df + 2 * self.decay * f, np.zeros(0)
        da = sums.mass - self.columns
        return value - float(self.columns @ a), df - da[:, None] * f, da


class UntiedObjective(Objective):
    masses = False

    @property
    def rows(self) -> int:
        return 2 * self.n

    def halves(self, f: Array) -> tuple[Array, Array]:
        return f[: self.n], f[self.n :]

    def at_zero(self) -> LinearOperator:
        n, flat = self.n, self.target.uniform - 1.0 / self.n
        return LinearOperator(
            (n, n),
            matvec=lambda x: self.wt @ x.ravel() + flat * self.w * x.sum(),  # svds hands columns (n, 1)
            rmatvec=lambda x: self.wt.T @ x.ravel() + flat * (self.w @ x.ravel()),
            dtype=np.float64,
        )

    def start(self, rank: int) -> tuple[Array, Array]:
        n, flat = self.n, self.target.uniform - 1.0 / self.n
        if n <= DENSE_SPECTRUM:
            whole = self.wt.toarray() if sp.issparse(self.wt) else self.wt
            left, _, right = np.linalg.svd(whole + flat * self.w[:, None])
            left, right = left[:, :rank], right[:rank].T
        else:
            first = np.random.default_rng(0).standard_normal(n)
            left, _, transposed = svds(self.at_zero(), k=min(rank, n - 1), v0=first, tol=1e-2)
            left, right = left[:, ::-1], transposed[::-1].T
        return np.concatenate([left, right]), np.zeros(0)

    def penalty(self, f: Array) -> float:
        return self.decay / 2 * float((f * f).sum())

    def evaluate(self, f: Array, b: Array) -> tuple[float, Array, Array]:
        v, u = self.halves(f)
        sums = self._pass(v, u, None)
        pull = self.times_target(u)
        value = sums.lse - float((v * pull).sum()) + self.penalty(f)
        df = np.concatenate([sums.right - pull, sums.left - self.times_transpose(v)]) + self.decay * f
        return value, df, b


def start_rank(n: int) -> int:
    """The number of columns that the solver starts with."""
    if n > WIDE_UP_TO:
        return NARROW
    return n if n <= FULL_RANK_LIMIT else min(n, MOST_COLUMNS, round(COLUMNS_PER_ROOT * np.sqrt(n)))
