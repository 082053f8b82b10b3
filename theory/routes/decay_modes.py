"""The modes of an optimum at one weight decay: eigendirections of its centred Gram matrix, in Laplacian eigenspaces.

K* is the Gram matrix of the optimal V: tied the K of ``optimum.tied``, untied (Z Z')^(1/2) of the logits Z of
``optimum.untied`` (V U' = Z with the least ||V||^2 + ||U||^2). Two routes: all nodes, and the blocks of the graph's
symmetry, where the symmetrized random-walk Laplacian is a matrix of the algebra too, so that its eigenvectors lie in
the same blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks import Array
from ..optimum.tied import centre_gram, tied_optimum
from ..optimum.untied import untied_optimum
from ..spectra.closed_form import merge_eigenvalues
from ..spectra.laplacians import Eigenspaces
from ..symmetry.of_graph import Symmetry
from ..symmetry.optimum import reduced_tied_optimum
from ..symmetry.untied import reduced_untied_optimum

NO_RANK = 1e-9  # eigenvalues of K below this part of the largest, or of one, are the solvers' rounding
# Of a column space in an eigenspace: away from rank changes the solvers' error, squared, is below 1e-12.
NO_SHARE = 1e-9


@dataclass(frozen=True, eq=False)
class OptimumModes:
    """The eigendirections of the centred Gram matrix, largest first: ``counts`` (d,) how often each is repeated, and
    ``shares`` (d, q), its squared norm in each Laplacian eigenspace."""

    counts: NDArray[np.int64]
    shares: Array

    @property
    def rank(self) -> int:
        return int(self.counts.sum())

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which spaces have energy, (q,): the column space is not orthogonal to them."""
        return np.asarray((self.counts[:, None] * self.shares > NO_SHARE).any(axis=0))

    def last(self, count: int) -> Array:
        """Mean shares (q,) of the ``count`` directions of the smallest eigenvalues."""
        each = np.repeat(self.shares, self.counts, axis=0)
        return np.asarray(each[len(each) - count :].mean(axis=0))


class BlockModes:
    """The optimum of a ``target`` (one value a colour) over the blocks of a symmetry; ``spectrum``: the Laplacian's
    eigenvalues and multiplicities."""

    def __init__(self, symmetry: Symmetry, target: Array, tied: bool) -> None:
        self.algebra, self.target, self.tied = symmetry.algebra, target, tied
        pairs = [np.linalg.eigh(block) for block in self.algebra.to_blocks(_laplacian(symmetry))]
        values = np.concatenate([value for value, _ in pairs])
        counts = [np.full(len(v), m) for (v, _), m in zip(pairs, self.algebra.multiplicity, strict=True)]
        self.spectrum = merge_eigenvalues(values, np.concatenate(counts).astype(np.int64))
        nearest = [np.abs(np.subtract.outer(v, self.spectrum[0])).argmin(axis=1) for v, _ in pairs]
        self.bases = [vectors for _, vectors in pairs]
        self.members = [np.equal.outer(np.arange(len(self.spectrum[0])), label).astype(np.float64) for label in nearest]

    def modes(self, decay: float) -> OptimumModes:
        """At a decay > 0. Raises RuntimeError when no certified optimum is found."""
        values, shares, counts = [], [], []
        for number, gram in enumerate(self._grams(decay)):
            if number == 0:
                off = np.eye(len(gram)) - np.multiply.outer(self.algebra.constant(), self.algebra.constant())
                gram = off @ gram @ off
            value, vectors = np.linalg.eigh((gram + gram.T) / 2)
            values.append(value)
            shares.append((self.members[number] @ (self.bases[number].T @ vectors) ** 2).T)
            counts.append(np.full(len(value), self.algebra.multiplicity[number]))
        value = np.concatenate(values)
        order = np.argsort(-value, kind="stable")
        nonzero = order[value[order] > NO_RANK * max(1.0, float(value.max()))]
        return OptimumModes(np.concatenate(counts)[nonzero].astype(np.int64), np.concatenate(shares)[nonzero])

    def _grams(self, decay: float) -> tuple[Array, ...]:
        if self.tied:
            return self.algebra.to_blocks(reduced_tied_optimum(self.algebra, self.target, weight_decay=decay).gram)
        logits = reduced_untied_optimum(self.algebra, self.target, weight_decay=decay).logits
        assert logits is not None  # with decay the optimum is attained
        return tuple(_left_root(block) for block in self.algebra.to_blocks(logits))


def dense_modes(
    target: Array, spaces: Eigenspaces, tied: bool, decay: float, row_weight: Array | None = None
) -> OptimumModes:
    """The same over all nodes, for a target (n, n), row weights (n,) and the Laplacian's eigenspaces."""
    if tied:
        gram = tied_optimum(target, weight_decay=decay, row_weight=row_weight).gram
    else:
        logits = untied_optimum(target, weight_decay=decay, row_weight=row_weight).logits
        assert logits is not None
        gram = _left_root(logits)
    values, vectors = np.linalg.eigh(centre_gram(gram))
    nonzero = vectors[:, values > NO_RANK * max(1.0, float(values[-1]))][:, ::-1]
    starts = np.cumsum(spaces.multiplicities) - spaces.multiplicities
    shares = np.add.reduceat((spaces.basis.T @ nonzero) ** 2, starts, axis=0).T
    return OptimumModes(np.ones(nonzero.shape[1], dtype=np.int64), shares)


def _left_root(logits: Array) -> Array:
    """(Z Z')^(1/2): the Gram matrix of V where V U' = Z costs least."""
    left, values, _ = np.linalg.svd(logits)
    return np.asarray((left * values) @ left.T)


def _laplacian(symmetry: Symmetry) -> Array:
    """The symmetrized random-walk Laplacian as one value a colour (q,)."""
    a = symmetry.algebra
    degree = np.bincount(a.row_type, weights=a.valency * symmetry.adjacency, minlength=len(a.type_sizes))
    walk = np.divide(symmetry.adjacency, degree[a.row_type], out=np.zeros(a.colours), where=degree[a.row_type] > 0)
    laplacian = -(walk + walk[a.transpose])
    laplacian[a.identity] += np.where(degree[a.row_type[a.identity]] > 0, 2.0, 0.0)
    return np.asarray(laplacian)
