"""Early phase: small embeddings, where the softmax is still uniform and every mode grows exponentially.

At P = 11'/n and W = diag(w) the flow is linear (expand dV/dt = (R + R') V around V = 0):

    tied:    V(t) = exp(t S0) V(0),   S0 = WT + T'W - (w1' + 1w')/n - 2 l I
    untied:  dV/dt = R0 U - l V,  dU/dt = R0' V - l U,   R0 = W (T - 11'/n):  rates are singular values of R0 minus l

A mode that starts with energy s^2 reaches order one at t_k = ln(1/s^2) / (2 s_k), s_k its growth rate (eigenvalue of
S0, or singular value). Assumes s^2 << 1, and stops holding once any logit is of order one: the later modes then grow
in the presence of the earlier ones, so only the order and the leading times are exact as s -> 0.
Units: t = step_size * steps. Related: arXiv 2002.12317 (expansion of the word2vec loss around zero).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh, svd

from ..checks import Array, check_flag, check_matrix, check_real, shown
from ..softmax import check_row_weight, check_target, check_weight_decay
from ..spectra.laplacians import EIGENVALUE_TOLERANCE
from .integrator import check_times
from .starts import SMALLEST_SCALE

LARGEST_EXPONENT = 250.0  # exp of twice that, times the start, stays in float64


@dataclass(frozen=True, eq=False)
class EarlyModes:
    """Growth rates (n,), descending, of V at V = 0, with their modes: ``left`` (n, n) columns (V side) and ``right``
    (U side; equal to ``left`` when tied)."""

    rates: Array
    left: Array
    right: Array
    tied: bool

    def mode_times(self, init_scale: float) -> Array:
        """t_k = ln(1/s^2) / (2 s_k) for s = ``init_scale`` in (0, 1); infinity for modes that do not grow."""
        scale = check_real(init_scale, "init_scale")
        if not SMALLEST_SCALE <= scale < 1.0:
            raise ValueError(
                f"init_scale must lie in (0, 1), from {SMALLEST_SCALE:.0e}, for an early phase to exist; "
                f"got {shown(init_scale)}"
            )
        growing = self.rates > EIGENVALUE_TOLERANCE
        times = np.full(len(self.rates), np.inf)
        times[growing] = np.log(1.0 / scale**2) / (2.0 * self.rates[growing])
        return times


def early_modes(
    target: ArrayLike, *, tied: bool = True, weight_decay: float = 0.0, row_weight: ArrayLike | None = None
) -> EarlyModes:
    """The growth rates and modes of the linear flow around zero embeddings. See the module for the equation.

    >>> from fiedler.theory import early_modes, one_hop_target, parse
    >>> modes = early_modes(one_hop_target(parse("cycle:15")))
    >>> modes.rates[:5].round(3).tolist()  # waves, the slowest in space first
    [1.827, 1.827, 1.338, 1.338, 0.618]
    >>> modes.mode_times(init_scale=0.01)[:5].round(2).tolist()
    [2.52, 2.52, 3.44, 3.44, 7.45]
    """
    t, decay, one_sided = check_target(target), check_weight_decay(weight_decay), check_flag(tied, "tied")
    w = check_row_weight(row_weight, len(t))
    r0 = w[:, None] * (t - 1.0 / len(t))
    if one_sided:
        rates, modes = eigh(r0 + r0.T)
        return EarlyModes(rates[::-1] - 2 * decay, modes[:, ::-1], modes[:, ::-1], True)
    left, values, right_t = svd(r0)
    return EarlyModes(values - decay, left, right_t.T, False)


def early_gram(
    target: ArrayLike,
    gram0: ArrayLike,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
) -> Array:
    """K(t) = exp(t S0) K(0) exp(t S0) of the tied early phase at ``times`` (k,), shape (k, n, n)."""
    modes = early_modes(target, tied=True, weight_decay=weight_decay, row_weight=row_weight)
    n, t = len(modes.rates), check_times(times)
    if modes.rates[0] * t[-1] > LARGEST_EXPONENT:
        last = LARGEST_EXPONENT / modes.rates[0]
        raise ValueError(f"times must end by {last:.3g}: exp(t S0) overflows at {t[-1]:g}, long after the early phase")
    k0 = modes.left.T @ check_matrix(gram0, (n, n), "gram0") @ modes.left
    growth = np.exp(np.multiply.outer(t, modes.rates))
    inner = growth[:, :, None] * k0 * growth[:, None, :]
    return np.asarray(modes.left @ inner @ modes.left.T)
