"""The closed flow of a tied net's embedding where R stays symmetric: its layers are a function of its Gram matrix.

With P = psi(E'E), psi(k) = (a + b k)^{L/2} of ``ladder.spectral``, the flow dE/dt = R E P' + R' E P is, for R = R',

    dE/dt = C psi(K) E,      dK/dt = C phi(K) + phi(K) C,      C = R + R' = 2 R,  K = EE',  Z = phi(K) = K psi(K)

from K(0) = s^2 I: n^2 numbers at any depth, and Node2Vec at L = 0. It is integrated in E, so that modes keep their
relative accuracy. The time is that of the net's flow (step size times steps), all its matrices at the same rate.

When R stays symmetric: the softmax divides row i by sum_j exp(Z_ij), so a symmetric Z gives a symmetric P(Z) only where
these sums are equal. A symmetric target is not enough. It is so on graphs whose coherent algebra has one type of node
(vertex-transitive and distance-regular ones), with equal row weights; there it is so for ever. Elsewhere the equation
is *not* the net's flow: the trajectory says by how much R misses symmetry, and ``ladder_gram_flow`` refuses.
Source: ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array
from ..flow.at_times import at_times
from ..flow.equations import FlowEquation, check_logits
from ..flow.integrator import RELATIVE_TOLERANCE
from ..flow.starts import wide_tied_start
from ..softmax import check_row_weight, check_target, cross_entropy
from ..softmax import residual as residual_of
from .spectral import SpectralMap, spectral_map

# Times ``rtol``, at most the second: what integration errors, amplified by the growing modes, add to R - R'. Where R is
# not symmetric it misses by tenths.
SYMMETRIC, CLEARLY_NOT = 1e5, 1e-2
VANISHING = 1e-12  # of the weighted target: R below it is rounding, and has no shape


@dataclass(frozen=True, eq=False)
class LadderGramTrajectory:
    """``times`` (k,), ``embedding`` E (k, n, n), ``logits`` Z (k, n, n), ``loss`` (k,), and the ``asymmetry`` (k,) of
    the residual, ||R - R'|| / ||R||: zero where the closure is exact."""

    times: Array
    embedding: Array
    logits: Array
    loss: Array
    asymmetry: Array

    @property
    def gram(self) -> Array:
        """K(t) = EE', (k, n, n)."""
        return self.embedding @ self.embedding.transpose(0, 2, 1)


def ladder_gram_equation(
    target: ArrayLike,
    init_scale: float,
    depth: int,
    *,
    residual: bool = True,
    inner_scale: float | None = None,
    row_weight: ArrayLike | None = None,
) -> FlowEquation[LadderGramTrajectory]:
    """dE/dt = C psi(K) E from E(0) = s I, s = ``init_scale`` > 0; layers and ``inner_scale`` as in ``spectral_map``.

    It is the net's flow only where the trajectory's ``asymmetry`` is zero."""
    t = check_target(target)
    w, start = check_row_weight(row_weight, len(t)), wide_tied_start(len(t), init_scale)
    phi = spectral_map(depth, residual=residual, init_scale=init_scale, inner_scale=inner_scale)
    check_logits(phi.logits(start[0, :1] ** 2), "init_scale")

    def velocity(e: Array) -> Array:
        left, values, right = np.linalg.svd(e)
        gain = phi.gain(values**2)
        r = residual_of((left * (values**2 * gain)) @ left.T, t, w)
        return np.asarray((r + r.T) @ (left * (gain * values)) @ right)

    def gram(e: Array) -> Array:
        return np.asarray(e @ e.swapaxes(-1, -2))

    def loss(e: Array) -> Array:
        return cross_entropy(_logits(phi, e), t, w)

    def trajectory(times: Array, e: Array) -> LadderGramTrajectory:
        z = _logits(phi, e)
        return LadderGramTrajectory(times, e, z, cross_entropy(z, t, w), _asymmetry(z, t, w))

    return FlowEquation(start, velocity, gram, loss, trajectory)


def ladder_gram_flow(
    target: ArrayLike,
    init_scale: float,
    depth: int,
    times: ArrayLike,
    *,
    residual: bool = True,
    inner_scale: float | None = None,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> LadderGramTrajectory:
    """E(t) of the net at the ascending ``times`` (k,) >= 0. ValueError, with the measured asymmetry, where R does not
    stay symmetric, up to integration errors.

    >>> from fiedler.theory import ladder_gram_flow, one_hop_target, parse
    >>> flow = ladder_gram_flow(one_hop_target(parse("cycle:15")), 0.01, 1, [0, 10, 1000])
    >>> (flow.loss / 15).round(3).tolist()
    [2.708, 1.436, 1.435]
    """
    equation = ladder_gram_equation(
        target,
        init_scale,
        depth,
        residual=residual,
        inner_scale=inner_scale,
        row_weight=row_weight,
    )
    found = at_times(equation, times, rtol)
    worst = int(found.asymmetry.argmax())
    if found.asymmetry[worst] > min(SYMMETRIC * rtol, CLEARLY_NOT):
        raise ValueError(
            f"R does not stay symmetric: |R - R'| is {found.asymmetry[worst]:.2g} |R| at time {found.times[worst]:g}, "
            "so the Gram matrix alone does not close; use end_to_end_flow or reduced_ladder_flow"
        )
    return found


def _logits(phi: SpectralMap, e: Array) -> Array:
    left, values, _ = np.linalg.svd(e)
    return np.asarray((left * (values**2 * phi.gain(values**2))[..., None, :]) @ left.swapaxes(-1, -2))


def _asymmetry(logits: Array, target: Array, w: Array) -> Array:
    r = residual_of(logits, target, w)
    size = np.linalg.norm(r, axis=(-2, -1))
    least = VANISHING * np.linalg.norm(w[:, None] * target)
    apart = np.linalg.norm(r - r.swapaxes(-1, -2), axis=(-2, -1))
    return np.asarray(np.where(size > least, apart / np.maximum(size, least), 0.0))
