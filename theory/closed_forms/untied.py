"""Optima of untied Node2Vec in closed form.

No decay. The infimum is the entropy of the target, sum_i H(T_i), for every graph: attained only where T has no zero.
With label smoothing it is attained by log T up to row constants; on an r-regular unweighted graph
Z = g (A - r 11'/n), g = ln(1 + (1 - alpha) n / (alpha r)) (self-edges: A + I and r + 1), whose singular values are g
times the moduli of the non-trivial adjacency eigenvalues: the target's own structure, up to one scale.

Decay. On the same graphs the optimum is zero exactly when lambda >= ||R at 0||_2 = (1 - alpha) max_k |T_k|; below that
the cycle is a problem in one number per frequency (``closed_forms.untied_cycle``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..checks import Array
from ..graphs.graph import Graph
from ..spectra.closed_form import EIGENVALUE_TOLERANCE, closed_form_spectrum, merge_eigenvalues
from ..targets.one_hop import one_hop_sparse
from .form import ClosedForm, Kernel, check_options
from .product import ProductKernel
from .untied_cycle import CYCLE_LIMIT, DECAY_FLOOR, untied_cycle_optimum


@dataclass(frozen=True, eq=False)
class AdjacencyKernel:
    """Z = gain (A + loops I) with row means removed."""

    adjacency: sp.csr_array
    gain: float
    loops: bool

    def matrix(self) -> Array:
        dense = self.gain * (self.adjacency.toarray() + self.loops * np.eye(self.adjacency.shape[0]))
        return np.asarray(dense - dense.mean(axis=1, keepdims=True))


def untied_closed_form(
    graph: Graph, *, weight_decay: float = 0.0, self_edges: bool = False, label_smoothing: float = 0.0
) -> ClosedForm | None:
    """The optimum of untied Node2Vec on ``graph``, or None where no closed form is known; see the module.

    No decay or smoothing: the infimum on every graph, not attained where the target has a zero, rank 0 reported.
    Smoothing: regular graphs with a closed-form spectrum. Decay: the same graphs from ``zero_from`` on, and below it
    cycles up to CYCLE_LIMIT nodes with decay from DECAY_FLOOR on.

    Raises ValueError for options out of range and for isolated nodes without self-edges.
    """
    weight_decay, self_edges, label_smoothing = check_options(weight_decay, self_edges, label_smoothing)
    target, n = one_hop_sparse(graph, self_edges=self_edges), graph.n
    full = target.nnz == n**2
    if weight_decay == 0 and label_smoothing == 0 and not full:
        return _form(graph, -float(target.data @ np.log(target.data)) / n, 0.0, np.nan, None, attained=False)
    edges, known = graph.adjacency, closed_form_spectrum(graph, "combinatorial")
    degrees = np.diff(edges.indptr)
    if known is None or (degrees != degrees[0]).any() or (edges.data != edges.data[0]).any():
        return None
    values, counts = known
    degree = int(degrees[0]) + self_edges
    theta = np.abs(degree - values[1:])  # the constant mode comes first: these families are connected
    zero_from = (1 - label_smoothing) * float(theta.max(initial=0.0)) / degree
    if full or weight_decay > 0:
        if full or weight_decay >= zero_from:
            return _form(graph, float(np.log(n)), weight_decay, zero_from, ProductKernel(n, ()))
        if graph.family != "cycle" or n > CYCLE_LIMIT or weight_decay < DECAY_FLOOR:
            return None
        return untied_cycle_optimum(n, weight_decay, self_edges=self_edges, label_smoothing=label_smoothing)
    none = label_smoothing / n
    edge = (1 - label_smoothing) / degree + none
    gain = float(np.log(edge / none))
    keep = theta > EIGENVALUE_TOLERANCE * degree
    spectrum = merge_eigenvalues(gain * theta[keep], counts[1:][keep])
    loss = -degree * edge * float(np.log(edge)) - (n - degree) * none * float(np.log(none))
    kernel = AdjacencyKernel(edges, gain, self_edges)
    return _form(graph, loss, 0.0, zero_from, kernel, spectrum=spectrum, scalars=(gain,))


def _form(
    graph: Graph,
    loss: float,
    decay: float,
    zero_from: float,
    kernel: Kernel | None,
    *,
    spectrum: tuple[Array, NDArray[np.int64]] | None = None,
    scalars: tuple[float, ...] = (),
    attained: bool = True,
) -> ClosedForm:
    values, counts = (np.zeros(0), np.zeros(0, dtype=np.int64)) if spectrum is None else spectrum
    family, excess = graph.family or graph.name, zero_from - decay if decay > 0 else 0.0
    return ClosedForm(
        *(family, graph.n, False, values[::-1], counts[::-1], loss, float(decay), attained),
        *(scalars, excess, 0.0, zero_from, kernel),
    )
