"""Laplacian spectra in closed form: distinct eigenvalues and multiplicities, without any n x n array.

With D the diagonal of degrees (row sums), the kinds are
    combinatorial               D - A
    symmetric                   I - D^-1/2 A D^-1/2
    random-walk                 I - D^-1 A                      (similar to symmetric: the same spectrum)
    symmetrized-random-walk     (I - D^-1 A) + (I - D^-1 A)'    (L of arXiv 2510.26745, section 4)
On an r-regular graph the last three are the first one times 1/r, 1/r and 2/r.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

from ..checks import Array, check_choice
from ..graphs.graph import Graph, check_graph

LaplacianKind: TypeAlias = Literal["combinatorial", "symmetric", "random-walk", "symmetrized-random-walk"]
KINDS: tuple[str, ...] = get_args(LaplacianKind)

# Largest n for a dense eigendecomposition: 0.3 GB per n x n array, minutes on two cores.
DENSE_LIMIT = 6000

# Relative to the largest eigenvalue. A dense symmetric solver is accurate to about n eps = 1e-12 at n = 6000, while
# distinct eigenvalues of tori and grids up to that size are at least 3e-10 apart (grid:62x69).
EIGENVALUE_TOLERANCE = 1e-10

# Closed forms carry a few units of rounding only. Above DENSE_LIMIT, where no dense solver has to agree, the finer
# value keeps the truly distinct, closer eigenvalues of large graphs apart.
CLOSED_FORM_TOLERANCE = 1e-13

Integers = NDArray[np.int64]
Spectrum: TypeAlias = tuple[Array, Integers]


def check_kind(kind: str) -> None:
    """Raise ValueError unless ``kind`` is one of ``KINDS``, TypeError for no string."""
    check_choice(kind, "Laplacian kind", KINDS)


def merge_eigenvalues(
    values: Array, multiplicities: Integers | None = None, tolerance: float = EIGENVALUE_TOLERANCE
) -> Spectrum:
    """Distinct ascending eigenvalues and their multiplicities, from (k,) values in any order.

    Neighbours in sorted order belong together when they differ by at most tolerance * max |value|; the merged
    value is their mean, weighted by multiplicity (one each unless given). Values with multiplicity zero are
    dropped.
    """
    counts = np.ones(values.size, dtype=np.int64) if multiplicities is None else multiplicities
    order = np.argsort(values, kind="stable")
    order = order[counts[order] > 0]
    values, counts = values[order], counts[order]
    scale = np.abs(values).max(initial=0.0)
    starts = np.flatnonzero(np.diff(values, prepend=-np.inf) > tolerance * scale)
    totals = np.add.reduceat(counts, starts)
    return np.add.reduceat(values * counts, starts) / totals, totals


def closed_form_spectrum(graph: Graph, kind: str) -> Spectrum | None:
    """Distinct ascending eigenvalues (k,) float64 and multiplicities (k,) int64, or None if none is known.

    Known, for every kind: cycle, torus, hypercube, hamming (complete graphs are H(1, q)), petersen,
    path-star; for the combinatorial kind also grid. The graph is recognised by its ``family`` and
    ``parameters``. Raises ValueError for an unknown kind.
    """
    check_kind(kind)
    p = check_graph(graph).parameters
    tolerance = EIGENVALUE_TOLERANCE if graph.n <= DENSE_LIMIT else CLOSED_FORM_TOLERANCE
    if graph.family == "path-star":
        return merge_eigenvalues(*_path_star(p[0], p[1], kind), tolerance)
    if graph.family == "grid":
        return _product([_path(side) for side in p], tolerance) if kind == "combinatorial" else None
    regular: dict[str, tuple[int, Callable[[], Spectrum]]] = {
        "cycle": (2, lambda: _cycle(p[0])),
        "torus": (2 * len(p), lambda: _product([_cycle(side) for side in p], tolerance)),
        "hypercube": (p[0] if p else 0, lambda: _hamming(p[0], 2)),
        "hamming": (p[0] * (p[1] - 1) if len(p) == 2 else 0, lambda: _hamming(p[0], p[1])),
        "petersen": (3, _petersen),
    }
    if graph.family not in regular:
        return None
    degree, solve = regular[graph.family]
    values, multiplicities = solve()
    factor = {"combinatorial": 1.0, "symmetrized-random-walk": 2.0 / degree}.get(kind, 1.0 / degree)
    return values * factor, multiplicities


def _cycle(n: int) -> Spectrum:
    """2 - 2 cos(2 pi k / n), k = 0 .. n//2: one-fold for k = 0 and k = n/2, two-fold otherwise.

    Proof: the shift S of the cycle has eigenvectors exp(2 pi i k j / n) with eigenvalues exp(2 pi i k / n),
    and D - A = 2 I - S - S'; k and n - k give the same value, and cos is injective on [0, pi].
    """
    k = np.arange(n // 2 + 1)
    multiplicities = np.where((k == 0) | (2 * k == n), 1, 2).astype(np.int64)
    return 4.0 * np.sin(np.pi * k / n) ** 2, multiplicities


def _path(n: int) -> Spectrum:
    """2 - 2 cos(pi k / n), k = 0 .. n-1, all one-fold.

    Proof: cos(pi k (j + 1/2) / n) satisfies the cycle's recurrence and is even about -1/2 and n - 1/2, which
    is the condition at both ends; the n values are distinct because cos is injective on [0, pi].
    """
    return 4.0 * np.sin(np.pi * np.arange(n) / (2 * n)) ** 2, np.ones(n, dtype=np.int64)


def _product(factors: list[Spectrum], tolerance: float) -> Spectrum:
    """All sums of one eigenvalue per factor, with product multiplicities: grids from paths, tori from cycles.

    Proof: the Laplacian of a Cartesian product is L (x) I + I (x) M, and u (x) v is an eigenvector with eigenvalue
    lambda + mu when u and v are; these span, so equal sums are all that is left to merge.
    """
    result = factors[0]
    for k, factor in enumerate(factors[1:], start=2):
        values = np.add.outer(result[0], factor[0]).ravel()
        multiplicities = np.multiply.outer(result[1], factor[1]).ravel()
        # Partial sums are merged within rounding, to keep the next product small.
        result = merge_eigenvalues(values, multiplicities, tolerance if k == len(factors) else CLOSED_FORM_TOLERANCE)
    return result


def _hamming(d: int, q: int) -> Spectrum:
    """q k with multiplicity C(d, k) (q - 1)^k, k = 0 .. d; the hypercube is q = 2.

    Proof: H(d, q) is the Cartesian product of d copies of K_q, whose Laplacian q I - 11' has eigenvalues 0
    (once) and q (q - 1 times); choose the k factors that contribute q.
    """
    k = np.arange(d + 1)
    return q * k.astype(np.float64), np.array([comb(d, j) * (q - 1) ** j for j in range(d + 1)], dtype=np.int64)


def _petersen() -> Spectrum:
    """0 once, 2 five times, 5 four times.

    Proof: strongly regular (10, 3, 0, 1): A^2 + A - 2 I = 11', so A has eigenvalues 3, 1, -2; the
    multiplicities follow from 1 + f + g = 10 and tr A = 3 + f - 2 g = 0.
    """
    return np.array([0.0, 2.0, 5.0]), np.array([1, 5, 4], dtype=np.int64)


def _path_star(arms: int, length: int, kind: str) -> Spectrum:
    """(arms - 1)-fold eigenvalues of the m x m block of one arm without the root, m = length - 1, and
    one-fold ones of the length x length quotient in which the root couples to the normalised sum of the arms.

    Proof: vectors x_i on the arms with sum zero over arms at each depth vanish at the root and see one arm
    only (arms - 1 copies); the vectors equal on all arms, in the basis e_root, sum over arms / sqrt(arms),
    give the quotient, with the root's coupling times sqrt(arms). Both are tridiagonal with non-zero
    off-diagonal, so their eigenvalues are simple, and the block is the quotient without its first row, so by
    strict Cauchy interlacing they share none. The combinatorial block has eigenvalues 2 - 2 cos(pi (2 j + 1)
    / (2 m + 1)), j = 0 .. m-1: the vector sin(k theta) at depth k vanishes at the root and has equal values
    at depths m and m + 1 for these theta.
    """
    m = length - 1
    degrees = np.full(length, 2.0)
    degrees[-1] = 1.0
    degrees[0] = float(arms)
    if kind == "combinatorial":
        diagonal, coupling = degrees, -np.ones(m)
        theta = np.pi * (2 * np.arange(m) + 1) / (2 * m + 1)
        block = 4.0 * np.sin(theta / 2) ** 2
    else:
        if kind == "symmetrized-random-walk":
            diagonal, coupling = np.full(length, 2.0), -(1.0 / degrees[:-1] + 1.0 / degrees[1:])
        else:
            diagonal, coupling = np.ones(length), -1.0 / np.sqrt(degrees[:-1] * degrees[1:])
        block = _tridiagonal_eigenvalues(diagonal[1:], coupling[1:])
    coupling = np.concatenate([coupling[:1] * np.sqrt(arms), coupling[1:]])
    quotient = _tridiagonal_eigenvalues(diagonal, coupling)
    if kind != "symmetrized-random-walk":
        quotient[0] = 0.0  # the graph is connected: zero is simple, and known without rounding
    values = np.concatenate([block, quotient])
    multiplicities = np.concatenate([np.full(m, arms - 1), np.ones(length, dtype=int)]).astype(np.int64)
    return values, multiplicities


def _tridiagonal_eigenvalues(diagonal: Array, coupling: Array) -> Array:
    return np.asarray(eigh_tridiagonal(diagonal, coupling, eigvals_only=True), dtype=np.float64)
