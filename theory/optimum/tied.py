"""What tied Node2Vec converges to: the certified optimum of softmax cross-entropy over Gram matrices.

    minimise  f(K) = L(K) + l tr K   over K = VV' >= 0,    L(Z) = sum_i w_i [lse(Z_i) - T_i . Z_i]

f is convex (log-sum-exp minus linear), so the optimum of K is global and gradient flow from a wide V reaches it.
Optimality (KKT), S = (R + R')/2, R = diag(w)(T - P):   S K = l K   and   S <= l I. Low rank is complementary
slackness: rank K + rank(l I - S) <= n.

l = 0: K -> K + c 11' leaves P unchanged (K is reported centred), and the infimum may not be attained. It equals the
optimum over logits v_i . v_j + a_j with centred V and a free bias a, because V + 1 mu' has the logits
v_i . v_j + v_j . mu up to a constant per row, and a vanishing extra column of V with a diverging mean realises any a in
the limit. It is attained exactly when a lies in the column space of K (up to a constant). On a disconnected graph the
separation between components diverges; the infimum is the sum of the components' optima.

Directed targets: K is symmetric, so f knows the target by sym(diag(w) T) and, with the bias, by its column sums only;
one whose two directions average to the target of an undirected graph (a cycle, forward) has that graph's optimum. At
l = 0 a finite K and a exist where every arc w_i T_ij > 0 lies on a directed cycle (the components are strongly
connected). For along a direction (D, b) that never raises f, D_ij + b_j >= D_ii + b_i on every arc; summed around a
cycle, D = XX' gives sum |x_i - x_j|^2 <= 0, so D and b are constant on it. Otherwise f may fall for ever (D = 11' on
the nodes that an arc leads to and none leaves, once one of them has a positive weight) and l > 0 is asked for.

Rows of weight zero have no term in f, so that their T means nothing; l > 0 takes them as they are.

Limits: dense, O(n^3) memory-bound linear algebra, meant for n up to a few hundred.
Source: the convex form and its conditions are ours; they make exact what arXiv 2510.26745, section 4 and appendix F,
observes (C V = 0 with col V in the null space of C = 2 S, the rest of its spectrum negative).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components

from ..checks import LARGEST_ENTRY, Array, check_labels, check_matrix
from ..softmax import check_row_weight, check_target, check_weight_decay, cross_entropy
from .burer_monteiro import solve
from .certificate import Certificate, tied_certificate
from .objectives import TiedObjective

OPTIMUM_LIMIT = 2000  # nodes: the dense solver needs minutes and a gigabyte here, and grows with the cube

# a is in the column space of K when its component outside is below this fraction of it: both carry the solver's 1e-9.
ATTAINED_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class TiedOptimum:
    """The optimal Gram matrix and its certificate.

    ``gram`` (n, n): K, centred within each connected component when the weight decay is zero. ``bias`` (n,): the free
    column bias of the infimum (zeros with weight decay). ``loss``: L at the optimum, without weight decay (on a
    disconnected graph without decay its infimum). ``components`` (n,): component of each node within which K is
    centred and finite. ``diverging``: number of directions along which K grows without bound (components - 1).
    """

    gram: Array
    bias: Array
    loss: float
    weight_decay: float
    total_weight: float
    attained: bool
    components: NDArray[np.int64]
    certificate: Certificate
    method: str

    @property
    def loss_per_node(self) -> float:
        """L / sum_i w_i."""
        return self.loss / self.total_weight

    @property
    def diverging(self) -> int:
        return int(self.components.max())

    @property
    def centred_gram(self) -> Array:
        """K with row and column means removed, within each component where K is only finite there."""
        return centre_gram(self.gram, self.components)

    @property
    def eigenvalues(self) -> Array:
        """Non-zero eigenvalues of the centred Gram matrix, descending."""
        return self._eigh()[0]

    @property
    def column_space(self) -> Array:
        """Orthonormal basis (n, rank) of the column space of the centred Gram matrix, largest eigenvalue first."""
        return self._eigh()[1]

    @property
    def rank(self) -> int:
        """Rank of the centred Gram matrix."""
        return len(self.eigenvalues)

    def embedding(self) -> Array:
        """One embedding (n, rank) with the centred Gram matrix; every other is a rotation of it (plus a mean)."""
        values, basis = self._eigh()
        return basis * np.sqrt(values)

    def _eigh(self) -> tuple[Array, Array]:
        values, modes = eigh(self.centred_gram)
        # The solver returns K of exact rank; what eigh adds is rounding of the largest eigenvalue.
        keep = values > 1e-10 * max(1.0, float(values.max(initial=0.0)))
        return values[keep][::-1], modes[:, keep][:, ::-1]


def tied_optimum(target: ArrayLike, *, weight_decay: float = 0.0, row_weight: ArrayLike | None = None) -> TiedOptimum:
    """The certified optimum of tied Node2Vec for a row-stochastic ``target`` (n, n). See the module for the equations.

    Raises ValueError for a bad target, weight or decay, or for zero decay with a target that has an arc on no directed
    cycle (see the module; weight_decay > 0 is the remedy); RuntimeError when no certified optimum is found.

    >>> from fiedler.theory import one_hop_target, parse, tied_optimum
    >>> optimum = tied_optimum(one_hop_target(parse("karate")), weight_decay=0.5)
    >>> round(optimum.loss_per_node, 4), optimum.rank  # three of 34 dimensions
    (2.8016, 3)
    >>> optimum.eigenvalues.round(2).tolist()
    [21.49, 7.75, 3.77]
    >>> optimum.certificate.duality_gap < 1e-6
    True
    """
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    check_size(n)
    if decay > 0:
        solution = solve(TiedObjective(t, w, decay, with_bias=False))
        gram = solution.factor @ solution.factor.T
        return TiedOptimum(
            gram,
            np.zeros(n),
            float(cross_entropy(gram, t, w)),
            decay,
            float(w.sum()),
            True,
            np.zeros(n, dtype=np.int64),
            tied_certificate(t, w, decay, solution.factor, solution.bias),
            "Burer-Monteiro, L-BFGS and Newton-MINRES",
        )
    count, labels = connected_components(sp.csr_array(w[:, None] * t), directed=False)
    if not arcs_on_cycles(t, w):
        raise ValueError(
            "the target's support is not symmetric (a directed graph) and an arc of it lies on no cycle: without "
            "weight decay its optimum may not be finite; use weight_decay > 0 or an undirected graph"
        )
    gram, bias, loss, attained = np.zeros((n, n)), np.zeros(n), 0.0, count == 1
    certificates = []
    for c in range(count):
        nodes = np.flatnonzero(labels == c)
        if not w[nodes].any():  # a single node that is in no row of the loss
            continue
        part = t[np.ix_(nodes, nodes)]
        solution = solve(TiedObjective(part, w[nodes], 0.0, with_bias=True))
        block = solution.factor @ solution.factor.T
        gram[np.ix_(nodes, nodes)], bias[nodes] = block, solution.bias
        loss += float(cross_entropy(block + solution.bias, part, w[nodes]))
        attained = attained and _in_column_space(solution.factor, solution.bias)
        certificates.append(tied_certificate(part, w[nodes], 0.0, solution.factor, solution.bias))
    return TiedOptimum(
        gram,
        bias,
        loss,
        0.0,
        float(w.sum()),
        bool(attained),
        labels.astype(np.int64),
        Certificate(max(c.max_violation for c in certificates), sum(c.duality_gap for c in certificates)),
        "Burer-Monteiro with a free column bias, L-BFGS and Newton-MINRES"
        + (f", {count} components apart" if count > 1 else ""),
    )


def arcs_on_cycles(target: Array, row_weight: Array) -> bool:
    """Whether every arc w_i T_ij > 0 lies on a directed cycle, and the optimum exists without weight decay."""
    arcs = sp.csr_array(row_weight[:, None] * target)
    weak, strong = (connected_components(arcs, connection=kind)[0] for kind in ("weak", "strong"))
    return bool(weak == strong)


def check_size(n: int) -> None:
    """Raises ValueError above OPTIMUM_LIMIT nodes."""
    if n > OPTIMUM_LIMIT:
        raise ValueError(f"the dense optimum handles up to {OPTIMUM_LIMIT} nodes, got {n}; use a smaller graph")


def centre_gram(gram: ArrayLike, components: ArrayLike | None = None) -> Array:
    """J K J for a finite K (n, n), J = I - 11'/n, or with the mean of each component removed when ``components``, one
    label from 0 on a node, are given."""
    k = check_matrix(gram, (None, None), "gram", largest=LARGEST_ENTRY**2)
    if k.shape[0] != k.shape[1]:
        raise ValueError(f"gram must be a square matrix; got shape {k.shape}")
    if len(k) == 0:
        raise ValueError(f"gram must have a row for each node; got shape {k.shape}")
    labels = None if components is None else check_labels(components, len(k), "components")
    return _centred(_centred(k, labels).T, labels).T


def centre_rows(embedding: ArrayLike, components: ArrayLike | None = None) -> Array:
    """J V: the finite embedding (n, m), n >= 1, minus its mean row, or minus the mean row of each component."""
    v = check_matrix(embedding, (None, None), "embedding")
    if len(v) == 0:
        raise ValueError(f"embedding must have a row for each node; got shape {v.shape}")
    return _centred(v, None if components is None else check_labels(components, len(v), "components"))


def _centred(v: Array, labels: NDArray[np.int64] | None) -> Array:
    if labels is None:
        return np.asarray(v - v.mean(axis=0))
    counts = np.maximum(np.bincount(labels), 1)  # labels may be left out
    sums = np.zeros((len(counts), v.shape[1]))
    np.add.at(sums, labels, v)
    return np.asarray(v - (sums / counts[:, None])[labels])


def _in_column_space(factor: Array, bias: Array) -> bool:
    outside = bias - bias.mean()
    size = np.linalg.norm(outside)
    if factor.shape[1]:
        basis, _ = np.linalg.qr(factor)
        outside = outside - basis @ (basis.T @ outside)
    return bool(np.linalg.norm(outside) <= ATTAINED_TOLERANCE * max(1.0, float(size)))
