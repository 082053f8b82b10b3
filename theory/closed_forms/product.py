"""The tied optimum on Cartesian products of cycles and complete graphs: one scalar per factor, and its proof.

Cycles, tori of any sides, hypercubes and Hamming graphs. Nodes are digits (i_1, ..., i_d), last fastest. With step
probability s_a along factor a (2 / degree for a cycle, (q - 1) / degree for K_q; a self-edge adds one to the degree),
first non-constant mode e_a of factor a, and its zonal function x_a, x_a(0) = 1,

    K_ij = sum_a k_a x_a(i_a - j_a),   x_a(j) = cos(2 pi j / n_a)   or   x_a(j) = (q [j = 0] - 1) / (q - 1),
    mean of 1 - x_a under exp(k_a x_a)  =  e_a + alpha (1 - e_a) + lambda,   e_a = 1 - T(e_a) = s_a (1 - x_a(1)),

and k_a = 0 where the right-hand side is one or more. The left side falls strictly from 1 to 0 as k_a grows: one
solution. Complete factors, with c = k q / (q - 1) and r = 1 - right-hand side: c = ln((1 + (q - 1) r) / (1 - r)).

Proof. The problem is convex, so the KKT conditions suffice. The softmax of a sum over factors is a product of
softmaxes, P = (x) P_a, and T, P, K, S share the characters k = (k_1, ..., k_d): off the constant mode
S(k) = (1 - alpha) (1 - sum_a e_a(k_a)) - prod_a P_a(k_a). Stationarity, S(e_a) = lambda where k_a > 0, is the equation
above. Left is S <= lambda elsewhere.

lambda = alpha = 0: always true. (i) One factor: P_a(k) >= 1 - e_a(k). Complete: equal, or P_a = 0 >= 1 - e_a.
Cycle of n, t = pi / n, a_m = sin(k m t) / sin(m t) for 0 < k, m < n: the matrix U_{k-1}(A/2), A the path of n - 1
nodes, has entries 0 and 1 (Clebsch-Gordan), eigenvalues a_m and the positive eigenvector sin(j t) for m = 1, so
|a_m| <= a_1 (Perron-Frobenius). Hence the line through (1, 1) and (x_1, cos 2kt) over x = cos 2jt lies below cos 2kjt
at every j, the slope to j being a_{j-1} a_{j+1} <= a_1^2; take means: P_a(k) >= 1 - a_1^2 e_a(1) = 1 - e_a(k). (A cycle
with k_a = 0 has T(e_a) <= 0, that is n <= 4 and d = 1, where all 1 - e(k) <= 0 = P.) (ii) P_a(k) lies in [0, 1]: the
Fourier coefficients of exp(k_a x_a) are sums of Bessel I_m >= 0. So prod_a P_a >= 1 - sum_a (1 - P_a) >= 1 - sum_a e_a.

With decay or smoothing the last step can fail, and then more modes are active: on long cycles it does, but for tiny
lambda, alpha or lambda above the second mode of T. All modes are therefore checked, and None is returned on failure.
The optimum is zero exactly when lambda >= (1 - alpha) max_a (1 - e_a). It is unique: the loss is strictly convex in the
centred K, and with a decay K keeps no constant part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, log1p, pi, prod, sin
from typing import Literal, TypeAlias

import numpy as np
from scipy.optimize import brentq

from ..checks import Array

Factor: TypeAlias = tuple[Literal["cycle", "complete"], int]

UNDERFLOW = 745.0  # exp(-745) is the smallest float64: what is left out of the sums is zero
MODE_LIMIT = 20_000_000  # characters looked at for the KKT check: a few arrays of 160 MB

AT_THRESHOLD = 1e-14  # 1 - right-hand side, below which it is rounding of zero: C_4, decay at the threshold

# An unproved form is accepted when S exceeds lambda by at most this fraction of the smallest e_a, the scale of S.
ACCEPTED_EXCESS = 1e-8


@dataclass(frozen=True)
class Axis:
    """One factor of the product with its solution. ``scalar``: c of the rows c cos(2 pi j / size) or
    c ([j = 0] - 1 / size). ``first``: 1 - T at the first mode, without smoothing. ``required``: the right-hand side."""

    kind: Literal["cycle", "complete"]
    size: int
    first: float
    required: float
    scalar: float

    @property
    def weight(self) -> float:
        """k_a, the largest entry of a row."""
        return self.scalar if self.kind == "cycle" else self.scalar * (self.size - 1) / self.size

    @property
    def multiplicity(self) -> int:
        """The dimension of the first mode within the factor."""
        return 2 if self.kind == "cycle" else self.size - 1

    def row(self) -> Array:
        """k_a x_a(j), shape (size,)."""
        if self.kind == "cycle":
            return np.asarray(self.weight * np.cos(2 * pi * np.arange(self.size) / self.size))
        return np.asarray(self.scalar * ((np.arange(self.size) == 0) - 1 / self.size))


@dataclass(frozen=True)
class ProductKernel:
    """K as one axis per factor; nodes in C order. No axis: K = 0 on ``n`` nodes."""

    n: int
    axes: tuple[Axis, ...]

    def matrix(self) -> Array:
        """K, shape (n, n)."""
        result = np.zeros((self.n, self.n))
        digits = np.unravel_index(np.arange(self.n), [axis.size for axis in self.axes]) if self.axes else ()
        for axis, digit in zip(self.axes, digits, strict=True):
            result += axis.row()[(digit[:, None] - digit) % axis.size]
        return result


def solve_axes(factors: Sequence[Factor], self_edges: bool, label_smoothing: float, weight_decay: float) -> list[Axis]:
    """The scalar of each factor; equal factors share it."""
    degree = sum(2 if kind == "cycle" else size - 1 for kind, size in factors) + self_edges
    solved: dict[Factor, Axis] = {}
    for kind, size in factors:
        if (kind, size) not in solved:
            first = (4 * sin(pi / size) ** 2 if kind == "cycle" else size) / degree
            required = first + label_smoothing * (1 - first) + weight_decay
            scalar = _cycle_scalar(size, required) if kind == "cycle" else _complete_scalar(size, required)
            solved[kind, size] = Axis(kind, size, first, required, scalar)
    return [solved[factor] for factor in factors]


def eigenvalues(axes: Sequence[Axis]) -> dict[float, int]:
    """The non-zero eigenvalues of K with their multiplicities."""
    n = prod(axis.size for axis in axes)
    multiplicities: dict[float, int] = {}
    for axis in axes:
        if axis.scalar > 0:
            value = axis.weight * n / axis.multiplicity
            multiplicities[value] = multiplicities.get(value, 0) + axis.multiplicity
    return multiplicities


def loss_per_node(axes: Sequence[Axis], label_smoothing: float) -> float:
    """lse(K_0) - T_0 . K_0 = sum_a log sum_j exp(k_a (x_a(j) - 1)) + k_a (1 - (1 - alpha) T(e_a))."""
    return sum(
        log(_weights(axis.kind, axis.size, axis.weight)[1].sum())
        + axis.weight * (axis.first + label_smoothing * (1 - axis.first))
        for axis in axes
    )


def stationarity(axes: Sequence[Axis]) -> float:
    """The largest |S - lambda| over the modes of K."""
    active = (axis for axis in axes if axis.scalar > 0)
    return max((abs(_mean(axis.kind, axis.size, axis.weight) - axis.required) for axis in active), default=0.0)


def largest_excess(axes: Sequence[Axis], label_smoothing: float, weight_decay: float) -> float:
    """The largest S - lambda over the modes outside K but the constant one. Raises ValueError for too many modes."""
    deficit, product, order = np.zeros(1), np.ones(1), np.zeros(1, dtype=np.int8)
    for axis in dict.fromkeys(axes):
        copies = list(axes).count(axis)
        e, p = _characters(axis)
        rank = np.full(e.size, 2, dtype=np.int8)  # 0: constant, 1: a mode of K, 2 or more: another one
        rank[0], rank[1] = 0, 1 if axis.scalar > 0 else 2
        if e.size == 2:  # only the number of non-constant digits matters
            count = np.arange(copies + 1)
            e, p, rank, copies = count * e[1], p[1] ** count, np.minimum(count * rank[1], 2).astype(np.int8), 1
        if deficit.size * float(e.size) ** copies > MODE_LIMIT:
            raise ValueError(f"more than {MODE_LIMIT:.0e} modes to check; use fewer or shorter sides")
        for _ in range(copies):
            deficit = np.add.outer(deficit, e).ravel()
            product = np.multiply.outer(product, p).ravel()
            order = np.minimum(np.add.outer(order, rank).ravel(), 2)
    values = (1 - label_smoothing) * (1 - deficit) - product - weight_decay
    return float(values[order == 2].max())


def _characters(axis: Axis) -> tuple[Array, Array]:
    """e_a(k) and P_a(k) for k = 0 .. size // 2 of a cycle, for the constant and the other characters of K_q."""
    if axis.kind == "complete":
        return np.array([0.0, axis.first]), np.array([1.0, 1.0 - _mean("complete", axis.size, axis.weight)])
    sines = np.sin(pi * np.arange(axis.size // 2 + 1) / axis.size) ** 2
    e = sines * (axis.first / sines[1])
    if axis.scalar == 0:
        return e, (e == 0).astype(np.float64)
    p = np.fft.rfft(np.exp(-2 * axis.weight * np.sin(pi * np.arange(axis.size) / axis.size) ** 2)).real
    return e, p / p[0]


def _weights(kind: str, size: int, weight: float) -> tuple[Array, Array]:
    """1 - x and its unnormalised probability exp(-k (1 - x)), one entry for each class of nodes that carries any."""
    if kind == "complete":
        gap = size / (size - 1)
        return np.array([0.0, gap]), np.array([1.0, (size - 1) * exp(-weight * gap)])
    half = size // 2
    if weight > 0:  # 1 - cos(2 pi j / n) >= 8 j^2 / n^2
        half = int(min(half, np.ceil(size * np.sqrt(UNDERFLOW / (8 * weight)))))
    j = np.arange(half + 1)
    gaps = 2 * np.sin(pi * j / size) ** 2
    return gaps, np.where((j == 0) | (2 * j == size), 1, 2) * np.exp(-weight * gaps)


def _mean(kind: str, size: int, weight: float) -> float:
    gaps, weights = _weights(kind, size, weight)
    return float(gaps @ weights / weights.sum())


def _complete_scalar(q: int, required: float) -> float:
    r = 1 - required
    return log1p(q * r / required) if r > AT_THRESHOLD else 0.0


def _cycle_scalar(n: int, required: float) -> float:
    """The k with mean 1 - cos = ``required`` < 1, from sums without cancellation: accurate to a few units of rounding
    at any n. Without decay k 4 pi^2 / n^2 tends to the s at which sum j^2 exp(-s j^2 / 2) = sum exp(-s j^2 / 2),
    s = 1 - 2.1e-7, times d (a torus with d axes: another s near d)."""
    if 1 - required <= AT_THRESHOLD:
        return 0.0

    def excess(k: float) -> float:
        return _mean("cycle", n, k) / required - 1

    low = high = 0.5 / required
    while excess(high) > 0:
        high *= 2
    while excess(low) < 0:
        low /= 2
    return low if low == high else float(brentq(excess, low, high, xtol=1e-300, rtol=4 * np.finfo(float).eps))
