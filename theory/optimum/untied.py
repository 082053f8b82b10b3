"""What untied Node2Vec converges to: the certified optimum over logits Z = VU' under weight decay.

    minimise  L(VU') + l/2 (||V||^2 + ||U||^2)   =   minimise  L(Z) + l ||Z||_*   (nuclear norm),

convex in Z. Optimality: ||R||_2 <= l, R = diag(w)(T - P), with equality on the singular spaces of Z. Z = 0 exactly when
l >= ||R at 0||_2. Without decay the infimum is the target's entropy sum_i w_i H(T_i): attained, by Z = log T up to a
constant per row, exactly when T has no zero in a row of positive weight (label smoothing); otherwise the logits diverge
and no optimum exists.

Limits: dense, like theory.optimum. Source: the nuclear-norm form of a two-layer bilinear problem is standard; l = 0
with smoothing agrees with the cycle-graph result cited in arXiv 2510.26745's follow-up (OpenReview 2xbulaghSN).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array
from ..softmax import check_row_weight, check_target, check_weight_decay, cross_entropy, target_entropy
from .burer_monteiro import solve
from .certificate import Certificate, untied_certificate
from .objectives import UntiedObjective
from .tied import check_size


@dataclass(frozen=True, eq=False)
class UntiedOptimum:
    """The optimal logits (n, n) with their certificate; ``logits`` is None where the infimum is not attained.
    ``loss``: L at the optimum, without weight decay."""

    logits: Array | None
    loss: float
    weight_decay: float
    total_weight: float
    certificate: Certificate
    method: str

    @property
    def attained(self) -> bool:
        return self.logits is not None

    @property
    def loss_per_node(self) -> float:
        """L / sum_i w_i."""
        return self.loss / self.total_weight

    @property
    def singular_values(self) -> Array:
        """Non-zero singular values of the optimal logits, descending; empty where there is none."""
        if self.logits is None:
            return np.zeros(0)
        values = np.linalg.svd(self.logits, compute_uv=False)
        # The solver returns Z of exact rank; what the SVD adds is rounding of the largest value.
        return np.asarray(values[values > 1e-10 * max(1.0, float(values[0]))])

    @property
    def rank(self) -> int:
        return len(self.singular_values)


def untied_optimum(
    target: ArrayLike, *, weight_decay: float = 0.0, row_weight: ArrayLike | None = None
) -> UntiedOptimum:
    """The certified optimum of untied Node2Vec for a row-stochastic ``target`` (n, n); see the module.

    At zero decay with a positive target the logits returned are log T with row means removed, zero in rows of weight
    zero. Raises ValueError for a
    bad target, weight or decay, RuntimeError when no certified optimum is found.

    >>> import numpy as np
    >>> from fiedler.theory import one_hop_target, parse, target_entropy, untied_optimum
    >>> target = one_hop_target(parse("karate"))
    >>> optimum = untied_optimum(target)  # the logits diverge, the loss falls to the entropy of the target
    >>> optimum.attained, abs(optimum.loss - target_entropy(target, np.ones(34))) < 1e-9
    (False, True)
    >>> untied_optimum(target, weight_decay=0.5).rank
    8
    """
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    w = check_row_weight(row_weight, n)
    check_size(n)
    total = float(w.sum())
    if decay > 0:
        solution = solve(UntiedObjective(t, w, decay))
        logits = solution.factor[:n] @ solution.factor[n:].T
        certificate = untied_certificate(t, w, decay, solution.factor)
        method = "Burer-Monteiro, L-BFGS and Newton-MINRES"
        return UntiedOptimum(logits, float(cross_entropy(logits, t, w)), decay, total, certificate, method)
    floor = target_entropy(t, w)
    if (t[w > 0] > 0).all():
        logits = np.log(np.where(w[:, None] > 0, t, 1.0))  # zero where the loss has no term
        logits -= logits.mean(axis=1, keepdims=True)
        gap = float(cross_entropy(logits, t, w)) - floor
        return UntiedOptimum(logits, floor, 0.0, total, Certificate(abs(gap), gap), "closed form: log of the target")
    method = "closed form: entropy of the target, approached as the logits diverge"
    return UntiedOptimum(None, floor, 0.0, total, Certificate(0.0, 0.0), method)
