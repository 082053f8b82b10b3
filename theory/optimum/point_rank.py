"""What ``optimum.rank`` proves of the rank of an optimum found on the whole matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..checks import Array
from ..softmax import row_softmax
from .objectives import DENSE_SPECTRUM
from .rank import RankRange, tied_rank_range, untied_rank_range
from .target_parts import TargetParts
from .twins import twin_classes


def tied_point_rank(
    parts: TargetParts,
    w: Array,
    decay: float,
    factor: Array,
    bias: Array,
    labels: NDArray[np.int64],
    gap: float,
    objective: float,
) -> RankRange:
    """What ``tied_rank_range`` proves for K = FF'; the sum over the components where K is only finite within each.

    A component of more than DENSE_SPECTRUM nodes, whose slack is not decomposed, may have any rank.
    """
    low, high, unresolved = 0, 0, []
    for c in range(int(labels.max()) + 1):
        nodes = np.flatnonzero(labels == c)
        if not w[nodes].any():  # in no row of the loss
            continue
        if len(nodes) > DENSE_SPECTRUM:
            high += len(nodes) - int(decay == 0)
            continue
        part, weight, f = parts.part(nodes).dense(), w[nodes], factor[nodes]
        gram = f @ f.T
        p = row_softmax(gram + bias[nodes])
        r = weight[:, None] * (part - p)
        found = tied_rank_range(
            gram, p, decay * np.eye(len(p)) - (r + r.T) / 2, gap,
            weight_decay=decay, row_weight=weight, magnitude=objective, twins=twin_classes(part, weight),
        )  # fmt: skip
        low, high = low + found.low, high + found.high
        unresolved += list(found.unresolved)
    return RankRange(low, high, tuple(sorted(unresolved, reverse=True)), (1,) * len(unresolved))


def untied_point_rank(
    parts: TargetParts, w: Array, decay: float, logits: Array, rank: int, gap: float, objective: float
) -> RankRange:
    """The same for untied logits (n, n). Without decay they are the closed form log T, constant on twins, whose
    singular values that round to zero are not proved to be zero."""
    t = parts.dense()
    if decay == 0:
        return RankRange(rank, max(rank, int(twin_classes(t, w).max())))
    p = row_softmax(logits)
    return untied_rank_range(
        logits, p, w[:, None] * (t - p), gap, weight_decay=decay, row_weight=w, magnitude=objective
    )
