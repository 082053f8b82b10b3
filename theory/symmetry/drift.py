"""``optimum.drift`` on the blocks of a graph's symmetry: kappa of a path-star of any number of arms."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ..checks import check_type
from ..optimum.drift import DriftLaw, law_of
from ..softmax import check_row_weight
from .blocks import BlockAlgebra
from .optimum import ReducedOptimum
from .problem import ReducedProblem, check_colour_target


def reduced_drift_law(
    algebra: BlockAlgebra, target: ArrayLike, optimum: ReducedOptimum, *, row_weight: ArrayLike | None = None
) -> DriftLaw | None:
    """The drift of the flow of a reduced optimum of this target (q,) and weights (r,): kappa is the sum of
    |c| w_c (P_c - T_c) a a' over the colours c. None and errors as ``drift_law``."""
    t = check_colour_target(algebra, target)
    if len(check_type(optimum, ReducedOptimum, "optimum", "make one with reduced_tied_optimum").gram) != len(t):
        raise ValueError(f"the optimum has {len(optimum.gram)} colours, the algebra {len(t)}")
    w = check_row_weight(row_weight, len(algebra.type_sizes))
    if optimum.weight_decay > 0 or optimum.attained:
        return None
    a = optimum.bias - float(algebra.type_sizes @ optimum.bias) / algebra.n
    logits = optimum.gram + optimum.bias[algebra.column_type]
    p = ReducedProblem(algebra, t, w, 0.0).masses(logits) / algebra.valency
    pairs = algebra.class_sizes * w[algebra.row_type] * a[algebra.row_type] * a[algebra.column_type]
    return law_of(float(pairs @ (p - t)), float(algebra.type_sizes @ a**2), algebra.n, optimum.total_weight)
