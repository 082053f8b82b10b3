"""What is proved about the rank of an optimum that is known to a duality gap only: a number, or a range.

f is the tied objective L(K + 1a') + l tr K over K >= 0, P the softmax at a feasible (K, a), Z = l I - S(P) the slack,
(K*, a*) an optimum, P* and Z* its own, and g >= f(K) - f* (a duality gap is one). All in float64 arithmetic.

Gap. lse is the conjugate of negative entropy, so for every feasible (K, a), with Z* K* = 0 and (l = 0) equal column
sums at the optimum,

    f(K) - f* = <Z*, K> + sum_i w_i KL(P*_i || P_i),      both terms >= 0, so each is at most g.              (1)

*High.* Pinsker and |x|_2^2 <= |x|_1^2 / 2 for sum x = 0 give |W (P* - P)|_F^2 <= max(w) g, hence |Z* - Z|_F
<= sqrt(max(w) g). Eigenvalues of Z above that are positive in Z* (Weyl), and Z* K* = 0:  rank K* <= n - their number.
Where Z has blocks repeated m_b times, sum_b m_b |Z*_b - Z_b|_F^2 is what is bounded: sqrt(max(w) g / m_b) in block b.
*Low.* KL(P*_i || P_i) = sum_j P_ij h(t_ij), t = log(P* / P), h(t) = t e^t - e^t + 1 >= h(-|t|) = 1 - e^-|t| (1 + |t|).
So w_i P_ij >= g / (1 - 2/e) implies |t_ij| <= 1, where h(-|t|) >= (1 - 2/e) t^2: over such entries
sum_ij t_ij^2 / E_ij <= 1 with E_ij = g / ((1 - 2/e) w_i P_ij); E = infinity for the others. For x, y with sum zero
x' K* y = sum_ij x_i y_j log P*_ij (row constants and bias drop out), so |x' (K* - K) y|^2 <= sum_ij x_i^2 y_j^2 E_ij
where x, y avoid E = infinity, and over x = D u, y = D' v with unit u, v it is at most max_ij D_i^2 D'_j^2 E_ij:
rank K* >= rank J K* J >= number of singular values of D K D', on D u and D' v of sum zero, above the square root of
that. Any D, D' >= 0 prove something; D = 0 where E is infinite.
One-sided: t lies between the two roots of h(t) = r = g / (w_i P_ij), the upper one 1 + W((r - 1) / e) by Lambert's W,
the lower one minus infinity from r = 1 on. So a probability far below g is still bounded above, and a single x with
sum_ij x_i x_j log P*_ij > 0 for all such P* proves rank K* >= 1.
l > 0: the constant vector is not in the column space of K* (1' Z* 1 = l n > 0), so rank J K* J = rank K*; for l = 0 K
is centred to begin with. The centred optimum is unique where P > 0 (f is strictly convex there).
*Twins.* For l = 0 the slack of two nodes that the target cannot tell apart is exactly zero, which no gap resolves, and
K* vanishes there (``optimum.twins``): the bound is taken on vectors constant on twins.
Untied, l > 0: (1) holds with <Z*, K> replaced by l |Z|_* - <R*, Z> >= 0; singular values instead of eigenvalues, R in
the place of S: rank <= number of singular values of R not below l - sqrt(max(w) g).

Face. Where the optimum's kernel is known, Newton's theorem resolves far smaller slacks: ``newton_radius``.

Stops holding: where probabilities or slacks fall below what g resolves the range is wide; it is never narrowed by a
guess. Source: ours; Pinsker's and Weyl's inequalities; Kantorovich's theorem in the norm of the Hessian (Deuflhard).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvalsh
from scipy.special import gammaincinv, lambertw

from ..checks import Array, check_labels, check_matrix, check_number, check_real
from ..softmax import check_row_weight, check_weight_decay

# A gap is a difference of sums of terms of order one: 64 units of rounding of their size are added to it.
ROUNDING = 64 * float(np.finfo(np.float64).eps)
SCALINGS = 30  # sweeps that even out the rows and columns of D E D'
AT_BRANCH = 1e-2  # g / (w P) below which Lambert's W loses digits; the larger root is then below minus the other one
WITHIN_ONE = 1 - 2 / float(np.e)  # h(-1)


@dataclass(frozen=True)
class RankRange:
    """``low`` <= rank of the optimum <= ``high``, both proved (see the module). ``unresolved``: the eigenvalues of the
    point at hand (untied: singular values), descending, that are not shown to be positive at the optimum, with their
    ``multiplicities``; none where the rank is proved."""

    low: int
    high: int
    unresolved: tuple[float, ...] = ()
    multiplicities: tuple[int, ...] = ()

    @property
    def proved(self) -> bool:
        """Whether the rank is a fact: ``low`` equals ``high``."""
        return self.low == self.high

    def __str__(self) -> str:
        return str(self.low) if self.proved else f"{self.low} to {self.high}"


def usable_gap(gap: float, magnitude: float) -> float:
    """max(gap, 0) plus rounding of the numbers of size ``magnitude`` that it is a difference of."""
    return max(float(gap), 0.0) + ROUNDING * max(1.0, abs(float(magnitude)))


def slack_error(gap: float, row_weight: ArrayLike, multiplicity: float = 1.0) -> float:
    """sqrt(max(w) g / m): how far a slack eigenvalue of a block repeated m times is from the optimum's; see module."""
    return float(np.sqrt(np.max(row_weight)) * np.sqrt(gap) / np.sqrt(multiplicity))


def squared_error(gap: float, mass: ArrayLike) -> Array:
    """E: the squared error of a log-probability of weighted probability w P = ``mass``; infinite where the gap does not
    bound it by one. See the module."""
    mass = np.asarray(mass, dtype=np.float64)
    known = mass * WITHIN_ONE >= gap
    return np.where(known, gap / (WITHIN_ONE * np.where(known, mass, 1.0)), np.inf)


def log_ratio_bounds(gap: float, mass: ArrayLike) -> tuple[Array, Array]:
    """The least and the largest log(P* / P) of an outcome whose weighted probability w P is ``mass`` > 0."""
    ratio = gap / np.asarray(mass, dtype=np.float64)
    below = np.where(
        ratio < 1, gammaincinv(2.0, np.minimum(ratio, 1.0)), np.inf
    )  # h(-T) is an incomplete gamma function
    above = 1 + lambertw((ratio - 1) / np.e, 0).real
    return -below, np.where(ratio < AT_BRANCH, below, above)


def rank_at_least(matrix: Array, errors: Array, constant: Array | None = None) -> int:
    """A lower bound for the rank of every K* with |x' (K* - K) y|^2 <= sum_ij x_i^2 y_j^2 E_ij for x, y orthogonal to
    ``constant``: the larger of those of two pairs of scalings (see the module). ``matrix`` K and ``errors`` E: (d, d).
    """
    alive = _finite(errors)
    k, e = matrix[np.ix_(alive, alive)], errors[np.ix_(alive, alive)]
    if not len(k) or not e.max() > 0:
        return 0 if not len(k) else int(np.linalg.matrix_rank(k))
    left, right = np.ones(len(k)), np.ones(len(k))
    best = 0
    for _ in range(2):
        limit = float(np.sqrt((left[:, None] ** 2 * e * right**2).max()))
        scaled = left[:, None] * k * right
        if constant is not None:
            scaled = _off(_off(scaled, left * constant[alive]).T, right * constant[alive]).T
        best = max(best, int((np.linalg.svd(scaled, compute_uv=False) > limit).sum()))
        for _ in range(SCALINGS):  # the largest entry of every row and column becomes one
            left = left / (left**2 * (e * right**2).max(axis=1)) ** 0.25
            right = right / (right**2 * (left[:, None] ** 2 * e).max(axis=0)) ** 0.25
    return best


def tied_rank_range(
    gram: ArrayLike, probabilities: ArrayLike, slack: ArrayLike, gap: float, *, weight_decay: float,
    row_weight: ArrayLike | None = None, magnitude: float = 0.0, twins: NDArray[np.int64] | None = None,
) -> RankRange:  # fmt: skip
    """The range of the rank of the tied optimum from a feasible point near it.

    ``gram`` K, ``probabilities`` P = softmax(K + 1a') and ``slack`` l I - S(P) are (n, n); g = ``gap`` >= f(K) - f*, to
    which rounding of ``magnitude`` (the objective's size) is added; l = ``weight_decay``. For l = 0 the graph must be
    connected: K is centred, and ``twins`` may give the ``twin_classes`` of the target. Raises ValueError for shapes
    that do not fit.

    >>> import numpy as np
    >>> from fiedler.theory import tied_rank_range
    >>> p = np.full((3, 3), 1 / 3)  # K = 0 on the triangle, T = (11' - I) / 2: S = (11' - 3 I) / 6
    >>> tied_rank_range(np.zeros((3, 3)), p, (3 * np.eye(3) - 1) / 6, 1e-9, weight_decay=0.0)
    RankRange(low=0, high=0, unresolved=(), multiplicities=())
    """
    k, p, z, w = _checked(gram, probabilities, slack, row_weight)
    n, g, decay = len(k), _checked_gap(gap, magnitude), check_weight_decay(weight_decay)
    labels = np.arange(n) if twins is None else check_labels(twins, n, "twins")
    one = np.full(n, 1 / np.sqrt(n))
    centred = _without(k, one)
    low = rank_at_least(centred, squared_error(g, w[:, None] * p), one)
    if decay == 0:
        _, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        frame = np.eye(len(sizes))[labels] / np.sqrt(sizes[labels])[:, None]
        z = frame.T @ _without(z, one) @ frame
    high = len(z) - (decay == 0) - int((eigvalsh(z) > slack_error(g, w)).sum())
    values = eigvalsh(centred)[::-1]
    return _range(values, low, high)


def untied_rank_range(
    logits: ArrayLike, probabilities: ArrayLike, residual: ArrayLike, gap: float, *, weight_decay: float,
    row_weight: ArrayLike | None = None, magnitude: float = 0.0,
) -> RankRange:  # fmt: skip
    """The range of the rank of the untied optimum (l > 0) from logits Z near it, P = softmax(Z) and R = diag(w)(T - P),
    all (n, n); the rest as ``tied_rank_range``."""
    z, p, r, w = _checked(logits, probabilities, residual, row_weight)
    decay = check_weight_decay(weight_decay)
    if decay == 0:
        raise ValueError("the range of an untied rank needs weight_decay > 0; without, the logits diverge or are log T")
    g, centred = _checked_gap(gap, magnitude), z - z.mean(axis=1, keepdims=True)
    values = np.linalg.svd(centred, compute_uv=False)
    low = rank_at_least(centred, squared_error(g, w[:, None] * p), np.ones(len(z)))
    high = int((np.linalg.svd(r, compute_uv=False) >= decay - slack_error(g, w)).sum())
    return _range(values, low, high)


def newton_radius(residual: float, lipschitz: float) -> float:
    """The distance within which Newton's theorem finds an exact root, infinite where it finds none.

    For x with |H^-1/2 grad(x)| <= ``residual`` = e, H the positive definite Hessian at x, and a Hessian that changes by
    at most ``lipschitz`` = c per unit of |x' - x|_H (in that norm) within distance 2 e:  if c e <= 1/2 there is a
    stationary point with |x* - x|_H <= 2 e (Kantorovich, affine-invariant).
    """
    return 2 * residual if np.isfinite(lipschitz) and lipschitz * residual <= 0.5 else float("inf")


def _range(values: Array, low: int, high: int) -> RankRange:
    positive = values[values > 1e-10 * max(1.0, float(values.max(initial=0.0)))]  # the rest is rounding of exact zeros
    high = max(low, high)
    left = () if low == high else tuple(float(v) for v in positive[low:])
    return RankRange(low, high, left, (1,) * len(left))


def _finite(errors: Array) -> NDArray[np.int64]:
    """Indices that keep a finite square of ``errors``: those with the most infinite entries go first."""
    alive = np.arange(len(errors), dtype=np.int64)
    while len(alive):
        infinite = (~np.isfinite(errors[np.ix_(alive, alive)])).sum(axis=1)
        if not infinite.any():
            break
        alive = np.delete(alive, int(infinite.argmax()))
    return alive


def _off(a: Array, direction: Array) -> Array:
    """``a`` without the part of its rows' index along ``direction``."""
    unit = direction / np.linalg.norm(direction)
    return np.asarray(a - np.outer(unit, unit @ a))


def _without(a: Array, unit: Array) -> Array:
    return _off(_off(a, unit).T, unit).T


def _checked_gap(gap: float, magnitude: float) -> float:
    """The usable gap; infinity, of a certificate without a dual point, proves nothing and is taken."""
    g = check_real(gap, "gap")
    if np.isnan(g):
        raise ValueError("gap is NaN; use the certificate's duality gap")
    return usable_gap(g, check_number(magnitude, "magnitude"))


def _checked(
    a: ArrayLike, p: ArrayLike, b: ArrayLike, row_weight: ArrayLike | None
) -> tuple[Array, Array, Array, Array]:
    first = check_matrix(a, (None, None), "the optimum")
    n = len(first)
    if first.shape != (n, n) or not n:
        raise ValueError(f"the optimum must be a square matrix with a row a node; got {first.shape}")
    probabilities = check_matrix(p, (n, n), "probabilities")
    if (probabilities < 0).any():
        raise ValueError(f"probabilities hold {probabilities.min():.3g}; use the softmax of the optimum's logits")
    return first, probabilities, check_matrix(b, (n, n), "the slack or residual"), check_row_weight(row_weight, n)
