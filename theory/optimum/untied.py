"""What untied Node2Vec converges to: the certified optimum over logits Z = VU' under weight decay.

    minimise  L(VU') + l/2 (||V||^2 + ||U||^2)   =   minimise  L(Z) + l ||Z||_*   (nuclear norm),

convex in Z. Optimality: ||R||_2 <= l, R = diag(w)(T - P), with equality on the singular spaces of Z. Z = 0 exactly when
l >= ||R at 0||_2. Without decay the infimum is the target's entropy sum_i w_i H(T_i): attained, by Z = log T up to a
constant per row, exactly when T has no zero in a row of positive weight (label smoothing); otherwise the logits diverge
and no optimum exists.

How it is found: ``optimum.search``, an anytime method.
Source: the nuclear-norm form of a two-layer bilinear problem is standard; l = 0 with smoothing agrees with
the cycle-graph result cited in arXiv 2510.26745's follow-up (OpenReview 2xbulaghSN).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from ..checks import Array, check_room
from ..softmax import check_row_weight, check_weight_decay, cross_entropy
from .certificate import Certificate
from .effort import check_effort
from .objectives import DENSE_SPECTRUM, UntiedObjective
from .point_rank import untied_point_rank
from .rank import RankRange
from .row_pass import RowPass
from .search import Watch, relative_gap
from .target_parts import SmoothedTarget, TargetParts, target_parts
from .tied import EXACT, METHOD
from .violation import untied_violation


@dataclass(frozen=True, eq=False)
class UntiedOptimum:
    """The optimal logits Z with their certificate, as ``factors`` V and U, (n, r) each, with Z = VU'; None where the
    infimum is not attained, and where Z has no low rank (``full_logits``: zero decay and a positive target).
    ``loss``: L at the optimum, without weight decay. ``tolerance``, ``converged``, ``stopped_by``: as in
    ``TiedOptimum``."""

    factors: tuple[Array, Array] | None
    full_logits: Array | None
    loss: float
    weight_decay: float
    total_weight: float
    certificate: Certificate
    method: str
    tolerance: float = 0.0
    converged: bool = True
    stopped_by: str = "tolerance"
    problem: tuple[TargetParts, Array] | None = field(default=None, repr=False)

    @property
    def attained(self) -> bool:
        return self.factors is not None or self.full_logits is not None

    @cached_property
    def logits(self) -> Array | None:
        """Z (n, n), or None where the infimum is not attained. Raises ValueError where it does not fit into memory."""
        if self.factors is None:
            return self.full_logits
        v, u = self.factors
        check_room(float(len(v)) ** 2, "the logits of the optimum")
        return v @ u.T

    @property
    def loss_per_node(self) -> float:
        """L / sum_i w_i."""
        return self.loss / self.total_weight

    @property
    def objective(self) -> float:
        """L + l ||Z||_*."""
        return self.loss + (self.weight_decay * float(self.singular_values.sum()) if self.weight_decay > 0 else 0.0)

    @property
    def relative_gap(self) -> float:
        """duality gap / objective."""
        return relative_gap(self.objective, self.objective - self.certificate.duality_gap)

    @cached_property
    def singular_values(self) -> Array:
        """Non-zero singular values of the optimal logits, descending; empty where there is none."""
        if self.factors is not None:
            left, right = (np.linalg.qr(side)[1] for side in self.factors)
            values = np.linalg.svd(left @ right.T, compute_uv=False)
        elif self.full_logits is not None:
            values = np.linalg.svd(self.full_logits, compute_uv=False)
        else:
            return np.zeros(0)
        # The solver returns Z of exact rank; what the SVD adds is rounding of the largest value.
        return np.asarray(values[values > EXACT * max(1.0, float(values.max(initial=0.0)))])

    @property
    def rank(self) -> int:
        return len(self.singular_values)

    @cached_property
    def rank_range(self) -> RankRange:
        """What the duality gap proves of the rank of the optimal logits, as in ``TiedOptimum``."""
        if not self.attained:
            return RankRange(0, 0)
        if self.problem is None or self.stopped_by == "request" or self.problem[0].n > DENSE_SPECTRUM:
            return RankRange(0, len(self.factors[0]) if self.factors is not None else self.rank)
        parts, w = self.problem
        assert self.logits is not None
        gap = self.certificate.duality_gap
        return untied_point_rank(parts, w, self.weight_decay, self.logits, self.rank, gap, self.objective)


def untied_optimum(
    target: ArrayLike | sp.sparray | SmoothedTarget,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    tolerance: float | None = None,
    time_limit: float | None = None,
    watch: Watch | None = None,
    row_pass: RowPass | None = None,
) -> UntiedOptimum:
    """The certified optimum of untied Node2Vec for a row-stochastic ``target`` (n, n); see the module.

    At zero decay with a positive target the logits returned are log T with row means removed, zero in rows of weight
    zero. ``target``, ``tolerance``, ``time_limit``, ``watch``, ``row_pass``: as in ``tied_optimum``. Raises
    ValueError for a bad target, weight, decay, tolerance or limit.

    >>> import numpy as np
    >>> from fiedler.theory import one_hop_target, parse, target_entropy, untied_optimum
    >>> target = one_hop_target(parse("karate"))
    >>> optimum = untied_optimum(target)  # the logits diverge, the loss falls to the entropy of the target
    >>> optimum.attained, abs(optimum.loss - target_entropy(target, np.ones(34))) < 1e-9
    (False, True)
    >>> untied_optimum(target, weight_decay=0.5).rank
    8
    """
    parts, decay = target_parts(target), check_weight_decay(weight_decay)
    n = parts.n
    w = check_row_weight(row_weight, n)
    effort = check_effort(tolerance, time_limit, watch, n, row_pass)
    total = float(w.sum())
    if decay > 0:
        objective = UntiedObjective(parts, w, decay)
        found = effort.search(objective)
        factors = found.factor[:n], found.factor[n:]
        certificate = Certificate(untied_violation(objective, found.factor), found.value - found.bound)
        loss = found.value - objective.penalty(found.factor)
        return UntiedOptimum(
            factors,
            None,
            loss,
            decay,
            total,
            certificate,
            METHOD,
            effort.tolerance,
            found.converged,
            found.stopped_by,
            (parts, w),
        )
    floor = float(w @ parts.entropies())
    if parts.positive_rows[w > 0].all():
        check_room(float(n) ** 2, "the logits of the optimum")
        t = parts.dense()
        logits = np.log(np.where(w[:, None] > 0, t, 1.0))  # zero where the loss has no term
        logits -= logits.mean(axis=1, keepdims=True)
        gap = float(cross_entropy(logits, t, w)) - floor
        closed = "closed form: log of the target"
        certificate = Certificate(abs(gap), gap)
        return UntiedOptimum(None, logits, floor, 0.0, total, certificate, closed, problem=(parts, w))
    method = "closed form: entropy of the target, approached as the logits diverge"
    return UntiedOptimum(None, None, floor, 0.0, total, Certificate(0.0, 0.0), method)
