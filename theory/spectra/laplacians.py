"""Graph Laplacians, their spectra and their complete eigenspaces; the kinds are defined in ``spectra.closed_form``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.linalg import eigh, eigvalsh

from ..checks import LARGEST_ENTRY, Array, check_array, check_real, check_reals, check_type, shown
from ..graphs.graph import Graph, check_graph
from .closed_form import (
    DENSE_LIMIT,
    EIGENVALUE_TOLERANCE,
    KINDS,
    Integers,
    LaplacianKind,
    Spectrum,
    check_kind,
    closed_form_spectrum,
    merge_eigenvalues,
)

__all__ = [
    "DENSE_LIMIT",
    "EIGENVALUE_TOLERANCE",
    "KINDS",
    "Eigenspaces",
    "LaplacianKind",
    "eigenspaces",
    "laplacian",
    "laplacian_eigenspaces",
    "spectrum",
]

# Relative asymmetry that is rounding, not a mistake.
_SYMMETRY_TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class Eigenspaces:
    """The complete eigenspaces of a real symmetric (n, n) matrix M.

    ``eigenvalues``: (k,) float64, distinct, ascending. ``multiplicities``: (k,) int64, summing to n.
    ``basis``: (n, n) float64 with orthonormal columns, grouped by eigenspace in the order of the eigenvalues,
    so that M = sum_j eigenvalues[j] projector(j). Within an eigenspace the columns are an arbitrary basis:
    compare projectors.
    """

    eigenvalues: Array
    multiplicities: Integers
    basis: Array

    @property
    def labels(self) -> Integers:
        """The index of the eigenspace of each column of ``basis``, shape (n,)."""
        return np.repeat(np.arange(self.eigenvalues.size, dtype=np.int64), self.multiplicities)

    def columns(self, j: int) -> Array:
        """The orthonormal basis of eigenspace ``j``, shape (n, multiplicities[j]); IndexError if there is none."""
        if not 0 <= j < self.eigenvalues.size:
            raise IndexError(f"eigenspace {j} does not exist; there are {self.eigenvalues.size}, counted from 0")
        stop = int(self.multiplicities[: j + 1].sum())
        return self.basis[:, stop - int(self.multiplicities[j]) : stop]

    def projector(self, j: int) -> Array:
        """The orthogonal projector on eigenspace ``j``, shape (n, n); the same for every basis."""
        columns = self.columns(j)
        return columns @ columns.T


def check_spaces(spaces: object) -> Eigenspaces:
    """``spaces`` if they are Eigenspaces; TypeError otherwise."""
    return check_type(spaces, Eigenspaces, "spaces", "make them with laplacian_eigenspaces or eigenspaces")


def laplacian(graph: Graph, kind: str = "combinatorial") -> sp.csr_array:
    """A Laplacian as an (n, n) float64 CSR matrix. With D the diagonal of degrees (a self-loop counts once):

    combinatorial D - A; symmetric I - D^-1/2 A D^-1/2; random-walk I - D^-1 A (not symmetric in general);
    symmetrized-random-walk (I - D^-1 A) + (I - D^-1 A)', the L of arXiv 2510.26745, section 4.

    The row of an isolated node is zero in every kind, as in SciPy and NetworkX: it is a component of its own, with
    eigenvalue zero. Raises ValueError for an unknown kind.
    """
    check_kind(kind)
    adjacency, degrees = check_graph(graph).adjacency, graph.degrees
    if kind == "combinatorial":
        return _canonical(sp.diags_array(degrees) - adjacency)
    connected = degrees > 0
    identity = sp.diags_array(connected.astype(np.float64), format="csr")
    entries = adjacency.tocoo()
    # One division: a node with nothing but a self-loop has exactly a zero row.
    scaled = entries.data / degrees[entries.row]
    if kind == "symmetric":
        # The product of roots commutes, so the result is symmetric to the last bit.
        root = np.sqrt(degrees)
        apart = entries.row != entries.col
        scaled[apart] = (entries.data / (root[entries.row] * root[entries.col]))[apart]
    matrix = identity - sp.coo_array((scaled, (entries.row, entries.col)), shape=adjacency.shape)
    return _canonical(matrix + matrix.T if kind == "symmetrized-random-walk" else matrix)


def eigenspaces(symmetric_matrix: ArrayLike | sp.sparray, *, tolerance: float = EIGENVALUE_TOLERANCE) -> Eigenspaces:
    """The complete eigenspaces of a real symmetric (n, n) matrix, dense or sparse, by a dense solver.

    Sorted eigenvalues that differ by at most tolerance * max |eigenvalue| share an eigenspace, whose
    eigenvalue is their mean. Raises ValueError for a matrix that is not square, finite and symmetric, for n >
    ``DENSE_LIMIT``, or a negative tolerance.
    """
    width = check_real(tolerance, "tolerance")
    if not 0 <= width <= LARGEST_ENTRY:
        raise ValueError(f"tolerance must be a finite number of zero or more; got {shown(tolerance)}")
    values, basis = eigh(_dense_symmetric(symmetric_matrix))
    distinct, multiplicities = merge_eigenvalues(values, tolerance=width)
    return Eigenspaces(distinct, multiplicities, np.ascontiguousarray(basis))


def laplacian_eigenspaces(graph: Graph, kind: str = "symmetrized-random-walk") -> Eigenspaces:
    """The complete eigenspaces of a symmetric Laplacian kind. Raises ValueError for "random-walk", which has
    no orthonormal eigenvectors, and as ``laplacian`` and ``eigenspaces`` do.

    >>> from fiedler.theory import laplacian_eigenspaces, parse
    >>> spaces = laplacian_eigenspaces(parse("cycle:15"))
    >>> spaces.multiplicities.tolist()  # the constant, then seven pairs of a sine and a cosine
    [1, 2, 2, 2, 2, 2, 2, 2]
    >>> spaces.columns(1).shape, spaces.eigenvalues[1].round(4).item()
    ((15, 2), 0.1729)
    """
    check_kind(kind)
    if kind == "random-walk":
        raise ValueError("the 'random-walk' Laplacian is not symmetric; use 'symmetric' or 'symmetrized-random-walk'")
    _check_dense_size(check_graph(graph).n)
    return eigenspaces(laplacian(graph, kind))


def spectrum(graph: Graph, kind: str = "symmetrized-random-walk") -> Spectrum:
    """Distinct ascending eigenvalues (k,) float64 and multiplicities (k,) int64 of a Laplacian.

    In closed form where one is known (any size), else by a dense solver; "random-walk" through the similar
    matrix "symmetric" = D^1/2 (random-walk) D^-1/2. Raises ValueError as ``laplacian`` does, and for n >
    ``DENSE_LIMIT`` without a closed form.

    >>> from fiedler.theory import parse, spectrum
    >>> values, multiplicities = spectrum(parse("hypercube:4"), "combinatorial")
    >>> values.tolist(), multiplicities.tolist()
    ([0.0, 2.0, 4.0, 6.0, 8.0], [1, 4, 6, 4, 1])
    """
    known = closed_form_spectrum(graph, kind)
    if known is not None:
        return known
    _check_dense_size(graph.n)
    symmetric_kind = "symmetric" if kind == "random-walk" else kind
    values = eigvalsh(laplacian(graph, symmetric_kind).toarray())
    return merge_eigenvalues(np.asarray(values, dtype=np.float64))


def _canonical(matrix: Any) -> sp.csr_array:
    result: sp.csr_array = sp.csr_array(matrix)
    result.sum_duplicates()
    result.eliminate_zeros()
    return result


def _check_dense_size(n: int) -> None:
    if n > DENSE_LIMIT:
        raise ValueError(
            f"{n} nodes are too many for a dense eigendecomposition (limit {DENSE_LIMIT}); use a smaller graph or "
            "a family with a closed form (cycle, torus, grid, hypercube, hamming, path-star)"
        )


def _dense_symmetric(matrix: ArrayLike | sp.sparray) -> Array:
    untyped: Any = matrix if sp.issparse(matrix) else check_reals(matrix, "the matrix", kinds="biuf")
    shape = untyped.shape
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(f"eigenspaces need a non-empty square matrix; got shape {shape}")
    _check_dense_size(shape[0])
    if untyped.dtype.kind not in "biuf":  # sparse; of a dense one it is known
        raise ValueError(f"eigenspaces need a real matrix; got dtype {untyped.dtype}")
    dense = np.asarray(untyped.toarray() if sp.issparse(matrix) else untyped, dtype=np.float64)
    check_array(dense, "the matrix")
    gap = np.abs(dense - dense.T).max()
    if gap > _SYMMETRY_TOLERANCE * np.abs(dense).max():
        raise ValueError(
            f"the matrix is not symmetric (largest |M - M'| is {gap:.1e}); pass (M + M') / 2 if that is meant"
        )
    return dense
