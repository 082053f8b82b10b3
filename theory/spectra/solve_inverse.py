"""The lowest eigenpairs of a sparse symmetric matrix by inverted Lanczos iterations, counted by inertia.

M is a real symmetric (n, n) CSR matrix. The counts do not depend on what the iterations found, so a copy of a
repeated eigenvalue that they missed is noticed and supplied.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..checks import Array
from .closed_form import Integers
from .counting import ShiftedFactor, shifted_factor
from .solve_lanczos import SparsePairs, finish, lanczos, largest, merge, norm_bound, orthonormal, rayleigh_ritz

# Relative to the norm of M: at most half the width of the window in which the copies of an eigenvalue are counted.
_WINDOW = 1e-6
# Where in an interval to place a shift: not at simple fractions, where integer matrices have singular blocks.
_FRACTIONS = (0.5402, 0.4123, 0.6667891, 0.3217, 0.7831)
# Distance of the shift below the lowest eigenvalue, relative to the mean absolute diagonal.
_MARGIN = 1e-5
_STEPS = 40
_SEARCHES = 5
_INVERSE_ITERATIONS = 10


def shift_invert_pairs(
    matrix: sp.csr_array, k: int, *, lowest_is_zero: bool, vectors: bool, memory_limit: float
) -> SparsePairs:
    """The k lowest eigenpairs, widened to whole eigenspaces, proved complete by inertia; 1 <= k <= n - 2.

    Lanczos on (M - s I)^-1 with s below the spectrum finds k + 1 pairs. A count above the eigenspace of the k-th
    one tells how many there are; when it disagrees, further counts find the first gap that has at least k below it.
    The missing ones are then sought by Lanczos on the complement of those found, and copies of known eigenvalues by
    inverse iteration with a block as large as the number that is missing.
    ``lowest_is_zero``: whether M is known to be positive semidefinite with eigenvalue 0.
    Raises ValueError above the memory limit, RuntimeError when pairs that were counted are not found.
    """
    n, norm = matrix.shape[0], norm_bound(matrix)
    check_memory(n, k, memory_limit if vectors else np.inf)
    bottom = _factor_below(matrix, lowest_is_zero, norm)
    counter = _Counter(matrix, norm)
    counter.counts[bottom.shift] = bottom.below
    values, basis = _inverted_lanczos(bottom, min(k + 1, n - 1), None)
    distinct, copies = merge(values, norm)
    last = min(int(np.searchsorted(np.cumsum(copies), k)), distinct.size - 1)
    known = [float(value) for value in (*distinct, distinct[-1] + _WINDOW * norm)]
    end, total = counter.between(known[last], known[last + 1])
    # In the usual case this one count settles everything.
    if total != copies[: last + 1].sum():
        last = bisect_left(range(last), True, key=lambda i: counter.between(known[i], known[i + 1])[1] >= k)
        end, total = counter.between(known[last], known[last + 1])
    computed = int(copies[: last + 1].sum())
    if total < max(computed, k):
        raise RuntimeError(
            f"{computed} eigenvalues were computed below {end:.6g}, where {total} were counted; use method='dense'"
        )
    if vectors:
        check_memory(n, total, memory_limit)
    note = f"{total} eigenvalues were counted by inertia, {computed} of them found at once"
    basis = basis[:, :computed]
    if total > computed:
        listed = _list_all(matrix, bottom, counter, basis, total, end)
        if not vectors:
            last = int(np.searchsorted(np.cumsum(listed.copies), k)) + 1
            return SparsePairs(listed.values[:last], listed.copies[:last], None, float("nan"), counter.pairs(), note)
        basis = _supply(matrix, counter, listed, total, end)
    return finish(matrix, basis, k, norm, counter.pairs(), note)


def check_memory(n: int, total: int, limit: float) -> None:
    """Raise ValueError when an (n, total) float64 basis takes more than ``limit`` bytes."""
    if 8.0 * n * total > limit:
        raise ValueError(
            f"the eigenvectors ({n} x {total} floats) take {8e-9 * n * total:.2f} GB, above the limit of "
            f"{1e-9 * limit:.2f} GB; use vectors=False, a smaller k or a larger memory_limit"
        )


class _Counter:
    """Numbers of eigenvalues of M below shifts in given intervals; each interval is factorised once."""

    def __init__(self, matrix: sp.csr_array, norm: float) -> None:
        self.matrix, self.norm = matrix, norm
        self.counts: dict[float, int] = {}
        self._done: dict[tuple[float, float], tuple[float, int]] = {}

    def between(self, low: float, high: float) -> tuple[float, int]:
        """A shift strictly between ``low`` and ``high`` and the number of eigenvalues below it; the rounding error of
        the factorisation is less than the distance from the shift to both ends."""
        key = (float(low), float(high))
        if key not in self._done:
            for fraction in _FRACTIONS:
                shift = key[0] + fraction * (key[1] - key[0])
                try:
                    factor = shifted_factor(self.matrix, shift)
                except RuntimeError:
                    # An eigenvalue of a leading block, which integers in the graph make likely: try the next.
                    continue
                if factor.error < 0.1 * min(fraction, 1 - fraction) * (key[1] - key[0]):
                    self._done[key] = shift, factor.below
                    self.counts[shift] = factor.below
                    break
            else:
                raise RuntimeError(
                    f"no factorisation between {low:.9g} and {high:.9g} is accurate enough for a count; "
                    "use method='dense' or 'lanczos'"
                )
        return self._done[key]

    def windows(self, distinct: Array) -> tuple[Array, Array]:
        """Disjoint intervals (low, high) around ascending eigenvalues, shape (m,) each."""
        largest_half = _WINDOW * self.norm
        gaps = np.diff(distinct) / 3
        half = np.minimum(np.append(np.inf, gaps), np.append(gaps, np.inf)).clip(max=largest_half)
        return distinct - half, distinct + half

    def pairs(self) -> tuple[tuple[float, int], ...]:
        return tuple(sorted(self.counts.items()))


@dataclass(frozen=True, eq=False)
class _Listed:
    """The distinct eigenvalues below an end, how many copies of each exist, an orthonormal basis of the eigenvectors
    found so far, and how many of each these are."""

    values: Array
    copies: Integers
    basis: Array
    computed: Integers


def _list_all(
    matrix: sp.csr_array, bottom: ShiftedFactor, counter: _Counter, basis: Array, total: int, end: float
) -> _Listed:
    """Every distinct eigenvalue below ``end`` with its number of copies, which sum to ``total``."""
    for _ in range(_SEARCHES):
        values, basis = rayleigh_ritz(matrix, basis)
        distinct, computed = merge(values, counter.norm)
        if computed.sum() == total:
            return _Listed(distinct, computed, basis, computed)
        windows = zip(distinct, *counter.windows(distinct), strict=True)
        inside = [counter.between(x, min(high, end))[1] - counter.between(low, x)[1] for x, low, high in windows]
        copies = np.array(inside, dtype=np.int64)
        if copies.sum() == total and (copies >= computed).all():
            return _Listed(distinct, copies, basis, computed)
        # An eigenvalue of which no copy was found.
        more, vectors = _inverted_lanczos(bottom, min(total - len(values), basis.shape[1] + 1), basis)
        basis = orthonormal(np.column_stack([basis, vectors[:, more < end]]))
    raise RuntimeError(f"{total} eigenvalues lie below {end:.6g}, but not all of them were found; use method='dense'")


def _supply(matrix: sp.csr_array, counter: _Counter, listed: _Listed, total: int, end: float) -> Array:
    """Orthonormal eigenvectors (n, total): those found and the missing copies, by block inverse iteration."""
    basis = listed.basis
    highs = counter.windows(listed.values)[1]
    for value, high, missing in zip(listed.values, highs, listed.copies - listed.computed, strict=True):
        if missing > 0:
            shift, _ = counter.between(value, min(high, end))
            basis = np.column_stack([basis, _inverse_iteration(matrix, shift, basis, int(missing))])
    values, basis = rayleigh_ritz(matrix, orthonormal(basis))
    if basis.shape[1] != total or values[-1] > end:
        raise RuntimeError(
            f"{total} eigenvalues lie below {end:.6g}, but only {np.count_nonzero(values < end)} eigenvectors were "
            "found; use method='dense'"
        )
    return basis


def _inverse_iteration(matrix: sp.csr_array, shift: float, excluded: Array, missing: int) -> Array:
    """``missing`` orthonormal eigenvectors next to ``shift`` on the complement of ``excluded``."""
    n = matrix.shape[0]
    factor = shifted_factor(matrix, shift)
    guard = min(2, n - excluded.shape[1] - missing)
    block = np.random.default_rng(excluded.shape[1]).standard_normal((n, missing + guard))
    accuracy = 1e-13 * norm_bound(matrix) * np.sqrt(n)
    for _ in range(_INVERSE_ITERATIONS):
        block -= excluded @ (excluded.T @ block)
        block = orthonormal(factor.solve(np.asfortranarray(block)))
        # Twice: the solve amplifies rounding along what was found.
        block = orthonormal(block - excluded @ (excluded.T @ block))
        values, block = rayleigh_ritz(matrix, block)
        nearest = np.argsort(np.abs(values - shift), kind="stable")[:missing]
        image = matrix @ block[:, nearest] - block[:, nearest] * values[nearest]
        if np.sqrt((image**2).sum(axis=0).max()) <= accuracy:
            break
    return block[:, nearest]


def _inverted_lanczos(factor: ShiftedFactor, count: int, excluded: Array | None) -> tuple[Array, Array]:
    """The lowest ``count`` eigenpairs, ascending, on the complement of ``excluded``."""

    def apply(x: Array) -> Array:
        if excluded is None:
            return factor.solve(x)
        y = factor.solve(x - excluded @ (excluded.T @ x))
        return y - excluded @ (excluded.T @ y)

    seed = 0 if excluded is None else excluded.shape[1]
    inverse, vectors = largest(apply, factor.n, count, seed)
    order = np.argsort(-inverse, kind="stable")
    # On the complement, what was found has the inverse zero.
    order = order[inverse[order] > 1e-12 * inverse.max(initial=0.0)]
    return factor.shift + 1.0 / inverse[order], vectors[:, order]


def _factor_below(matrix: sp.csr_array, lowest_is_zero: bool, norm: float) -> ShiftedFactor:
    """A factorisation with a shift below the spectrum, as its count proves, and as near to it as is cheap."""
    margin = _MARGIN * float(np.abs(matrix.diagonal()).mean()) or _MARGIN
    if lowest_is_zero:
        return _checked_below(matrix, 0.0, margin, norm)
    ritz, _, bound = lanczos(lambda x: matrix @ x, matrix.shape[0], _STEPS)
    factor = _checked_below(matrix, float(ritz[0]), float(bound[0]) + margin, norm)
    # From here a few inverted steps know the lowest eigenvalue well.
    inverse, _, bound = lanczos(factor.solve, matrix.shape[0], _STEPS // 3)
    distance = 1.0 / inverse[-1]
    margin += distance * min(1.0, 2 * bound[-1] / inverse[-1])
    if distance <= 3 * margin:
        return factor
    nearer = shifted_factor(matrix, float(factor.shift + distance - margin))
    return nearer if nearer.below == 0 else factor


def _checked_below(matrix: sp.csr_array, start: float, step: float, norm: float) -> ShiftedFactor:
    """The first factorisation without a negative pivot at start - step, start - 4 step, ...; at -1.1 norm at last."""
    while True:
        shift = max(start - step, -1.1 * norm - step)
        factor = shifted_factor(matrix, shift)
        if factor.below == 0:
            return factor
        step *= 4
