"""Exact gradient flow of Node2Vec on the blocks of a graph's symmetry, from the infinite-width start.

From K(0) = s^2 I the flow never leaves the coherent algebra: softmax is entrywise exponentials and row sums, and the
algebra is closed under products. With factors of the blocks, K_b = F_b F_b' and F_b(0) = s I,

    tied:    dF_b/dt = (S_b - 2 l) F_b,                    S = R + R',  R = diag(w) (T - P)
    untied:  dV_b/dt = R_b U_b - l V_b,  dU_b/dt = R_b' V_b - l U_b,     V_b(0) = [s I, 0],  U_b(0) = [0, s I],

P from the logits' colours. Time is step size times steps, as in theory.flow; the cost depends on the blocks, not on n.
Integrated in tau = log(1 + t / t0), t0 the inverse of the fastest rate at the start, so that decades of time cost
alike, by LSODA, which turns implicit where hubs make the late flow stiff.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from ..checks import Array, check_flag
from ..flow.integrator import check_times, check_tolerance
from ..flow.starts import check_scale
from ..softmax import check_row_weight, check_weight_decay
from .blocks import BlockAlgebra
from .problem import check_colour_target

RELATIVE_TOLERANCE = 1e-10  # of each entry of the factors and step; errors add up to a few hundred times that
COMPLEX_STEP = 1e-30  # no difference is taken, so it may be as small as one likes
ABSOLUTE_TOLERANCE = 1e-13  # of the largest entry at the start


@dataclass(frozen=True, eq=False)
class ReducedTrajectory:
    """``times`` (k,), ascending; ``blocks``: V's Gram matrix per block, (k, d_b, d_b) each, repeated ``multiplicity``
    times; ``logits`` (k, q), one value a colour; ``loss`` (k,), summed over nodes, without weight decay."""

    times: Array
    blocks: tuple[Array, ...]
    multiplicity: NDArray[np.int64]
    logits: Array
    loss: Array

    def eigenvalues(self, index: int = -1) -> tuple[Array, NDArray[np.int64]]:
        """Eigenvalues of V V' at one time, descending, blocks apart, with their multiplicities."""
        each = [np.linalg.eigvalsh(b[index]) for b in self.blocks]
        values = np.concatenate(each)
        counts = np.concatenate([np.full(len(v), m) for v, m in zip(each, self.multiplicity, strict=True)])
        order = np.argsort(-values, kind="stable")
        return values[order], counts[order]


def reduced_flow(
    algebra: BlockAlgebra,
    target: ArrayLike,
    times: ArrayLike,
    *,
    init_scale: float,
    tied: bool = True,
    weight_decay: float = 0.0,
    row_weight: ArrayLike | None = None,
    rtol: float = RELATIVE_TOLERANCE,
) -> ReducedTrajectory:
    """The flow at ``times`` from K(0) = s^2 I, s = ``init_scale`` > 0, for a target (q,) on the algebra's colours.

    Untied, V and U start orthogonal to each other (logits zero). ``row_weight`` (r,) per node type. Raises ValueError
    for bad times, scale, decay or weights, RuntimeError when the integrator gives up.
    """
    t, decay, s = check_times(times), check_weight_decay(weight_decay), check_scale(init_scale, "init_scale")
    x = check_colour_target(algebra, target)
    w = check_row_weight(row_weight, len(algebra.type_sizes))
    check_tolerance(rtol, "rtol")
    system = _System(algebra, x, w, decay, check_flag(tied, "tied"))
    start = system.start(s)
    states = _integrate(system, start, t, rtol)
    blocks, logits = zip(*(system.describe(state) for state in states), strict=True)
    z = np.array(logits)
    return ReducedTrajectory(
        t,
        tuple(np.array(block) for block in zip(*blocks, strict=True)),
        np.array(algebra.multiplicity),
        z,
        np.array([system.loss(logits_at_time) for logits_at_time in z]),
    )


class _System:
    """The right-hand side over one flat state: F_b, or V_b over U_b, block after block."""

    def __init__(self, algebra: BlockAlgebra, target: Array, w: Array, decay: float, tied: bool) -> None:
        self.algebra, self.target, self.decay, self.tied = algebra, target, decay, tied
        self.weight = w[algebra.row_type]
        self.shapes = [(d, d) if tied else (2 * d, 2 * d) for d in algebra.dimensions]
        self.ends = np.cumsum([0, *(a * b for a, b in self.shapes)])
        self.by_row = np.argsort(algebra.row_type, kind="stable")
        self.first = np.searchsorted(algebra.row_type[self.by_row], np.arange(len(algebra.type_sizes)))

    def start(self, s: float) -> Array:
        return np.concatenate([s * np.eye(a).ravel() for a, _ in self.shapes])

    def split(self, state: Array) -> list[Array]:
        """The factors of one state, or of a batch of states (k, size)."""
        pieces = zip(self.ends[:-1], self.ends[1:], self.shapes, strict=True)
        return [state[..., a:b].reshape(*state.shape[:-1], *shape) for a, b, shape in pieces]

    def derivative(self, state: Array) -> Array:
        """d state / dt; analytic in the state, so that complex steps differentiate it."""
        factors = self.split(state)
        r = self.algebra.to_blocks(self.residual(self.logits(factors)))
        out = []
        for b, f in zip(r, factors, strict=True):
            if self.tied:
                change = (b + b.swapaxes(-1, -2)) @ f - 2 * self.decay * f
            else:
                v, u = self.halves(f)
                change = np.concatenate([b @ u, b.swapaxes(-1, -2) @ v], axis=-2) - self.decay * f
            out.append(change.reshape(*state.shape[:-1], -1))
        return np.concatenate(out, axis=-1)

    def jacobian(self, state: Array) -> Array:
        """Exact to rounding, by complex steps in all coordinates at once."""
        steps = state + 1j * COMPLEX_STEP * np.eye(len(state))
        return np.asarray(self.derivative(steps).imag.T / COMPLEX_STEP)

    def halves(self, f: Array) -> tuple[Array, Array]:
        """V and U of an untied factor; twice the factor when tied."""
        d = f.shape[-2] if self.tied else f.shape[-2] // 2
        return f[..., :d, :], f[..., -d:, :]

    def logits(self, factors: list[Array]) -> Array:
        pairs = (self.halves(f) for f in factors)
        return self.algebra.to_colours([v @ u.swapaxes(-1, -2) for v, u in pairs])

    def residual(self, z: Array) -> Array:
        e = np.exp(z - self.row_maximum(z))
        p = e / self.row_sums(e)
        return np.asarray(self.weight * (self.target - p))

    def row_maximum(self, z: Array) -> Array:
        """The largest real part of z in each colour's row."""
        top = np.maximum.reduceat(z.real[..., self.by_row], self.first, axis=-1)
        return np.asarray(top[..., self.algebra.row_type])

    def row_sums(self, e: Array) -> Array:
        """sum_c k_c e_c over the colours of each colour's row."""
        sums = np.add.reduceat((self.algebra.valency * e)[..., self.by_row], self.first, axis=-1)
        return np.asarray(sums[..., self.algebra.row_type])

    def loss(self, z: Array) -> float:
        top = self.row_maximum(z)
        lse = top + np.log(self.row_sums(np.exp(z - top)))
        return float((self.weight * self.algebra.class_sizes * self.target) @ (lse - z))  # target rows sum to one

    def describe(self, state: Array) -> tuple[list[Array], Array]:
        """V's Gram matrix per block and the logits on the colours."""
        factors = self.split(state)
        embeddings = [self.halves(f)[0] for f in factors]
        return [v @ v.T for v in embeddings], self.logits(factors)


def _integrate(system: _System, start: Array, times: Array, rtol: float) -> Array:
    if times[-1] == 0:
        return np.repeat(start[None], len(times), axis=0)
    rate = float(np.abs(system.derivative(start)).max() / np.abs(start).max())
    t0 = min(1.0 / rate, float(times[-1])) if rate > 0 else float(times[-1])
    tau, index = np.unique(np.log1p(times / t0), return_inverse=True)
    solution = solve_ivp(
        lambda at, y: t0 * np.exp(at) * system.derivative(y),
        (0.0, tau[-1]),
        start,
        method="LSODA",
        jac=lambda at, y: t0 * np.exp(at) * system.jacobian(y),
        t_eval=tau,
        rtol=rtol,
        atol=ABSOLUTE_TOLERANCE * float(np.abs(start).max()),
    )
    if not solution.success:
        raise RuntimeError(f"the flow could not be integrated to t = {times[-1]:g}: {solution.message}")
    return np.asarray(solution.y.T[index])
