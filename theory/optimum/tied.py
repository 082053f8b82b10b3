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

How it is found: ``optimum.search``, an anytime method; no n x n array is made above DENSE_SPECTRUM nodes.
Source: the convex form and its conditions are ours; they make exact what arXiv 2510.26745, section 4 and appendix F,
observes (C V = 0 with col V in the null space of C = 2 S, the rest of its spectrum negative).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components

from ..checks import LARGEST_ENTRY, Array, check_labels, check_matrix, check_room
from ..softmax import check_row_weight, check_weight_decay
from .certificate import Certificate
from .effort import Effort, check_effort
from .objectives import TiedObjective
from .point_rank import tied_point_rank
from .rank import RankRange
from .row_pass import RowPass
from .search import Solution, Watch, relative_gap
from .target_parts import SmoothedTarget, TargetParts, target_parts
from .violation import tied_violation

# a is in the column space of K when its component outside is below this fraction of it: both carry the solver's 1e-9.
ATTAINED_TOLERANCE = 1e-6
METHOD = "low-rank factor, preconditioned L-BFGS and Newton"
EXACT = 1e-10  # of the largest eigenvalue: what rounding adds to a factor of exact rank


@dataclass(frozen=True, eq=False)
class TiedOptimum:
    """The optimal Gram matrix, as a factor, and its certificate.

    ``factor`` (n, r): K = FF', centred within each connected component when the weight decay is zero. ``bias`` (n,):
    the free column bias of the infimum (zeros with weight decay). ``loss``: L there, without weight decay (on a
    disconnected graph without decay its infimum). ``components`` (n,): component of each node within which K is
    centred and finite. ``tolerance``: the relative duality gap asked for, zero for an exact answer; ``converged``:
    whether it was reached; ``stopped_by``: "tolerance", "rounding" (float64 allows no further headway), "time limit"
    or "request". ``problem``: target and row weights, for ``rank_range``.
    """

    factor: Array
    bias: Array
    loss: float
    weight_decay: float
    total_weight: float
    attained: bool
    components: NDArray[np.int64]
    certificate: Certificate
    method: str
    tolerance: float = 0.0
    converged: bool = True
    stopped_by: str = "tolerance"
    problem: tuple[TargetParts, Array] | None = field(default=None, repr=False)

    @property
    def n(self) -> int:
        return len(self.factor)

    @property
    def loss_per_node(self) -> float:
        """L / sum_i w_i."""
        return self.loss / self.total_weight

    @property
    def objective(self) -> float:
        """L + l tr K."""
        return self.loss + self.weight_decay * float((self.factor**2).sum())

    @property
    def relative_gap(self) -> float:
        """duality gap / objective: no embedding has an objective lower than this by more than this part of it."""
        gap = self.certificate.duality_gap
        return relative_gap(self.objective, self.objective - gap)

    @property
    def diverging(self) -> int:
        """Number of directions along which K grows without bound (components - 1)."""
        return int(self.components.max())

    @cached_property
    def gram(self) -> Array:
        """K (n, n). Raises ValueError where it does not fit into memory."""
        check_room(float(self.n) ** 2, "the Gram matrix of the optimum")
        return self.factor @ self.factor.T

    @property
    def centred_gram(self) -> Array:
        """K with row and column means removed, within each component where K is only finite there."""
        centred = self.centred_factor
        check_room(float(self.n) ** 2, "the Gram matrix of the optimum")
        return centred @ centred.T

    @cached_property
    def centred_factor(self) -> Array:
        """C (n, r) with CC' the centred Gram matrix."""
        return centre_rows(self.factor, self.components)

    @property
    def eigenvalues(self) -> Array:
        """Non-zero eigenvalues of the centred Gram matrix, descending."""
        return self._modes[0]

    @property
    def column_space(self) -> Array:
        """Orthonormal basis (n, rank) of the column space of the centred Gram matrix, largest eigenvalue first."""
        return self._modes[1]

    @property
    def rank(self) -> int:
        """Number of eigenvalues that are not zero to rounding; of an answer with a gap, of this point."""
        return len(self.eigenvalues)

    @cached_property
    def rank_range(self) -> RankRange:
        """What the duality gap proves of the rank of the optimum, see ``optimum.rank``: any rank where no ``problem``
        is known, for components of more than DENSE_SPECTRUM nodes, and after a request to stop, since it takes long."""
        if self.problem is None or self.stopped_by == "request":
            return RankRange(0, self.n)
        parts, w = self.problem
        gap = self.certificate.duality_gap
        return tied_point_rank(
            parts, w, self.weight_decay, self.factor, self.bias, self.components, gap, self.objective
        )

    def embedding(self) -> Array:
        """One embedding (n, rank) with the centred Gram matrix; every other is a rotation of it (plus a mean)."""
        values, basis = self._modes
        return basis * np.sqrt(values)

    @cached_property
    def _modes(self) -> tuple[Array, Array]:
        if self.factor.shape[1] == 0:
            return np.zeros(0), np.zeros((self.n, 0))
        left, values, _ = np.linalg.svd(self.centred_factor, full_matrices=False)
        energy = values**2
        keep = energy > EXACT * max(1.0, float(energy[0]))
        return energy[keep], left[:, keep]


def tied_optimum(
    target: ArrayLike | sp.sparray | SmoothedTarget,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    tolerance: float | None = None,
    time_limit: float | None = None,
    watch: Watch | None = None,
    row_pass: RowPass | None = None,
) -> TiedOptimum:
    """The certified optimum of tied Node2Vec for a row-stochastic ``target`` (n, n). See the module for the equations.

    ``target``: an array, a SciPy sparse array, or a ``SmoothedTarget``: above a few thousand nodes a sparse one, of
    which no n x n array is made. ``tolerance``: the relative duality gap to stop at; None is zero (an exact answer, to
    rounding) on small graphs and ``default_tolerance(n)`` above. ``time_limit`` (seconds): the best certified answer so
    far is returned after it, with ``converged`` false. ``watch``: told a ``SolverState`` several times a second;
    returns True to stop as the limit does. ``row_pass``: computes the sums over all pairs of nodes in the place of
    NumPy, on another device, say (``RowPass``).

    Raises ValueError for a bad target, weight, decay, tolerance or limit, or for zero decay with a target that has an
    arc on no directed cycle (see the module; weight_decay > 0 is the remedy).

    >>> from fiedler.theory import one_hop_target, parse, tied_optimum
    >>> optimum = tied_optimum(one_hop_target(parse("karate")), weight_decay=0.5)
    >>> round(optimum.loss_per_node, 4), optimum.rank  # three of 34 dimensions
    (2.8016, 3)
    >>> optimum.eigenvalues.round(2).tolist()
    [21.49, 7.75, 3.77]
    >>> optimum.relative_gap < 1e-9
    True
    """
    parts, decay = target_parts(target), check_weight_decay(weight_decay)
    w = check_row_weight(row_weight, parts.n)
    effort = check_effort(tolerance, time_limit, watch, parts.n, row_pass)
    if decay > 0:
        return _with_decay(parts, w, decay, effort)
    labels = components_of(parts, w)
    if not arcs_on_cycles(parts, w):
        raise ValueError(
            "the target's support is not symmetric (a directed graph) and an arc of it lies on no cycle: without "
            "weight decay its optimum may not be finite; use weight_decay > 0 or an undirected graph"
        )
    return _component_by_component(parts, w, labels, effort)


def _with_decay(parts: TargetParts, w: Array, decay: float, effort: Effort) -> TiedOptimum:
    objective = TiedObjective(parts, w, decay)
    found = effort.search(objective)
    return TiedOptimum(
        found.factor,
        found.bias,
        found.value - decay * float((found.factor**2).sum()),
        decay,
        float(w.sum()),
        True,
        np.zeros(parts.n, dtype=np.int64),
        Certificate(tied_violation(objective, found.factor, found.bias), found.value - found.bound),
        METHOD,
        effort.tolerance,
        found.converged,
        found.stopped_by,
        (parts, w),
    )


def _component_by_component(parts: TargetParts, w: Array, labels: NDArray[np.int64], effort: Effort) -> TiedOptimum:
    count = int(labels.max()) + 1
    # Rows of no weight are single nodes here: their component has no term in the loss.
    groups = [nodes for nodes in _groups(labels, count) if w[nodes].any()]
    found: list[tuple[NDArray[np.intp], Solution, float]] = []
    left = float(sum(len(nodes) ** 2 for nodes in groups))
    for nodes in groups:
        part = parts if count == 1 else parts.part(nodes)
        objective = TiedObjective(part, w[nodes], 0.0)
        solution = effort.search(objective, share=len(nodes) ** 2 / left)
        left -= len(nodes) ** 2
        found.append((nodes, solution, tied_violation(objective, solution.factor, solution.bias)))
    factor = np.zeros((parts.n, sum(s.factor.shape[1] for _, s, _ in found)))
    bias, column = np.zeros(parts.n), 0
    for nodes, solution, _ in found:
        width = solution.factor.shape[1]
        factor[nodes, column : column + width] = solution.factor
        bias[nodes], column = solution.bias, column + width
    loss = sum(s.value for _, s, _ in found)
    worst = next((s.stopped_by for _, s, _ in found if not s.converged), "tolerance")
    return TiedOptimum(
        factor,
        bias,
        loss,
        0.0,
        float(w.sum()),
        count == 1 and all(_in_column_space(s.factor, s.bias) for _, s, _ in found),
        labels,
        Certificate(max(v for _, _, v in found), sum(s.value - s.bound for _, s, _ in found)),
        METHOD + ", with a free column bias" + (f", {count} components apart" if count > 1 else ""),
        effort.tolerance,
        all(s.converged for _, s, _ in found),
        worst,
        (parts, w),
    )


def _groups(labels: NDArray[np.int64], count: int) -> list[NDArray[np.intp]]:
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, count)))


def components_of(parts: TargetParts, w: Array) -> NDArray[np.int64]:
    """The connected component of each node under the arcs w_i T_ij > 0."""
    if parts.uniform > 0:
        return np.zeros(parts.n, dtype=np.int64)
    return np.asarray(connected_components(parts.weighted(w), directed=False)[1], dtype=np.int64)


def arcs_on_cycles(target: Array | TargetParts, row_weight: Array) -> bool:
    """Whether every arc w_i T_ij > 0 lies on a directed cycle, and the optimum exists without weight decay."""
    parts = target_parts(target)
    if parts.uniform > 0:
        return bool((row_weight > 0).all() or not (row_weight > 0).any())
    arcs = parts.weighted(row_weight)
    arcs.eliminate_zeros()
    weak, strong = (connected_components(arcs, connection=kind)[0] for kind in ("weak", "strong"))
    return bool(weak == strong)


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
