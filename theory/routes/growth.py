"""Growth rates of the early phase for a graph of any size: the modes of theory.linearized, without an n x n array where
a closed-form spectrum or the graph's symmetry gives them.

Tied: eigenvalues of S0 = T + T' - 2 (11')/n - 2 l; untied: singular values of T - 11'/n, minus l. On an
r-regular graph both come from the adjacency's eigenvalues: T has eigenvalues t = 1 - mu, mu those of I - D^-1 A (with
self-edges (r t + 1) / (r + 1), with smoothing a factor 1 - a), and S0 has 2 t away from the constant vector, 0 on it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import eigsh, svds

from ..checks import DENSE_LIMIT, Array, check_flag, check_smoothing
from ..flow.early import early_modes
from ..graphs.graph import Graph, check_graph
from ..optimum.objectives import TiedObjective, UntiedObjective
from ..optimum.target_parts import SmoothedTarget, TargetParts, target_parts
from ..softmax import check_weight_decay
from ..spectra.closed_form import (
    CLOSED_FORM_TOLERANCE,
    EIGENVALUE_TOLERANCE,
    Spectrum,
    closed_form_spectrum,
    merge_eigenvalues,
)
from ..symmetry.blocks import BlockAlgebra
from ..targets.one_hop import one_hop_sparse, one_hop_target
from .optimum import useful_symmetry

LEADING = 64  # rates of a large graph


def growth_rates(
    graph: Graph,
    *,
    tied: bool = True,
    weight_decay: float = 0.0,
    self_edges: bool = False,
    label_smoothing: float = 0.0,
) -> Spectrum:
    """Distinct growth rates s_k of the modes around zero embeddings, descending, with multiplicities; both (k,).

    Positive rates grow: energy s^2 reaches order one at ln(1/s^2) / (2 s_k), in units of step size times steps. Above
    DENSE_LIMIT nodes without closed form or symmetry only the LEADING largest are found. Raises ValueError for a bad
    option or an isolated node without self-edges.
    """
    decay, smoothing = check_weight_decay(weight_decay), check_smoothing(label_smoothing)
    check_flag(tied, "tied"), check_flag(self_edges, "self_edges")
    degrees = check_graph(graph).degrees
    known = None
    if graph.n > 1 and degrees.min() > 0 and np.ptp(degrees) == 0:
        known = closed_form_spectrum(graph, "random-walk")
    if known is not None:
        return _regular(known, float(degrees[0]), tied, decay, self_edges, smoothing)
    symmetry = useful_symmetry(graph)
    if symmetry is not None:
        target = symmetry.target(self_edges=self_edges, label_smoothing=label_smoothing)
        values, counts = _on_blocks(symmetry.algebra, target, tied)
        return _descending(values - (2 * decay if tied else decay), counts)
    if graph.n > DENSE_LIMIT:
        parts = target_parts(SmoothedTarget(one_hop_sparse(graph, self_edges=self_edges), smoothing))
        values = _leading(parts, tied)
        return _descending(values - (2 * decay if tied else decay), np.ones(len(values), dtype=np.int64))
    target = one_hop_target(graph, self_edges=self_edges, label_smoothing=smoothing)
    return target_growth_rates(target, tied=tied, weight_decay=decay)


def target_growth_rates(
    target: ArrayLike, *, tied: bool = True, weight_decay: float = 0.0, row_weight: ArrayLike | None = None
) -> Spectrum:
    """The same for any row-stochastic ``target`` (n, n) and row weights (n,), ones when None, by the dense route."""
    decay = check_weight_decay(weight_decay)
    values = early_modes(target, tied=tied, row_weight=row_weight).rates
    return _descending(values - (2 * decay if tied else decay), np.ones(len(values), dtype=np.int64))


def _leading(parts: TargetParts, tied: bool) -> Array:
    """The LEADING largest rates without decay, row weights one, by Lanczos' method."""
    w, first = np.ones(parts.n), np.random.default_rng(0).standard_normal(parts.n)
    if not tied:
        residual = UntiedObjective(parts, w, 0.0).at_zero()
        return np.asarray(svds(residual, k=LEADING, v0=first, return_singular_vectors=False))
    both = TiedObjective(parts, w, 0.0).at_zero()
    return np.asarray(eigsh(both, k=LEADING, which="LA", v0=first, return_eigenvectors=False))


def _regular(known: Spectrum, degree: float, tied: bool, decay: float, loops: bool, smoothing: float) -> Spectrum:
    t, counts = 1.0 - known[0], known[1].copy()
    if loops:
        t = (degree * t + 1.0) / (degree + 1.0)
    t = (1.0 - smoothing) * t
    counts[0] -= 1  # one constant vector, whose rate is zero
    rates = np.concatenate([2 * t if tied else np.abs(t), [0.0]])
    merged = np.concatenate([counts, [1]])
    return _descending(rates - (2 * decay if tied else decay), merged, CLOSED_FORM_TOLERANCE)


def _on_blocks(algebra: BlockAlgebra, target: Array, tied: bool) -> tuple[Array, NDArray[np.int64]]:
    if tied:
        # S0 = T + T' - (1 w' + w 1')/n at w = 1, column sums of P = 11'/n being one.
        blocks = algebra.to_blocks(target + target[algebra.transpose] - 2.0 / algebra.n)
        each = [np.linalg.eigvalsh((b + b.T) / 2) for b in blocks]
    else:
        each = [np.linalg.svd(b, compute_uv=False) for b in algebra.to_blocks(target - 1.0 / algebra.n)]
    counts = [np.full(len(v), m, dtype=np.int64) for v, m in zip(each, algebra.multiplicity, strict=True)]
    return np.concatenate(each), np.concatenate(counts)


def _descending(values: Array, counts: NDArray[np.int64], tolerance: float = EIGENVALUE_TOLERANCE) -> Spectrum:
    rates, multiplicities = merge_eigenvalues(values, counts, tolerance)
    return rates[::-1], multiplicities[::-1]
