"""How many eigenvalues of a sparse symmetric matrix lie below a number: Sylvester's law on one sparse factorisation.

M - s I = L D L' with a diagonal D gives as many negative entries of D as M has eigenvalues below s (J. J. Sylvester,
1852; B. N. Parlett, The Symmetric Eigenvalue Problem, 1998, chapter 3). Two such counts prove the number of copies
of a repeated eigenvalue, which no Krylov method can.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.sparse.linalg import splu

from ..checks import LARGEST_ENTRY, Array, check_array, check_number

_EPS = float(np.finfo(np.float64).eps)
# Inverse iterations that look for an eigenvalue next to the shift.
_PROBES = 4
# Relative to max |M|: the count of a factorisation with a larger rounding error is refused.
_LARGEST_ERROR = 1e-6


@dataclass(frozen=True, eq=False)
class ShiftedFactor:
    """M - shift I = P' L U P for a symmetric (n, n) matrix, without pivoting off the diagonal.

    ``below``: the number of eigenvalues of M below ``shift``, exact for a matrix within ``error`` of M in the
    2-norm, hence exact for M when no eigenvalue lies within ``error`` of the shift. ``entries``: stored entries of
    both factors.
    """

    shift: float
    below: int
    entries: int
    _lu: Any

    @property
    def n(self) -> int:
        """The number of rows."""
        return int(self._lu.shape[0])

    def solve(self, right: Array) -> Array:
        """(M - shift I)^-1 times an (n,) or (n, m) array."""
        solution: Array = self._lu.solve(right)
        return solution

    @cached_property
    def error(self) -> float:
        """2 eps || |L| |U| ||_inf, the backward error of the factorisation (N. J. Higham, Accuracy and Stability of
        Numerical Algorithms, 2002, theorem 9.3, with its factor n replaced by 2, which is ample in practice)."""
        lower, upper = abs(self._lu.L), abs(self._lu.U)
        return 2 * _EPS * float((lower @ (upper @ np.ones(self.n))).max())

    @cached_property
    def distance(self) -> float:
        """About the distance from the shift to the nearest eigenvalue (from above), by inverse iteration."""
        x = np.random.default_rng(0).standard_normal(self.n)
        size = 1.0
        for _ in range(_PROBES):
            x = self.solve(x / np.linalg.norm(x))
            size = float(np.linalg.norm(x))
        return 1.0 / size if size > 0 else np.inf


def symmetric_factor(matrix: sp.sparray) -> Any:
    """SuperLU's factors of a symmetric (n, n) matrix in its symmetric mode, minimum degree on M + M'; ``solve`` is
    M^-1. Raises RuntimeError where M is singular."""
    # The panel and supernode sizes are those that were fastest on meshes; they do not change the result.
    return splu(
        sp.csc_array(matrix),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        relax=1,
        panel_size=1,
        options={"SymmetricMode": True, "Equil": False},
    )


def shifted_factor(matrix: sp.sparray, shift: float) -> ShiftedFactor:
    """Factorise M - shift I in SuperLU's symmetric mode, minimum degree on M + M'.

    ``matrix``: real symmetric (n, n), sparse. Raises RuntimeError when the factorisation is singular or had to pivot
    off the diagonal: then Sylvester's law does not apply, and a nearby shift is the remedy.
    """
    n = matrix.shape[0]
    shifted = sp.csc_array(matrix - shift * sp.eye_array(n, format="csr"))
    try:
        lu = symmetric_factor(shifted)
    except RuntimeError:
        raise RuntimeError(
            f"the matrix minus {shift:.17g} I has no factorisation: the shift is an eigenvalue of it or of a leading "
            "block; move the shift"
        ) from None
    if not np.array_equal(lu.perm_r, lu.perm_c):
        raise RuntimeError(
            f"the factorisation at shift {shift:.17g} met a zero pivot and left the diagonal; move the shift"
        )
    below = int(np.count_nonzero(lu.U.diagonal() < 0))
    return ShiftedFactor(shift, below, int(lu.nnz), lu)


def inertia(matrix: sp.sparray, shift: float) -> int:
    """The number of eigenvalues below ``shift``, with multiplicity, of a real symmetric sparse (n, n) matrix.

    The count of negative pivots of M - shift I = L D L' (see above). Cost: one sparse factorisation, cheap for
    trees, planar graphs and meshes, hopeless for large expanders. Raises ValueError for a matrix that is not square,
    real, finite and symmetric or a shift that is not finite; RuntimeError when a pivot is off the diagonal or so
    small that rounding, or an eigenvalue next to the shift, could change the count: then move the shift.
    """
    untyped: Any = matrix
    if not sp.issparse(matrix) or untyped.ndim != 2 or untyped.shape[0] != untyped.shape[1] or untyped.shape[0] == 0:
        what = f"shape {untyped.shape}" if hasattr(untyped, "shape") else type(untyped).__name__
        raise ValueError(f"inertia needs a non-empty square sparse matrix; got {type(untyped).__name__}, {what}")
    if untyped.dtype.kind not in "biuf":
        raise ValueError(f"inertia needs a real matrix; got dtype {untyped.dtype}")
    exact = sp.csr_array(untyped, dtype=np.float64)
    check_array(exact.data, "the matrix")
    scale = abs(exact).max() if exact.nnz else 0.0
    gap = abs(exact - exact.T).max() if exact.nnz else 0.0
    if gap > 1e-10 * scale:
        raise ValueError(f"inertia needs a symmetric matrix; the largest |M - M'| is {gap:.1e}; pass (M + M') / 2")
    shift = check_number(shift, "shift")
    if abs(shift) > LARGEST_ENTRY:
        raise ValueError(f"shift must lie within {LARGEST_ENTRY:.0e} of zero; got {shift:g}")
    factor = shifted_factor(exact, float(shift))
    if factor.error > _LARGEST_ERROR * max(scale, abs(shift)):
        raise RuntimeError(
            f"a pivot at shift {shift:.17g} is so small that the count has error {factor.error:.1e}; move the shift"
        )
    if factor.distance <= 10 * factor.error:
        raise RuntimeError(
            f"an eigenvalue lies within {factor.distance:.1e} of the shift {shift:.17g}, which rounding cannot "
            "resolve; move the shift"
        )
    return factor.below


def front_width(adjacency: sp.csr_array) -> int:
    """A quick estimate of the largest dense block that a sparse factorisation has to eliminate.

    Nodes of degree above 10 sqrt(n) (counted in the result) and leaves, which cost no fill, are set aside; the rest
    is ordered by reverse Cuthill-McKee, and the answer is the largest distance of a node from its first neighbour in
    that order: about the side of a grid, but a sizeable fraction of n for an expander. The factorisation takes
    about its cube in operations or less.
    """
    n = adjacency.shape[0]
    counts = np.diff(adjacency.indptr)
    hubs = counts > 10 * np.sqrt(n)
    rest = adjacency[~hubs][:, ~hubs] if hubs.any() else adjacency
    while rest.shape[0]:
        inner = np.diff(rest.indptr) - (rest.diagonal() != 0) > 1
        # Long paths that are left do no harm to the estimate.
        if np.count_nonzero(inner) > 0.98 * inner.size:
            break
        rest = rest[inner][:, inner]
    if rest.nnz == 0:
        return int(hubs.sum()) + 1
    order = reverse_cuthill_mckee(sp.csr_matrix(rest), symmetric_mode=True)
    position = np.empty(order.size, dtype=np.int64)
    position[order] = np.arange(order.size)
    rows = np.repeat(np.arange(order.size), np.diff(rest.indptr))
    return int((position[rows] - position[rest.indices]).max()) + int(hubs.sum()) + 1
