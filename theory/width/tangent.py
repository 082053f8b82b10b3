"""How the tied flow answers a small change of its start: first and second derivatives along the infinite-width flow.

Around V(t), Z = VV', with X = dV the change of the state and D = X V' + V X' that of the logits,

    dX/dt = S'[D] V + S X - 2 l X,      S'[D] = R'[D] + R'[D]',  R'[D]_i = -w_i P_i (D_i - P_i . D_i)

(the variational equation; a product of rows is entrywise). Summed over a set of directions X_a, the second derivative
Y = sum_a d^2 V[a, a] obeys the same equation with a source,

    dY/dt = S'[Y V' + V Y' + 2 Q] V + S''V + 2 sum_a S'[D_a] X_a + S Y - 2 l Y,   Q = sum_a X_a X_a',
    S'' = R'' + R''',   R''_i = -w_i P_i sum_a (C_a,i^2 - P_i . C_a,i^2),          C_a,i = D_a,i - P_i . D_a,i.

Start K(0) = s^2 I, V(0) = s I. A change B of K(0) is X(0) = B / (2 s) and, so that K(0) has no second derivative,
d^2 V[B, B](0) = -B^2 / (4 s^3). The directions are the n (n + 1) / 2 elements of the orthonormal basis of symmetric
matrices, e_i e_i' and (e_i e_j' + e_j e_i') / sqrt(2), for which sum_a B_a^2 = (n + 1)/2 I.

Cost: O(n^5) a velocity and n^4 / 2 numbers of state (n = 34: 5 MB, held sixteen times), explicit steps only.
float64; times are those of the flow. Derivatives hold for any tied start of this form; equations are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_room, check_whole_number
from ..flow.integrator import check_decay_span, check_times, integrate
from ..flow.starts import check_scale, wide_tied_start
from ..softmax import check_row_weight, check_target, check_weight_decay, cross_entropy, row_softmax

TANGENT_TOLERANCE = 1e-7  # the derivatives multiply fluctuations of some percent
TANGENT_LIMIT = 60  # nodes: 13 million numbers of state, held sixteen times by the integrator


@dataclass(frozen=True, eq=False)
class Tangent:
    """The flow from K(0) = s^2 I and its derivatives in K(0), N = n (n + 1) / 2 directions.

    ``times`` (k,), ``embedding`` V (k, n, n), ``loss`` (k,). ``first`` (k, N, n, n): X_a. ``second`` (k, n, n): Y, the
    sum over a of the second derivatives of V. ``residual`` and ``probabilities`` (k, n, n): R and P; ``row_weight`` w.
    """

    times: Array
    embedding: Array
    loss: Array
    first: Array
    second: Array
    residual: Array
    probabilities: Array
    row_weight: Array

    def gram_changes(self, k: int) -> Array:
        """dK[a] = X_a V' + V X_a' at time number ``k``, (N, n, n)."""
        return _symmetric(self.first[k] @ self.embedding[k].T)

    def gram_curvature(self, k: int) -> Array:
        """sum_a d^2 K[a, a] at time number ``k``, (n, n)."""
        x = self.first[k]
        return _symmetric(self.second[k] @ self.embedding[k].T) + 2 * np.einsum("aij,akj->ik", x, x, optimize=True)

    def loss_changes(self, k: int) -> Array:
        """dL[a] = -<R, dK[a]>, (N,)."""
        return -np.einsum("ij,aij->a", self.residual[k], self.gram_changes(k))

    def loss_curvature(self, k: int) -> float:
        """sum_a d^2 L[a, a]."""
        squares = _squares(self.gram_changes(k), self.probabilities[k])
        bend = float(self.row_weight @ (self.probabilities[k] * squares).sum(axis=1))
        return bend - float((self.residual[k] * self.gram_curvature(k)).sum())


def symmetric_basis(n: int) -> Array:
    """The orthonormal basis of symmetric (n, n) matrices: (n (n + 1) / 2, n, n), diagonal elements first."""
    n = check_whole_number(n, "n", 1)
    check_room(float(n) ** 4 / 2, "the basis")
    rows, columns = np.triu_indices(n, 1)
    basis = np.zeros((n + len(rows), n, n))
    basis[np.arange(n), np.arange(n), np.arange(n)] = 1.0
    off = n + np.arange(len(rows))
    basis[off, rows, columns] = basis[off, columns, rows] = np.sqrt(0.5)
    return basis


def tied_tangent(
    target: ArrayLike,
    init_scale: float,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = TANGENT_TOLERANCE,
) -> Tangent:
    """The flow from K(0) = ``init_scale``^2 I with its first and second derivatives at the ascending ``times`` (k,).

    Raises ValueError for bad input or more than TANGENT_LIMIT nodes (use sampled bands there).
    """
    t, decay = check_target(target), check_weight_decay(weight_decay)
    n = len(t)
    if n > TANGENT_LIMIT:
        raise ValueError(
            f"the derivatives take n^4 numbers: up to {TANGENT_LIMIT} nodes, got {n}; sample bands instead"
        )
    w, clock = check_row_weight(row_weight, n), check_times(times)
    init_scale = check_scale(init_scale, "init_scale")
    check_decay_span(decay, clock)
    v0, basis = wide_tied_start(n, init_scale), symmetric_basis(n)
    start = np.concatenate([v0[None], -(n + 1) / (8 * init_scale**3) * np.eye(n)[None], basis / (2 * init_scale)])

    def velocity(state: Array) -> Array:
        v, y, x = state[0], state[1], state[2:]
        p = row_softmax(v @ v.T)
        s = _symmetric(w[:, None] * (t - p)) - 2 * decay * np.eye(n)
        d = _symmetric(x @ v.T)
        bends = _force_change(d, p, w)
        z2 = _symmetric(y @ v.T) + 2 * np.einsum("aij,akj->ik", x, x, optimize=True)
        squares = _squares(d, p)
        curved = -_symmetric(w[:, None] * p * (squares - (p * squares).sum(axis=1, keepdims=True)))
        out = np.empty_like(state)
        out[0] = s @ v
        out[1] = (_force_change(z2, p, w) + curved) @ v + 2 * np.einsum("aij,ajk->ik", bends, x, optimize=True) + s @ y
        out[2:] = bends @ v + s @ x
        return out

    states = integrate(velocity, start, float(clock[-1]), times=clock, rtol=rtol, implicit_limit=0).states
    v = states[:, 0]
    grams = v @ v.transpose(0, 2, 1)
    p = row_softmax(grams)
    return Tangent(clock, v, cross_entropy(grams, t, w), states[:, 2:], states[:, 1], w[:, None] * (t - p), p, w)


def _symmetric(a: Array) -> Array:
    return np.asarray(a + a.swapaxes(-1, -2))


def _force_change(d: Array, p: Array, w: Array) -> Array:
    """S'[D] for logit changes D (..., n, n)."""
    centred = d - (p * d).sum(axis=-1, keepdims=True)
    return -_symmetric(w[:, None] * p * centred)


def _squares(d: Array, p: Array) -> Array:
    """sum_a C_a^2, entry by entry, C_a the logit changes centred under each row of P."""
    return np.asarray(((d - (p * d).sum(axis=-1, keepdims=True)) ** 2).sum(axis=0))
