"""Exact gradient flow of Node2Vec on cycles and tori of any size, one number a Fourier mode.

From K(0) = s^2 I the Gram matrix of a cycle or torus stays invariant under translations, so K, P and T are diagonal in
the discrete Fourier basis: with eigenvalues g of K (tied) or m of the logits VU' (untied), t of T, and

    p(z) = DFT softmax(DFT^-1 z),     tied:    d ln g / dt = 4 (t - p(g)) - 4 l
                                      untied:  m = s^2 e^(-2 l t) sinh(theta),  d theta / dt = 2 (t - p(m)),

K_V and K_U having the eigenvalues s^2 e^(-2 l t) cosh(theta). (Tied: dK/dt = 2 (S K) - 4 l K with S = 2 (t - p);
untied: dM = R (K_U + K_V), dK = 2 R M, all commuting.) The right-hand sides are bounded by 8, whatever the size of g:
in these variables the flow is not stiff, and costs two Fourier transforms of n numbers an evaluation. Time is step
size times steps. Source: arXiv 2510.26745, section 4, specialised to circulant matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from ..checks import Array, brief, check_flag, check_smoothing
from ..graphs.graph import Graph, check_graph
from ..softmax import check_weight_decay
from .integrator import check_times, check_tolerance
from .starts import check_scale

LAST_TIME = 1e6  # explicit steps are at most about a unit of time long, once the flow has settled
TOLERANCE = 1e-9  # of ln g and theta, so relative to the eigenvalues, a step; errors add up to some hundred times that


@dataclass(frozen=True, eq=False)
class CayleyTrajectory:
    """``times`` (k,); ``gram`` and ``logits`` (k, modes): eigenvalues of V V' and of the logits (equal when tied), each
    occurring ``multiplicity`` times; ``frequencies`` (modes, axes): integer frequencies, zero first; ``loss`` (k,),
    summed over nodes, without weight decay."""

    times: Array
    gram: Array
    logits: Array
    multiplicity: NDArray[np.int64]
    frequencies: NDArray[np.int64]
    loss: Array


def cayley_flow(
    graph: Graph,
    times: ArrayLike,
    *,
    init_scale: float,
    tied: bool = True,
    weight_decay: float = 0.0,
    self_edges: bool = False,
    label_smoothing: float = 0.0,
    tolerance: float = TOLERANCE,
) -> CayleyTrajectory:
    """The flow on a cycle or torus at ``times`` from K(0) = s^2 I, s = ``init_scale`` (untied: V and U orthogonal).

    Raises ValueError for another graph, bad times, scale, decay or smoothing; RuntimeError if the integrator gives up.
    """
    if check_graph(graph).family not in ("cycle", "torus"):
        raise ValueError(f"{brief(graph.name)} is no cycle or torus; use reduced_flow or tied_flow")
    t, decay, s = check_times(times, LAST_TIME), check_weight_decay(weight_decay), check_scale(init_scale, "init_scale")
    check_flag(tied, "tied"), check_tolerance(tolerance, "tolerance")
    modes = FourierModes(graph.parameters, check_flag(self_edges, "self_edges"), check_smoothing(label_smoothing))
    rate = 4.0 if tied else 2.0
    energy = np.log(s**2)

    def spectrum(state: Array, time: float) -> Array:
        """Eigenvalues of the logits."""
        return np.exp(state) if tied else np.exp(energy - 2 * decay * time) * np.sinh(state)

    def derivative(time: float, state: Array) -> Array:
        change = rate * (modes.target - modes.probabilities(spectrum(state, time)))
        return np.asarray(change - 4 * decay if tied else change)

    start = np.full(len(modes.target), energy if tied else 0.0)
    states = integrate_modes(derivative, start, t, tolerance)
    logits = np.array([spectrum(state, time) for state, time in zip(states, t, strict=True)])
    gram = logits if tied else np.exp(energy - 2 * decay * t)[:, None] * np.cosh(states)
    loss = np.array([modes.loss(z) for z in logits])
    return CayleyTrajectory(t, gram, logits, modes.multiplicity, modes.frequencies, loss)


class FourierModes:
    """Real Fourier modes of functions on the torus that are even, on half of the grid of frequencies."""

    def __init__(self, sides: tuple[int, ...], self_edges: bool, label_smoothing: float) -> None:
        self.sides, self.n = sides, prod(sides)
        last = sides[-1]
        self.shape = (*sides[:-1], last // 2 + 1)
        grid = np.meshgrid(*(np.arange(size) for size in self.shape), indexing="ij")
        degree = 2 * len(sides)
        waves = [np.cos(2 * np.pi * k / side) for k, side in zip(grid, sides, strict=True)]
        value: Array = np.mean(waves, axis=0)
        if self_edges:
            value = (degree * value + 1) / (degree + 1)
        value = (1 - label_smoothing) * value
        value.flat[0] = 1.0  # the constant mode of a row-stochastic matrix
        self.target: Array = value.ravel()
        alone = (grid[-1] == 0) | (2 * grid[-1] == last)
        self.multiplicity = np.where(alone, 1, 2).ravel().astype(np.int64)
        self.frequencies = np.stack([k.ravel() for k in grid], axis=1)
        # On a cycle of even length an even function is half as long: type-1 cosine transforms.
        self.cosine = len(sides) == 1 and last % 2 == 0

    def kernel(self, spectrum: Array) -> Array:
        """The row of the matrix with these eigenvalues: over the whole torus, or over half of an even cycle."""
        if self.cosine:
            return np.asarray(scipy.fft.dct(spectrum, type=1)) / self.n
        grid = spectrum.reshape(self.shape)
        return np.asarray(scipy.fft.irfftn(grid, s=self.sides, axes=range(len(self.sides))))

    def probabilities(self, spectrum: Array) -> Array:
        """Eigenvalues of the row-softmax of the logits with eigenvalues ``spectrum``."""
        z = self.kernel(spectrum)
        e = np.exp(z - z.flat[0] if z.flat[0] >= z.max() else z - z.max())
        if self.cosine:
            p = np.asarray(scipy.fft.dct(e, type=1, overwrite_x=True))
            return np.asarray(p / p[0])  # the transform at frequency zero is the sum over the cycle
        p = np.asarray(scipy.fft.rfftn(e).real).ravel()
        return np.asarray(p / p[0])

    def loss(self, spectrum: Array) -> float:
        """L summed over nodes: n [ lse(row) - T . row ]."""
        z = self.kernel(spectrum)
        top = z.max()
        e = np.exp(z - top)
        mass = e[0] + e[-1] + 2 * e[1:-1].sum() if self.cosine else e.sum()
        expected = float((self.multiplicity * self.target) @ spectrum) / self.n
        return float(self.n * (top + np.log(mass) - expected))


def integrate_modes(derivative: Callable[[float, Array], Array], start: Array, times: Array, tolerance: float) -> Array:
    if times[-1] == 0:
        return np.repeat(start[None], len(times), axis=0)
    t0 = min(0.25, float(times[-1]))  # the fastest mode changes by one in a quarter of a unit of time at the most
    tau, index = np.unique(np.log1p(times / t0), return_inverse=True)
    solution = solve_ivp(
        lambda at, y: t0 * np.exp(at) * derivative(t0 * np.expm1(at), y),
        (0.0, tau[-1]),
        start,
        method="DOP853",
        t_eval=tau,
        rtol=tolerance,
        atol=tolerance,
    )
    if not solution.success:
        raise RuntimeError(f"the flow could not be integrated to t = {times[-1]:g}: {solution.message}")
    return np.asarray(solution.y.T[index])
