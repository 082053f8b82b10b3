"""How tied runs of finite width scatter around the infinite-width limit, and how far their mean is from it.

V(0) with m columns of independent N(0, s^2/m) entries: K(0) is Wishart with mean s^2 I, and dK = K(0) - s^2 I is
isotropic among symmetric matrices, with variance v = 2 s^4 / m along each unit direction (Frobenius norm). Exactly, at
t = 0, the energy of an eigenspace of dimension d has mean s^2 d and variance 2 s^4 d / m. Along the flow, for a figure
f(K(t)) (an energy, the loss, an entry) as a function of K(0), with the directions and derivatives of ``width.tangent``,

    standard deviation = sqrt(v sum_a (df_a)^2) (1 + O(1/m))        mean - limit = (v/2) sum_a d^2f_aa + O(1/m^2).

dK has mean zero, so there is no other term of order 1/m in the mean (its third moments are of order 1/m^2).
Where it stops holding: sqrt(n/m) must be small, and smaller the more the flow amplifies differences (large logits, a
mode that grows from a small start: its time of growth scatters). Near the optimum the first-order scatter of the loss
vanishes, and the energy of a mode that dies in the limit has a mean (the bias) and a scatter both of order 1/m: there
the first-order figure is far too small. ``width_bands`` samples starts of any width and is the reference. Tied
Node2Vec only. float64; times t = step_size * steps. Equations are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_type, check_vector, shown
from ..flow.integrator import check_decay_span, check_times, integrate
from ..flow.path import space_energies
from ..flow.starts import check_count, check_scale, gaussian_starts
from ..softmax import check_row_weight, check_target, check_weight_decay, cross_entropy, residual
from ..spectra.laplacians import Eigenspaces, check_spaces
from .tangent import Tangent, tied_tangent

SAMPLED_TOLERANCE = 1e-8  # far below the scatter of any affordable number of samples


@dataclass(frozen=True, eq=False)
class WidthPrediction:
    """Figures at ``times`` (k,) of runs of width m around the limit: for the energies of q eigenspaces (k, q), the loss
    (k,) summed over rows, and the Gram entries (k, n, n), the infinite-width value, the standard deviation over seeds
    to first order, and the bias (mean minus limit) to order 1/m."""

    times: Array
    width: int
    energy: Array
    energy_std: Array
    energy_bias: Array
    loss: Array
    loss_std: Array
    loss_bias: Array
    gram: Array
    gram_std: Array
    gram_bias: Array


@dataclass(frozen=True, eq=False)
class WidthBands:
    """Sampled runs of width m: ``energy`` (samples, k, q) and ``loss`` (samples, k) at ``times`` (k,)."""

    times: Array
    width: int
    energy: Array
    loss: Array

    def energy_band(self, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Quantiles of the energies over the samples, (len(levels), k, q)."""
        return np.asarray(np.quantile(self.energy, _check_levels(levels), axis=0))

    def loss_band(self, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Quantiles of the loss over the samples, (len(levels), k)."""
        return np.asarray(np.quantile(self.loss, _check_levels(levels), axis=0))


def initial_energy_moments(spaces: Eigenspaces, width: int, init_scale: float) -> tuple[Array, Array]:
    """Mean s^2 d_k and variance 2 s^4 d_k / m of the energy of each eigenspace at t = 0, exact for every width: it is
    s^2/m times a chi-square variable with m d_k degrees of freedom. Two arrays (q,)."""
    m, s = check_count(width, "width"), check_scale(init_scale, "init_scale")
    d = check_spaces(spaces).multiplicities.astype(np.float64)
    return s**2 * d, 2 * s**4 * d / m


def predict_width(
    target: ArrayLike,
    spaces: Eigenspaces,
    width: int,
    init_scale: float,
    times: ArrayLike,
    *,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
) -> WidthPrediction:
    """Scatter and bias of width-``width`` runs at the ascending ``times``. See the module for the equations and limits,
    ``width.tangent`` for the cost (n up to 60)."""
    check_count(width, "width")
    t = check_target(target)
    _check_spaces(spaces, len(t))  # before the derivatives, which take long
    tangent = tied_tangent(t, init_scale, times, weight_decay=weight_decay, row_weight=row_weight)
    return predict_from_tangent(tangent, spaces, width, init_scale)


def predict_from_tangent(tangent: Tangent, spaces: Eigenspaces, width: int, init_scale: float) -> WidthPrediction:
    """The same from derivatives already integrated: any number of widths for the price of one."""
    m, s = check_count(width, "width"), check_scale(init_scale, "init_scale")
    v = check_type(tangent, Tangent, "tangent", "make one with tied_tangent").embedding
    _check_spaces(spaces, v.shape[1])
    variance = 2 * s**4 / m
    grams = v @ v.transpose(0, 2, 1)
    gram_var, gram_bend, energy_var, loss_var, loss_bend = [], [], [], [], []
    for k in range(len(tangent.times)):
        change, bend = tangent.gram_changes(k), tangent.gram_curvature(k)
        gram_var.append((change**2).sum(axis=0))
        gram_bend.append(bend)
        energy_var.append((space_energies(change, spaces) ** 2).sum(axis=0))
        loss_var.append((tangent.loss_changes(k) ** 2).sum())
        loss_bend.append(tangent.loss_curvature(k))
    bends = np.array(gram_bend)
    return WidthPrediction(
        tangent.times,
        m,
        space_energies(grams, spaces),
        np.sqrt(variance * np.array(energy_var)),
        variance / 2 * space_energies(bends, spaces),
        tangent.loss,
        np.sqrt(variance * np.array(loss_var)),
        variance / 2 * np.array(loss_bend),
        grams,
        np.sqrt(variance * np.array(gram_var)),
        variance / 2 * bends,
    )


def width_bands(
    target: ArrayLike,
    spaces: Eigenspaces,
    width: int,
    init_scale: float,
    times: ArrayLike,
    samples: int,
    *,
    seed: int = 0,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = SAMPLED_TOLERANCE,
) -> WidthBands:
    """Integrate ``samples`` Gaussian starts of ``width`` columns, all as one batch, to the ascending ``times`` (k,).

    Reproducible from ``seed``. Holds samples * n * min(n, width) numbers sixteen times over; one step size serves all
    samples, explicit steps only. Raises ValueError for bad input.
    """
    t, decay, clock = check_target(target), check_weight_decay(weight_decay), check_times(times)
    n = len(t)
    w = check_row_weight(row_weight, n)
    _check_spaces(spaces, n)
    check_decay_span(decay, clock)
    start = gaussian_starts(n, width, init_scale, samples, seed)

    def velocity(v: Array) -> Array:
        r = residual(v @ v.swapaxes(-1, -2), t, w)
        return np.asarray((r + r.swapaxes(-1, -2)) @ v - 2 * decay * v)

    v = integrate(velocity, start, float(clock[-1]), times=clock, rtol=rtol, implicit_limit=0).states
    grams = np.asarray(v @ v.swapaxes(-1, -2)).swapaxes(0, 1)
    return WidthBands(clock, int(width), space_energies(grams, spaces), cross_entropy(grams, t, w))


def _check_levels(levels: Sequence[float]) -> Array:
    quantiles = check_vector(levels, "levels")
    if not ((quantiles >= 0) & (quantiles <= 1)).all():
        raise ValueError(f"levels must lie in [0, 1]; got {shown(levels)}")
    return quantiles


def _check_spaces(spaces: Eigenspaces, n: int) -> None:
    if len(check_spaces(spaces).basis) != n:
        raise ValueError(f"the eigenspaces are of {len(spaces.basis)} nodes, the target of {n}; use the same graph's")
