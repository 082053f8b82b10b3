"""How long a mode of a linear net takes to leave the neighbourhood of zero: the growth law at any depth, integrated.

While the residual is still what it was at Z = 0, a mode of growth rate s (an eigenvalue of S0 = R0 + R0' where tied, a
singular value of R0 where untied: ``flow.early``) with eigenvalue k of K = EE' obeys

    dk/dt = 2 s phi(k),     phi(k) = k (a + b k)^{L/2}  (``ladder.spectral``),

so it goes from k0 to k1 in the time (1 / 2s) int_{k0}^{k1} dk / phi(k). With p = L/2, q = b k / (a + b k), H_x the
harmonic numbers (H_{p-1} = digamma(p) + Euler's constant), int_k^inf dk / phi is

    a > 0:   a^{-p} F(q),  F(q) = int_0^{1-q} u^{p-1} / (1 - u) du = -ln q - H_{p-1} + (p - 1) q - ...
    a = 0:   (b k)^{-p} / p

- Residual connections (a = 1): the exponential phase of Node2Vec with its rates, then a blow-up at the finite time
  [ln(2/s0^2) - H_{L/2-1}] / 2s (tied, from k0 = s0^2, up to O(s0^2)): depth moves t_k by a constant only.
- None, balanced (a = 0): no exponential phase. The escape from k0 takes (b k0)^{-L/2} / (L s), a power of the start, so
  that later modes lag behind by factors and not by differences.
Stops holding once a logit is of order one; the blow-up is that of the law, the net's own growth ends when the softmax
answers. Untied from orthogonal starts half of k0 grows. Unit of time: step size times steps. Source: ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, hyp2f1

from ..checks import Array, check_array, check_reals, check_type, shown
from .spectral import SpectralMap

SERIES_BELOW, TERMS = 0.1, 30  # of p q: the terms then fall like 0.2^j


def saddle_escape_time(phi: SpectralMap, rate: ArrayLike, start: ArrayLike, level: ArrayLike = np.inf) -> Array:
    """Time from k = ``start`` > 0 to ``level`` >= start at growth ``rate`` s; arrays broadcast. Infinity where s <= 0,
    and for an infinite ``level`` of a net without layers.

    Raises ValueError for a start that is not positive, a level below it or a time beyond float64.

    >>> from fiedler.theory import early_modes, saddle_escape_time, one_hop_target, parse, spectral_map
    >>> rate = early_modes(one_hop_target(parse("cycle:15"))).rates[0]
    >>> [saddle_escape_time(spectral_map(depth), rate, 1e-4, 1.0).round(3).item() for depth in (0, 1, 2)]
    [2.52, 2.462, 2.41]
    >>> saddle_escape_time(spectral_map(2, residual=False), rate, 1e-4).round(1).item()
    5473.2
    """
    check_type(phi, SpectralMap, "phi", "make one with spectral_map")
    s, k0 = check_array(rate, "rate"), check_array(start, "start")
    k1 = check_reals(level, "level")
    if not (k0 > 0).all():
        raise ValueError(f"start must be positive; got {shown(start)}")
    try:
        s, k0, k1 = np.broadcast_arrays(s, k0, k1)
    except ValueError:
        raise ValueError(
            f"rate, start and level must broadcast; got shapes {s.shape}, {k0.shape} and {k1.shape}"
        ) from None
    if not (k1 >= k0).all():
        raise ValueError(f"level must not lie below start; got {shown(level)}")
    with np.errstate(all="ignore"):
        span = np.log(k1 / k0) if phi.depth == 0 else _left(phi, k0) - _left(phi, k1)
        time = np.where(s > 0, span / (2 * s), np.inf)
    if np.isnan(time).any():
        raise ValueError(f"start {shown(start)} gives a time beyond float64 at depth {phi.depth}; use a larger one")
    return np.asarray(time)


def _left(phi: SpectralMap, k: Array) -> Array:
    """int_k^inf dk / phi(k), L >= 1; zero at infinity."""
    p, a, b = phi.depth / 2, phi.offset, phi.share
    if a == 0:
        return np.asarray(np.where(np.isinf(k), 0.0, np.power(b * k, -p) / p))
    q = b * k / (a + b * k)
    far = np.power(a + b * k, -p) / p * hyp2f1(1.0, p, p + 1, a / (a + b * k))
    near = -np.log(q) - (digamma(p) + np.euler_gamma)
    term = np.ones_like(q)
    for j in range(1, TERMS):
        term = term * (p - j) / j * -q
        near = near - term / j
    close = p * q < SERIES_BELOW
    return np.asarray(np.where(np.isinf(k), 0.0, np.where(close, a**-p * near, far)))
