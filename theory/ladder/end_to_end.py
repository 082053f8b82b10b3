"""The closed flow of a net of any depth with any R: the embedding and the one product of all layers.

Layers that start balanced, B_l' B_l = B_{l+1} B_{l+1}' (all equal to c I do, so W = 0 with residual connections does),
stay so without decay, and the flow of P = B_1 ... B_L needs no single layer. With M = E'RU (U = E where tied),

    tied:    dE/dt = R E P' + R' E P                  untied:  dE/dt = R U P',  dU/dt = R' E P
    both:    dP/dt = sum_{l=1}^{L} (P P')^{(l-1)/L} M (P'P)^{(L-l)/L}

n m + m^2 numbers (tied) for any L, whatever E(0) and R: it is what replaces dK/dt = C phi(K) + phi(K) C of
``ladder.gram_flow`` where R is not symmetric. L enters as an exponent; time is step size times steps.
Untied from E(0) = U(0) = s I the logits have the singular values phi(k) of ``ladder.spectral`` for any R.

Stops holding for layers that start unbalanced, and with weight decay (which pulls W_l, not B_l, to zero with residual
connections). P must be invertible: it stays so while every layer is. Raises ValueError for a singular P(0) when L > 1.
Source: arXiv 1802.06509, theorem 1, for P; with the embeddings at both ends ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_matrix, check_whole_number
from ..flow.at_times import at_times
from ..flow.equations import FlowEquation, check_logits
from ..flow.integrator import RELATIVE_TOLERANCE
from ..softmax import check_row_weight, check_target, cross_entropy, residual
from .spectral import DEEPEST

INVERTIBLE = 1e-12  # least against largest singular value of P(0)


@dataclass(frozen=True, eq=False)
class EndToEndTrajectory:
    """``times`` (k,), ``embedding`` E (k, n, m), ``product`` P (k, m, m), ``context`` U (k, n, m) (E where tied),
    ``loss`` (k,)."""

    times: Array
    embedding: Array
    product: Array
    context: Array
    loss: Array

    @property
    def logits(self) -> Array:
        """Z(t) = E P U', (k, n, n)."""
        return self.embedding @ self.product @ self.context.transpose(0, 2, 1)

    @property
    def gram(self) -> Array:
        """K(t) = EE', (k, n, n)."""
        return self.embedding @ self.embedding.transpose(0, 2, 1)


def end_to_end_equation(
    target: ArrayLike,
    embedding0: ArrayLike,
    product0: ArrayLike,
    depth: int,
    *,
    context0: ArrayLike | None = None,
    row_weight: ArrayLike | None = None,
) -> FlowEquation[EndToEndTrajectory]:
    """E(t) and P(t) from ``embedding0`` (n, m) and ``product0`` (m, m), the product of ``depth`` >= 1 balanced layers;
    untied with a ``context0`` (n, m)."""
    t, layers = check_target(target), check_whole_number(depth, "depth", 1, DEEPEST)
    n = len(t)
    w = check_row_weight(row_weight, n)
    e0 = check_matrix(embedding0, (n, None), "embedding0")
    m = e0.shape[1]
    if m == 0:
        raise ValueError(f"embedding0 must have a column; got shape {e0.shape}")
    p0 = check_matrix(product0, (m, m), "product0")
    values = np.linalg.svd(p0, compute_uv=False)
    if layers > 1 and not values[-1] > INVERTIBLE * values[0]:
        raise ValueError("product0 is singular: roots of it do not move smoothly; start with invertible layers")
    tied = context0 is None
    u0 = e0 if context0 is None else check_matrix(context0, (n, m), "context0")
    check_logits(e0 @ p0 @ u0.T, "embedding0 with product0")

    def split(states: Array) -> tuple[Array, Array, Array]:
        e, u = states[..., :n, :], states[..., -n:, :]
        return e, states[..., n : n + m, :], e if tied else u

    def velocity(state: Array) -> Array:
        e, p, u = split(state)
        r = residual(e @ p @ u.T, t, w)
        rows, columns = r @ u @ p.T, r.T @ e @ p
        change = product_velocity(p, e.T @ r @ u, layers)
        return np.concatenate([rows + columns, change] if tied else [rows, change, columns])

    def gram(states: Array) -> Array:
        e = split(states)[0]
        return np.asarray(e @ e.swapaxes(-1, -2))

    def loss(states: Array) -> Array:
        e, p, u = split(states)
        return cross_entropy(e @ p @ u.swapaxes(-1, -2), t, w)

    def trajectory(times: Array, states: Array) -> EndToEndTrajectory:
        return EndToEndTrajectory(times, *split(states), loss(states))

    return FlowEquation(np.concatenate([e0, p0] if tied else [e0, p0, u0]), velocity, gram, loss, trajectory)


def end_to_end_flow(
    target: ArrayLike,
    embedding0: ArrayLike,
    product0: ArrayLike,
    depth: int,
    times: ArrayLike,
    *,
    context0: ArrayLike | None = None,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> EndToEndTrajectory:
    """E(t) and P(t) at the ascending ``times`` (k,) >= 0.

    >>> import numpy as np
    >>> from fiedler.theory import end_to_end_flow, one_hop_target, parse
    >>> target = one_hop_target(parse("path-star:3x3"))  # R is not symmetric here
    >>> flow = end_to_end_flow(target, 0.1 * np.eye(7), np.eye(7), 4, [0, 3, 10])
    >>> (flow.loss / 7).round(3).tolist()
    [1.947, 1.417, 0.93]
    """
    equation = end_to_end_equation(target, embedding0, product0, depth, context0=context0, row_weight=row_weight)
    return at_times(equation, times, rtol)


def product_velocity(p: Array, m: Array, depth: int) -> Array:
    """sum_l (P P')^{(l-1)/L} M (P'P)^{(L-l)/L}, by P's singular vectors."""
    left, values, right = np.linalg.svd(p)
    power = np.power(values[:, None], 2 * np.arange(depth) / depth)
    weight = power @ power[:, ::-1].T
    return np.asarray(left @ ((left.T @ m @ right.T) * weight) @ right)
