"""How slowly a tied infimum that is not attained is approached: the mean vector grows as t^(1/4), the gap falls as
t^(-1/2).

Without decay the infimum is that over logits K + 1a', and is not attained where the bias a is outside the column space
of K (``optimum.tied``). V realises a by one more column c 1 + x: (c 1 + x)(c 1 + x)' is c x' on every row, up to row
constants, plus xx'. With x = a / c the logits are right but for aa' / c^2, which costs to first order

    E(c) = kappa / c^2,   kappa = a' W (P* - T) a = -a' S a >= 0,   S = sym(W (T - P*)),  W = diag(w).

The column has squared norm n c^2 + |a|^2 / c^2, so the flow dV/dt = 2 S V, which is -grad L, moves c by
n dc/dt = -E'(c) = 2 kappa / c^3:

    c(t) = (8 kappa t / n)^(1/4),    L(t) - inf L = sqrt(kappa n / 8) t^(-1/2).

S 1 = 0 (row and column sums of W T and W P* agree) and S K = 0, so kappa does not change with a -> a + c 1, nor with a
component of a in the column space of K, which a finite mean realises. Time is learning rate times steps.
Assumes a connected graph, t so large that c^2 |x| is far above K's own scale, and -S away from zero along a. Stops
holding in runs that end before, with decay (the infimum is attained) and with noise. Source: ours, leading order of the
slow motion along c; tests hold it against the integrated flow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_array, check_positive, check_type
from ..softmax import check_row_weight, check_target, row_softmax
from .tied import TiedOptimum

RESOLVED = 1e-12  # kappa per |a|^2 and unit of weight below which it is rounding of S, whose entries are of order one


@dataclass(frozen=True)
class DriftLaw:
    """kappa of n nodes whose row weights sum to ``total_weight``; see the module. Times and gaps may be arrays."""

    kappa: float
    n: int
    total_weight: float

    def mean_norm(self, time: ArrayLike) -> Array:
        """(8 kappa t / n)^(1/4): the length of the mean of the embedding's rows."""
        return np.asarray((8 * self.kappa * _times(time) / self.n) ** 0.25)

    def gap(self, time: ArrayLike) -> Array:
        """sqrt(kappa n / 8) t^(-1/2): the loss, summed over nodes, above its infimum."""
        return np.asarray(np.sqrt(self.kappa * self.n / (8 * _times(time))))

    def gap_per_node(self, time: ArrayLike) -> Array:
        """``gap`` divided by the total weight."""
        return np.asarray(self.gap(time) / self.total_weight)

    def time_to_gap(self, gap: float) -> float:
        """kappa n / (8 gap^2): when the loss, summed over nodes, is ``gap`` > 0 above its infimum."""
        return self.kappa * self.n / (8 * check_positive(gap, "gap") ** 2)


def drift_law(optimum: TiedOptimum, target: ArrayLike, *, row_weight: ArrayLike | None = None) -> DriftLaw | None:
    """The drift of the flow of a dense ``optimum`` of this ``target`` (n, n) and these weights (n,).

    None where nothing drifts by this law: with weight decay, where the infimum is attained (regular graphs: a = 0), on
    a disconnected target, whose components separate by another law, and where kappa is not resolved from zero.
    Raises ValueError for a target or weights that do not fit.

    >>> from fiedler.theory import drift_law, one_hop_target, parse, tied_optimum
    >>> target = one_hop_target(parse("path-star:4x5"))
    >>> law = drift_law(tied_optimum(target), target)
    >>> round(law.kappa, 4), f"{law.gap_per_node(1e4):.5f}"  # still missing after 10,000 units of time
    (4.8241, '0.00188')
    """
    check_type(optimum, TiedOptimum, "optimum", "make one with tied_optimum")
    t = check_target(target)
    w = check_row_weight(row_weight, len(t))
    if len(optimum.bias) != len(t):
        raise ValueError(f"the optimum has {len(optimum.bias)} nodes, the target {len(t)}")
    if optimum.weight_decay > 0 or optimum.attained or optimum.diverging:
        return None
    a = optimum.bias - optimum.bias.mean()
    p = row_softmax(optimum.gram + optimum.bias)
    return law_of(float(a @ (w[:, None] * (p - t)) @ a), float(a @ a), len(t), float(w.sum()))


def law_of(kappa: float, size: float, n: int, total_weight: float) -> DriftLaw | None:
    """The law of a kappa that is resolved from zero, given ``size`` |a|^2 of the centred bias; None otherwise."""
    return DriftLaw(kappa, n, total_weight) if kappa > RESOLVED * size * total_weight / n else None


def _times(time: ArrayLike) -> Array:
    t = check_array(time, "time")
    if not (t > 0).all():
        raise ValueError("the law holds for times > 0 (learning rate x steps)")
    return t
