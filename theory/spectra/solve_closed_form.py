"""Eigenvectors in closed form of the families of ``spectra.closed_form``, for the lowest or highest whole eigenspaces.

Cartesian products (grid, torus, cycle, hypercube, hamming): products of the eigenvectors of their factors, for every
kind that is a multiple of D - A (regular graphs) and for D - A itself; the path-star: products of the two tridiagonal
matrices described in ``spectra.closed_form``.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh_tridiagonal

from ..checks import Array
from ..graphs.graph import Graph
from .closed_form import Integers
from .laplacians import laplacian

_PRODUCTS = ("cycle", "torus", "grid", "hypercube", "hamming")


def has_closed_form_columns(graph: Graph) -> bool:
    """Whether ``closed_form_columns`` knows the family (for every kind of which the spectrum is known)."""
    return graph.family in (*_PRODUCTS, "path-star")


def closed_form_columns(graph: Graph, kind: str, values: Array, multiplicities: Integers, *, top: bool) -> Array:
    """Orthonormal eigenvectors, (n, sum of multiplicities), of the first eigenvalues of ``closed_form_spectrum``
    from the bottom or from the top, grouped in the order given."""
    total = int(multiplicities.sum())
    if graph.family == "path-star":
        return _path_star(graph, kind, total, top)
    return _product(graph, total, top)


def _product(graph: Graph, total: int, top: bool) -> Array:
    """The products u_1 (x) ... (x) u_d of eigenvectors of the factors with the ``total`` extreme sums of eigenvalues
    of the factors. Only these columns of each factor are made."""
    family, p = graph.family, graph.parameters
    sides = {"cycle": p[:1], "hypercube": (2,) * p[0], "hamming": (p[-1],) * p[0]}.get(family or "", p)
    wrap = family in ("cycle", "torus")
    complete = family in ("hypercube", "hamming")
    sums = np.zeros(1)
    for side in sides:
        sums = np.add.outer(sums, _factor_values(side, wrap, complete)).ravel()
    extreme = -sums if top else sums
    # Sums that are equal up to rounding belong to one eigenspace, so their order does not matter.
    chosen = np.argpartition(extreme, total - 1)[:total] if total < sums.size else np.arange(total)
    chosen = chosen[np.argsort(extreme[chosen], kind="stable")]
    columns = np.ones((1, total))
    for side, j in zip(sides, np.unravel_index(chosen, sides), strict=True):
        factor = _factor_columns(side, j, wrap, complete)
        columns = (columns[:, None, :] * factor[None, :, :]).reshape(-1, total)
    return columns


def _factor_values(side: int, wrap: bool, complete: bool) -> Array:
    """Eigenvalue of each column of a factor: cycle (cosines for j <= side/2, sines after), path, or K_side."""
    j = np.arange(side)
    if complete:
        return np.where(j == 0, 0.0, float(side))
    return 4.0 * np.sin(np.pi * (np.minimum(j, side - j) / side if wrap else j / (2 * side))) ** 2


def _factor_columns(side: int, j: Integers, wrap: bool, complete: bool) -> Array:
    """Columns j of the orthonormal eigenvectors of a factor, shape (side, j.size)."""
    i = np.arange(side)[:, None]
    if complete:
        # Helmert's contrasts: 1 on the nodes before j, -j on node j.
        columns = np.where(i < j, 1.0, np.where(i == j, -1.0 * j, 0.0))
        columns[:, j == 0] = 1.0
    elif wrap:
        # Angles reduced modulo the side, exact in integers.
        angle = 2.0 * np.pi * (i * np.minimum(j, side - j) % side) / side
        columns = np.where(2 * j <= side, np.cos(angle), np.sin(angle))
    else:
        columns = np.cos(np.pi * ((2 * i + 1) * j % (4 * side)) / (2.0 * side))
    result: Array = columns / np.linalg.norm(columns, axis=0)
    return result


def _path_star(graph: Graph, kind: str, total: int, top: bool) -> Array:
    """With y an eigenvector of one arm's block and c a contrast over arms (sum zero): c (x) y on the arms, zero at
    the root. With z one of the quotient: z_0 at the root and z_t / sqrt(arms) at depth t of every arm."""
    arms, length = graph.parameters
    m = length - 1
    # The root and the first arm hold every coefficient of both matrices.
    corner = laplacian(graph, kind)[:length][:, :length].toarray()
    diagonal, coupling = np.diag(corner).copy(), np.diag(corner, 1).copy()
    block, y = eigh_tridiagonal(diagonal[1:], coupling[1:])
    coupling[0] *= np.sqrt(arms)
    quotient, z = eigh_tridiagonal(diagonal, coupling)
    copies = np.concatenate([np.full(m, arms - 1), np.ones(length, dtype=np.int64)])
    values = np.concatenate([block, quotient])
    order = np.argsort(-values if top else values, kind="stable")
    basis = np.zeros((graph.n, total))
    start = 0
    contrasts: Array | None = None
    for e in order[copies[order] > 0]:
        if start == total:
            break
        stop = start + int(copies[e])
        if e < m:
            if contrasts is None:
                contrasts = _factor_columns(arms, np.arange(1, arms), False, True)
            view = basis[1:].reshape(arms, m, total)
            np.multiply(contrasts[:, None, :], y[:, e, None], out=view[:, :, start:stop])
        else:
            basis[0, start] = z[0, e - m]
            basis[1:, start] = np.tile(z[1:, e - m] / np.sqrt(arms), arms)
        start = stop
    return basis
