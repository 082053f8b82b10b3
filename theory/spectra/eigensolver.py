"""The lowest or highest eigenpairs of a graph Laplacian, k widened to whole eigenspaces, none of them missing.

A Krylov method sees one copy of a repeated eigenvalue per starting vector and reports tiny residuals whether or not
copies are missing. Here the number of eigenvalues is known from a closed form, a full decomposition or the inertia
of a factorisation; where none of these is feasible the result says that it is not proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import scipy.sparse as sp
from scipy.linalg import eigh

from ..checks import Array, check_choice, check_flag, check_real, check_whole_number
from ..graphs.graph import Graph, check_graph
from .closed_form import DENSE_LIMIT, Integers, check_kind, closed_form_spectrum
from .closed_form import merge_eigenvalues as merge
from .counting import front_width
from .laplacians import laplacian
from .solve_closed_form import closed_form_columns, has_closed_form_columns
from .solve_inverse import check_memory, shift_invert_pairs
from .solve_lanczos import SparsePairs, lanczos_pairs

End: TypeAlias = Literal["bottom", "top"]
Method: TypeAlias = Literal["auto", "closed-form", "dense", "shift-invert", "lanczos"]
ENDS: tuple[str, ...] = get_args(End)
METHODS: tuple[str, ...] = get_args(Method)

# Bytes of the eigenvectors, above which they are refused unless the caller raises the limit.
MEMORY_LIMIT = 500_000_000
# Up to this size, or for more than a quarter of the pairs, a dense solver is the fastest.
_DENSE_BELOW = 160
# Largest front, by front_width, that is factorised: about 10 s and 0.1 GB for an expander, less for meshes.
_LARGEST_FRONT = 2000


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Whole eigenspaces from one end of the spectrum of a symmetric (n, n) Laplacian L.

    ``eigenvalues``: (m,) float64, distinct, ascending from the bottom, descending from the top.
    ``multiplicities``: (m,) int64; their sum, ``total``, is the smallest such sum that is at least ``requested``.
    ``basis``: (n, total) float64, orthonormal columns grouped as the eigenvalues are, or None if vectors were not
    asked for. Within an eigenspace the columns are an arbitrary basis: compare projectors.
    ``residual``: the largest ||L v - lambda v|| over the columns; NaN without vectors.
    ``requested``: the k asked for. ``method``: "closed-form", "dense", "shift-invert" or "lanczos".
    ``inertia``: pairs (shift, number of eigenvalues of L below shift) which prove the multiplicities together with
    the eigenvalues; () where all n eigenvalues are known anyway; None where nothing was proved.
    ``complete``: whether it is proved that no copy of a listed eigenvalue, and none before the last one, is
    missing. ``note``: in one sentence, what the statement rests on.
    """

    eigenvalues: Array
    multiplicities: Integers
    basis: Array | None
    residual: float
    requested: int
    method: str
    inertia: tuple[tuple[float, int], ...] | None
    complete: bool
    note: str

    @property
    def total(self) -> int:
        """The number of eigenpairs, at least ``requested``."""
        return int(self.multiplicities.sum())

    def columns(self, j: int) -> Array:
        """The orthonormal basis of eigenspace ``j``, shape (n, multiplicities[j]). IndexError if there is none,
        ValueError without vectors."""
        if not 0 <= j < self.eigenvalues.size:
            raise IndexError(f"eigenspace {j} does not exist; there are {self.eigenvalues.size}, counted from 0")
        if self.basis is None:
            raise ValueError("there are no eigenvectors; ask for them with vectors=True")
        stop = int(self.multiplicities[: j + 1].sum())
        return self.basis[:, stop - int(self.multiplicities[j]) : stop]


def laplacian_eigenpairs(
    graph: Graph,
    k: int,
    kind: str = "symmetrized-random-walk",
    which: str = "bottom",
    *,
    method: str = "auto",
    vectors: bool = True,
    memory_limit: float = MEMORY_LIMIT,
) -> Eigenpairs:
    """The k lowest ("bottom") or highest ("top") eigenpairs of a Laplacian, and all others that share an eigenspace
    with one of them: L v = lambda v, 1 <= k <= n. Deterministic.

    ``kind``: as in ``laplacian``. "random-walk" is not symmetric; it is solved as the similar "symmetric" one,
    D^1/2 (I - D^-1 A) D^-1/2 = I - D^-1/2 A D^-1/2, whose orthonormal eigenvectors u are returned: D^-1/2 u are the
    right eigenvectors of the random walk, D^1/2 u the left ones (with 1 in place of the degree 0 of isolated nodes).

    ``method``:
    "closed-form"   families of ``closed_form_spectrum``; eigenvalues and vectors without solving anything.
    "dense"         all n eigenpairs by LAPACK; n <= ``DENSE_LIMIT``.
    "shift-invert"  Lanczos on (L - s I)^-1 with s outside the spectrum, next to the wanted end; the number of pairs is
                    counted by ``inertia`` and missing copies are supplied by block inverse iteration. Needs a sparse
                    factorisation: trees, meshes, planar and road-like graphs of any size, expanders of a few
                    thousand nodes. Needs k <= n - 2.
    "lanczos"       Lanczos on a polynomial of L, then on the complement of what it found, from another start, as a
                    check. It needs no factorisation, and proves nothing: ``complete`` is False. k <= n - 2.
    "auto"          the first of: closed form, dense if n is small or k a large part of n, shift-invert if
                    ``front_width`` is small, Lanczos. It does not switch after a failure.

    ``vectors=False`` returns eigenvalues and multiplicities only, and never stores an eigenspace of high dimension.
    ``memory_limit``: bytes allowed for the (n, total) basis; the work takes a few times as much.

    Neighbouring eigenvalues within ``EIGENVALUE_TOLERANCE`` times the norm of L (the largest absolute row sum, in the
    sparse methods) share an eigenspace. Counts are exact for a matrix within rounding (``ShiftedFactor.error``) of
    L, and every shift is further than that from the eigenvalues found. With vectors=False, shift-invert takes what
    Lanczos did not find for copies of an eigenvalue if it lies within 1e-6 times the norm of it (less where
    another eigenvalue is near).

    Raises ValueError for an unknown kind, end or method, k out of range, a method that does not apply, or a basis
    above the limit; TypeError for a k that is no integer; RuntimeError if an iteration does not converge or the
    copies that the count demands are not found, naming the method to try. Source: SciPy (ARPACK, SuperLU); the
    count as in R. G. Grimes, J. G. Lewis, H. D. Simon, SIAM J. Matrix Anal. Appl. 15, 228 (1994).
    """
    check_kind(kind)
    k = check_whole_number(k, "k", 1, check_graph(graph).n)
    check_choice(which, "end of the spectrum", ENDS)
    check_choice(method, "method", METHODS)
    check_flag(vectors, "vectors")
    memory_limit = check_real(memory_limit, "memory_limit")
    if not memory_limit >= 0:
        raise ValueError(f"memory_limit must be a number of bytes; got {memory_limit}")
    symmetric_kind = "symmetric" if kind == "random-walk" else kind
    chosen = _choose(graph, k, symmetric_kind, vectors) if method == "auto" else method
    if chosen == "closed-form":
        return _closed_form(graph, k, symmetric_kind, which, vectors, memory_limit)
    if chosen == "dense":
        return _dense(graph, k, symmetric_kind, which, vectors, memory_limit)
    if k > graph.n - 2:
        raise ValueError(f"method {chosen!r} needs k <= n - 2; got k = {k} for {graph.n} nodes; use method='dense'")
    # The top of L is the bottom of -L.
    sign = 1.0 if which == "bottom" else -1.0
    matrix = sp.csr_array(sign * laplacian(graph, symmetric_kind))
    if chosen == "lanczos":
        check_memory(graph.n, k, memory_limit)
        return _from_sparse(lanczos_pairs(matrix, k), sign, k, "lanczos", vectors, None)
    lowest_is_zero = which == "bottom" and symmetric_kind != "symmetrized-random-walk"
    pairs = shift_invert_pairs(matrix, k, lowest_is_zero=lowest_is_zero, vectors=vectors, memory_limit=memory_limit)
    return _from_sparse(pairs, sign, k, "shift-invert", vectors, graph.n)


def _choose(graph: Graph, k: int, kind: str, vectors: bool) -> str:
    if closed_form_spectrum(graph, kind) is not None and (not vectors or has_closed_form_columns(graph)):
        return "closed-form"
    if graph.n <= _DENSE_BELOW or (4 * k > graph.n and graph.n <= DENSE_LIMIT):
        return "dense"
    return "shift-invert" if front_width(graph.adjacency) <= _LARGEST_FRONT else "lanczos"


def _closed_form(graph: Graph, k: int, kind: str, which: str, vectors: bool, memory_limit: float) -> Eigenpairs:
    known = closed_form_spectrum(graph, kind)
    if known is None:
        raise ValueError(f"no closed form is known for the {kind} Laplacian of {graph.name}; use method='auto'")
    values, multiplicities = known
    step = 1 if which == "bottom" else -1
    values, multiplicities = values[::step], multiplicities[::step]
    last = int(np.searchsorted(np.cumsum(multiplicities), k)) + 1
    values, multiplicities = values[:last].copy(), multiplicities[:last].copy()
    basis, residual = None, float("nan")
    if vectors:
        if not has_closed_form_columns(graph):
            raise ValueError(
                f"eigenvectors of {graph.name} are not known in closed form; use vectors=False or method='auto'"
            )
        check_memory(graph.n, int(multiplicities.sum()), memory_limit)
        basis = closed_form_columns(graph, kind, values, multiplicities, top=which == "top")
        residual = _residual(laplacian(graph, kind), np.repeat(values, multiplicities), basis)
    note = "all eigenvalues are known in closed form"
    return Eigenpairs(values, multiplicities, basis, residual, k, "closed-form", (), True, note)


def _dense(graph: Graph, k: int, kind: str, which: str, vectors: bool, memory_limit: float) -> Eigenpairs:
    n = graph.n
    if n > DENSE_LIMIT:
        raise ValueError(f"{n} nodes are too many for method='dense' (limit {DENSE_LIMIT}); use method='shift-invert'")
    matrix = laplacian(graph, kind)
    values, every = eigh(matrix.toarray(), check_finite=False, overwrite_a=True)
    distinct, multiplicities = merge(values)
    step = 1 if which == "bottom" else -1
    distinct, multiplicities = distinct[::step], multiplicities[::step]
    last = int(np.searchsorted(np.cumsum(multiplicities), k)) + 1
    distinct, multiplicities = distinct[:last].copy(), multiplicities[:last].copy()
    total = int(multiplicities.sum())
    basis, residual = None, float("nan")
    if vectors:
        check_memory(n, total, memory_limit)
        basis = np.ascontiguousarray(every[:, ::step][:, :total])
        residual = _residual(matrix, np.repeat(distinct, multiplicities), basis)
    note = "all eigenvalues were computed"
    return Eigenpairs(distinct, multiplicities, basis, residual, k, "dense", (), True, note)


def _from_sparse(pairs: SparsePairs, sign: float, k: int, method: str, vectors: bool, n: int | None) -> Eigenpairs:
    inertia = None
    if n is not None:
        # Below s for -L is above -s for L, and no eigenvalue is at a shift.
        inertia = tuple(sorted((sign * s, count if sign > 0 else n - count) for s, count in pairs.counts))
    values, copies = sign * pairs.eigenvalues + 0.0, pairs.multiplicities
    basis, residual = (pairs.basis, pairs.residual) if vectors else (None, float("nan"))
    return Eigenpairs(values, copies, basis, residual, k, method, inertia, n is not None, pairs.note)


def _residual(matrix: sp.csr_array, values: Array, basis: Array) -> float:
    return float(np.sqrt(((matrix @ basis - basis * values) ** 2).sum(axis=0).max()))
