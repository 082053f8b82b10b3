"""Block form of a coherent algebra: small matrices whose size does not depend on how often a pattern repeats.

A matrix K = sum_c x_c A_c of the algebra (A_c the 0/1 matrix of colour c, x one number a colour) is orthogonally
similar to blocks M_b = sum_c x_c B_b[c], each repeated m_b times: sum_b m_b d_b = n. Products, transposes, eigenvalues
and positive semidefiniteness pass to the blocks, entrywise functions act on x. Back: x_c = sum_b m_b <M_b, B_b[c]> /
|c|, |c| the number of pairs of colour c. The first block is the trivial one, in the basis of normalised node types; it
holds the constant vector. Source: Wedderburn's theorem; numerically as in Murota, Kanno, Kojima and Kojima (2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks import Array, check_type
from .coherent import Colouring

Integers = NDArray[np.int64]

# Eigenvalues of a generic element closer than this (relative to the largest) belong to one eigenspace: n eps = 1e-12
# for the solver, against gaps of random numbers of order one.
SAME_EIGENVALUE = 1e-9
NEGLIGIBLE = 1e-8  # singular value of a unit vector's images that counts as zero: the solver's 1e-12 over such a gap
CONSISTENT = 1e-8  # a random element must come back from its blocks this well, else the blocks are wrong


@dataclass(frozen=True, eq=False)
class BlockAlgebra:
    """Colours and blocks of the algebra of n nodes.

    Per colour (q,): ``row_type``, ``column_type``, ``valency`` (entries a row), ``transpose``; ``identity`` (r,): the
    colour of the pairs (i, i) of each type. ``type_sizes`` (r,). Per block: ``multiplicity`` and ``basis`` B_b
    (q, d_b, d_b).
    """

    type_sizes: Array
    row_type: Integers
    column_type: Integers
    valency: Array
    transpose: Integers
    identity: Integers
    multiplicity: tuple[int, ...]
    basis: tuple[Array, ...]

    @property
    def n(self) -> int:
        return int(self.type_sizes.sum())

    @property
    def colours(self) -> int:
        return len(self.valency)

    @property
    def dimensions(self) -> tuple[int, ...]:
        """d_b of each block."""
        return tuple(b.shape[1] for b in self.basis)

    @property
    def class_sizes(self) -> Array:
        """|c|: number of pairs of each colour (q,)."""
        return np.asarray(self.type_sizes[self.row_type] * self.valency)

    def to_blocks(self, x: Array) -> tuple[Array, ...]:
        """M_b = sum_c x_c B_b[c] for every block; x (q,) or a batch (..., q)."""
        flat = (basis.reshape(self.colours, -1) for basis in self.basis)
        return tuple((x @ rows).reshape(*x.shape[:-1], d, d) for rows, d in zip(flat, self.dimensions, strict=True))

    def to_colours(self, blocks: Sequence[Array]) -> Array:
        """x (q,) of the element with these blocks, or a batch of them: the inverse of ``to_blocks`` on the algebra,
        elsewhere its projection."""
        total: Array | float = 0.0
        for m, block, basis in zip(self.multiplicity, blocks, self.basis, strict=True):
            d = basis.shape[1]
            total = total + m * (block.reshape(*block.shape[:-2], d * d) @ basis.reshape(self.colours, -1).T)
        return np.asarray(total / self.class_sizes)

    def constant(self) -> Array:
        """The unit vector 1 / sqrt(n) in the trivial block's basis (r,)."""
        return np.asarray(np.sqrt(self.type_sizes / self.n))


def check_algebra(algebra: object) -> BlockAlgebra:
    """``algebra`` if it is a BlockAlgebra; TypeError otherwise."""
    return check_type(algebra, BlockAlgebra, "algebra", "make one with block_algebra or graph_symmetry")


def block_algebra(colouring: Colouring) -> BlockAlgebra:
    """The blocks of a coherent colouring, found numerically: invariant subspaces of a generic symmetric element.

    Each block is the restriction to the subspace that the algebra makes out of one generic vector; over the reals it
    may hold a complex block as a real one of twice the size, which changes none of the rules. Raises RuntimeError when
    a random element does not survive the way to the blocks and back.
    """
    check_type(colouring, Colouring, "colouring", "make one with coherent_colouring")
    n, q = colouring.n, colouring.count
    rng = np.random.default_rng(0)
    sizes = colouring.type_sizes
    types = np.zeros((n, len(sizes)))
    types[np.arange(n), colouring.node_type] = 1 / np.sqrt(sizes[colouring.node_type])
    bases, multiplicities = [types], [1]

    x = rng.standard_normal(q)
    generic = (x + x[colouring.transpose])[colouring.colour]
    values, vectors = _outside(types, generic)
    starts = np.flatnonzero(
        np.diff(values, prepend=-np.inf) > SAME_EIGENVALUE * max(1.0, np.abs(values).max(initial=0))
    )
    spaces = np.split(vectors, starts[1:], axis=1) if len(values) else []
    todo = list(range(len(spaces)))
    while todo:
        first = todo[0]
        start = spaces[first] @ rng.standard_normal(spaces[first].shape[1])
        module = _module(start / np.linalg.norm(start), colouring)
        met = [k for k in todo if np.linalg.norm(spaces[k].T @ module) > NEGLIGIBLE]
        bases.append(module)
        multiplicities.append(sum(spaces[k].shape[1] for k in met) // module.shape[1])
        todo = [k for k in todo if k not in met]
    algebra = BlockAlgebra(
        sizes.astype(np.float64),
        colouring.row_type,
        colouring.column_type,
        colouring.valency.astype(np.float64),
        colouring.transpose,
        np.unique(np.diagonal(colouring.colour)),
        tuple(multiplicities),
        tuple(_restrict(basis, colouring) for basis in bases),
    )
    back = algebra.to_colours(algebra.to_blocks(x))
    if sum(m * d for m, d in zip(algebra.multiplicity, algebra.dimensions, strict=True)) != n or (
        np.abs(back - x).max() > CONSISTENT * np.abs(x).max()
    ):
        raise RuntimeError("the block-diagonalisation failed to reproduce a random element; use the general route")
    return algebra


def _outside(types: Array, generic: Array) -> tuple[Array, Array]:
    """Eigenpairs of ``generic`` on the orthogonal complement of the span of the types."""
    complement = np.linalg.qr(types, mode="complete")[0][:, types.shape[1] :]
    values, vectors = np.linalg.eigh(complement.T @ generic @ complement)
    return values, complement @ vectors


def _module(u: Array, colouring: Colouring) -> Array:
    """Orthonormal basis of the span of A_c u over the colours c."""
    n, q = colouring.n, colouring.count
    cells = np.arange(n)[:, None] * q + colouring.colour
    images = np.bincount(cells.ravel(), weights=np.tile(u, n), minlength=n * q).reshape(n, q)
    # Only colours that leave from the same rows and scale alike matter: normalise each image.
    left, values, _ = np.linalg.svd(images / np.sqrt(colouring.valency), full_matrices=False)
    return np.asarray(left[:, values > NEGLIGIBLE])


def _restrict(basis: Array, colouring: Colouring) -> Array:
    """Q' A_c Q for every colour: (q, d, d)."""
    d, flat = basis.shape[1], colouring.colour.ravel()
    out = np.empty((colouring.count, d, d))
    for a in range(d):
        for b in range(d):
            weights = np.multiply.outer(basis[:, a], basis[:, b]).ravel()
            out[:, a, b] = np.bincount(flat, weights=weights, minlength=colouring.count)
    return out
