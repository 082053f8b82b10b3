"""The flow of embeddings read through a layer norm, Z = N(E) E', closed in their Gram matrix: any graph, any width.

With K = E C E' (n, n), D = diag(r), r_u^2 = K_uu / m + e, Z = D^{-1} K and R = diag(w) (T - P(Z)) (source: ours)

    dE/dt = F E,   F = R' D^{-1} + D^{-1} R - diag((RK)_uu / (m r_u^3)),      dK/dt = F K + K F'

Exact for every start of every width m, as the part of E along 1 is never read; the width enters by r. It is the limit
of wide nets in that K(0) = (m - 1) std^2 I then. A trained gain is no part of it: it singles out coordinates, and no
flow of K alone is exact. Its effect is of order n K*_ii^2 / m^2 (``gain_at_plateau``). Time t = step size x steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_matrix
from ..flow.at_times import at_times
from ..flow.equations import FlowEquation, check_logits
from ..flow.integrator import RELATIVE_TOLERANCE
from ..flow.starts import check_count
from ..flow.trajectory import TiedGramTrajectory
from ..softmax import check_row_weight, check_target, cross_entropy, residual
from .norms import EPSILON, check_epsilon, norm_clock


def normed_gram_equation(
    target: ArrayLike,
    gram0: ArrayLike,
    width: int,
    *,
    epsilon: float = EPSILON,
    row_weight: ArrayLike | None = None,
) -> FlowEquation[TiedGramTrajectory]:
    """K(t) from ``gram0`` (n, n), symmetric with a positive diagonal, of centred embeddings of ``width`` m."""
    t = check_target(target)
    n = len(t)
    w, m, e = check_row_weight(row_weight, n), check_count(width, "width"), check_epsilon(epsilon)
    start = check_matrix(gram0, (n, n), "gram0")
    check_logits(norm_clock(start, m, epsilon=e)[:, None] * start, "gram0")

    def clock(k: Array) -> Array:
        # A rounded K may lose a decayed diagonal: it is held at zero, where the norm is sqrt(e).
        return np.asarray(1 / np.sqrt(np.maximum(np.diagonal(k, axis1=-2, axis2=-1), 0) / m + e))

    def velocity(k: Array) -> Array:
        c = clock(k)
        r = residual(c[:, None] * k, t, w)
        f = r.T * c + c[:, None] * r
        f[np.diag_indices(n)] -= np.einsum("ij,ji->i", r, k) * c**3 / m
        half = f @ k
        return np.asarray(half + half.T)

    def loss(k: Array) -> Array:
        return cross_entropy(clock(k)[..., None] * k, t, w)

    def trajectory(times: Array, k: Array) -> TiedGramTrajectory:
        return TiedGramTrajectory(times, k, loss(k))

    return FlowEquation((start + start.T) / 2, velocity, lambda k: k, loss, trajectory)


def normed_gram_flow(
    target: ArrayLike,
    gram0: ArrayLike,
    width: int,
    times: ArrayLike,
    *,
    epsilon: float = EPSILON,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> TiedGramTrajectory:
    """K(t) at the ascending ``times`` (k,) >= 0.

    >>> import numpy as np
    >>> from fiedler.theory import normed_gram_flow, normed_plateau, one_hop_target, parse, tied_optimum
    >>> target = one_hop_target(parse("cycle:15"))
    >>> run = normed_gram_flow(target, 31 * 0.02**2 * np.eye(15), 32, [0, 5, 300])
    >>> (run.loss / 15).round(3).tolist()
    [2.764, 1.444, 1.435]
    >>> end = normed_plateau(tied_optimum(target).gram, 32)
    >>> [round(float(np.linalg.eigvalsh(k)[-1]), 2) for k in (run.gram[-1], end)]
    [8.66, 8.66]
    """
    equation = normed_gram_equation(target, gram0, width, epsilon=epsilon, row_weight=row_weight)
    return at_times(equation, times, rtol)
