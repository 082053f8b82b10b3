"""The tied and untied objectives on the blocks of a graph's symmetry, with their derivatives.

    phi = (L + l tr K) / total weight  over  y = (svec of the blocks M_b, bias),     K = sum_c x_c A_c
    L = sum_a N_a w_a [ log sum_c k_c exp(z_c) - sum_c k_c t_c z_c ],   z_c = x_c + bias of c's column type,

node type a with N_a nodes of weight w_a, colours c of its rows with valency k_c and target t_c. The bias is there for
l = 0 only; then the constant vector is taken out of the trivial block, and the bias has mean zero over nodes.

Untied (l > 0): l ||Z||_* is the least (l/2) tr M over M = [[., Z], [Z', .]] >= 0, so the same program over blocks of
twice the size, M_b (2 d_b, 2 d_b) with Z's block in the upper right corner and penalty (l/2) tr M, is the untied one.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import null_space

from ..checks import Array, check_vector
from ..softmax import ROW_SUM_TOLERANCE
from .blocks import BlockAlgebra, check_algebra


def check_colour_target(algebra: BlockAlgebra, target: ArrayLike) -> Array:
    """A target (q,) on the algebra's colours whose rows sum to one, as float64; ValueError otherwise."""
    t = check_vector(target, "target", check_algebra(algebra).colours)
    if (t < 0).any():
        raise ValueError(f"target holds {t.min():.6g} for colour {int(t.argmin())}; use probabilities")
    sums = np.bincount(algebra.row_type, weights=algebra.valency * t, minlength=len(algebra.type_sizes))
    worst = int(np.abs(sums - 1).argmax())
    if abs(sums[worst] - 1) > ROW_SUM_TOLERANCE:
        raise ValueError(f"the target's rows must sum to one; got {sums[worst]:.6g}")
    return t


class ReducedProblem:
    """phi and what is needed to read its variables; arrays over colours have length q."""

    def __init__(
        self, algebra: BlockAlgebra, target: Array, row_weight: Array, weight_decay: float, *, tied: bool = True
    ) -> None:
        self.algebra, self.target, self.row_weight, self.decay = algebra, target, row_weight, weight_decay
        self.tied = tied
        self.total = float(algebra.type_sizes @ row_weight)
        self.row_mass = algebra.type_sizes * row_weight / self.total
        self.rows = [np.flatnonzero(algebra.row_type == a) for a in range(len(algebra.type_sizes))]
        self.frame = null_space(algebra.constant()[None]) if weight_decay == 0 else np.eye(algebra.dimensions[0])
        if tied:
            self.bases = (self.frame.T @ algebra.basis[0] @ self.frame, *algebra.basis[1:])
        else:
            self.bases = tuple(_upper_right(basis) for basis in algebra.basis)
        self.dimensions = [basis.shape[1] for basis in self.bases]
        # Blocks count as often as they are repeated: slopes in them then have the size of S whatever n is.
        self.weights = [m / algebra.n for m in algebra.multiplicity]
        free = null_space(algebra.type_sizes[None]) if weight_decay == 0 else np.zeros((len(row_weight), 0))
        self.bias_frame = free
        counts = [float(m) for m in algebra.multiplicity]
        columns = [
            _against_svec(basis) * (m / algebra.class_sizes)[:, None]
            for m, basis in zip(counts, self.bases, strict=True)
        ]
        self.logits_of = np.hstack([*columns, free[algebra.column_type]])
        share = weight_decay / self.total * (1.0 if tied else 0.5)
        traces = [share * m * svec(np.eye(d)) for m, d in zip(counts, self.dimensions, strict=True)]
        self.penalty = np.concatenate([*traces, np.zeros(free.shape[1])])
        ends = np.cumsum([0, *(d * (d + 1) // 2 for d in self.dimensions)])
        self.pieces = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self.free_from = int(ends[-1])

    def join(self, blocks: list[Array], free: Array) -> Array:
        """y from its parts."""
        return np.concatenate([*(svec(b) for b in blocks), free])

    def value(self, y: Array) -> float:
        return self.loss(self.logits_of @ y) + float(self.penalty @ y)

    def loss(self, z: Array) -> float:
        """L / total weight at logits z (q,)."""
        total = 0.0
        for mass, c in zip(self.row_mass, self.rows, strict=True):
            top = z[c].max()
            lse = top + np.log(self.algebra.valency[c] @ np.exp(z[c] - top))
            total += mass * (lse - (self.algebra.valency[c] * self.target[c]) @ z[c])
        return float(total)

    def gradient(self, y: Array) -> Array:
        mass = self.masses(self.logits_of @ y)
        slopes = self.row_mass[self.algebra.row_type] * (mass - self.algebra.valency * self.target)
        return np.asarray(self.logits_of.T @ slopes + self.penalty)

    def hessian(self, y: Array) -> Array:
        mass = self.masses(self.logits_of @ y)
        centred = np.empty_like(self.logits_of)
        for row, c in zip(self.row_mass, self.rows, strict=True):
            # Centred before squaring: the difference of two second moments would lose the small variances.
            centred[c] = (self.logits_of[c] - mass[c] @ self.logits_of[c]) * np.sqrt(row * mass[c])[:, None]
        return np.asarray(centred.T @ centred)

    def masses(self, z: Array) -> Array:
        """k_c P_c: the probability that a row of c's row type puts on all its entries of colour c."""
        mass = np.empty_like(z)
        for c in self.rows:
            shifted = self.algebra.valency[c] * np.exp(z[c] - z[c].max())
            mass[c] = shifted / shifted.sum()
        return mass

    def slopes(self, gradient: Array) -> list[Array]:
        """The gradient in each block, in units of its weight."""
        return [smat(gradient[piece]) / nu for piece, nu in zip(self.pieces, self.weights, strict=True)]


def svec(matrix: Array) -> Array:
    """The upper triangle of a symmetric matrix, off-diagonal entries times sqrt(2): <A, B> = svec A . svec B."""
    i, j = np.triu_indices(len(matrix))
    return np.asarray(matrix[i, j] * np.where(i == j, 1.0, np.sqrt(2.0)))


def smat(vector: Array) -> Array:
    """The inverse of ``svec``."""
    d = int((np.sqrt(8 * len(vector) + 1) - 1) / 2)
    i, j = np.triu_indices(d)
    out = np.zeros((d, d))
    out[i, j] = out[j, i] = vector * np.where(i == j, 1.0, np.sqrt(0.5))
    return out


def _upper_right(basis: Array) -> Array:
    """[[0, B], [0, 0]] for every B (q, d, d): <M, .> is then <upper right corner of M, B>."""
    d = basis.shape[1]
    out = np.zeros((len(basis), 2 * d, 2 * d))
    out[:, :d, d:] = basis
    return out


def _against_svec(basis: Array) -> Array:
    """<M, B[c]> = row c . svec M for symmetric M."""
    i, j = np.triu_indices(basis.shape[1])
    scale = np.where(i == j, 0.5, np.sqrt(0.5))
    return np.asarray((basis[:, i, j] + basis[:, j, i]) * scale)
