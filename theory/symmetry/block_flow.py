"""The gradient flow of a linear net on the blocks of a graph's symmetry: embeddings, and any number of layers.

From multiples of the identity the flow of Z = V P U', P = B_1 ... B_L, never leaves the coherent algebra, whatever the
graph and whether R is symmetric or not: every update is a product of R, V, U and the layers. So each block has a net of
its own, of width d_b (tied) or 2 d_b, and only the softmax, on the colours, couples them. L = 0 is Node2Vec.

Integrated in tau = log(1 + t / t0), t0 the inverse of the fastest rate at the start, so that decades of time cost
alike, by LSODA, which turns implicit where hubs make the late flow stiff.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from ..checks import Array
from .blocks import BlockAlgebra

RELATIVE_TOLERANCE = 1e-10  # of each entry of the factors and step; errors add up to a few hundred times that
COMPLEX_STEP = 1e-30  # no difference is taken, so it may be as small as one likes
ABSOLUTE_TOLERANCE = 1e-13  # of the largest entry at the start


class BlockFlow:
    """The gradient flow of a net Z = V P U', P = B_1 ... B_L, over one flat state: of each block in turn, F over
    W_1, ..., W_L, F = V (U = V where tied) or V over U, every matrix with as many columns as F has rows.

    ``decay``: the rate l of -l F and -l W_l. B_l = I + W_l with ``skip``, W_l otherwise; L = 0 is Node2Vec:

        dV/dt = R U P' - l V,   dU/dt = R' V P - l U (both added where tied),   dW_l/dt = V_{l-1}' R U_l - l W_l

    with V_l = V B_1 ... B_l and U_l = U (B_{l+1} ... B_L)'.
    """

    def __init__(
        self,
        algebra: BlockAlgebra,
        target: Array,
        w: Array,
        decay: float,
        tied: bool,
        *,
        depth: int = 0,
        skip: bool = False,
    ) -> None:
        self.algebra, self.target, self.decay, self.tied = algebra, target, decay, tied
        self.depth, self.skip = depth, skip
        self.weight = w[algebra.row_type]
        self.widths = [d if tied else 2 * d for d in algebra.dimensions]
        self.shapes = [((1 + depth) * m, m) for m in self.widths]
        self.ends = np.cumsum([0, *(a * b for a, b in self.shapes)])
        self.by_row = np.argsort(algebra.row_type, kind="stable")
        self.first = np.searchsorted(algebra.row_type[self.by_row], np.arange(len(algebra.type_sizes)))

    def start(self, s: float, inner: float = 0.0) -> Array:
        """F = s I and W_l = ``inner`` I: K(0) = s^2 I, untied V and U orthogonal to each other."""
        scales = [s, *[inner] * self.depth]
        return np.concatenate([np.concatenate([a * np.eye(m).ravel() for a in scales]) for m in self.widths])

    def split(self, state: Array) -> list[Array]:
        """The matrices of each block (..., (1 + L) m, m), of one state or of a batch of states (..., size)."""
        pieces = zip(self.ends[:-1], self.ends[1:], self.shapes, strict=True)
        return [state[..., a:b].reshape(*state.shape[:-1], *shape) for a, b, shape in pieces]

    def matrices(self, block: Array) -> tuple[Array, Array, list[Array]]:
        """V, U and W_1, ..., W_L of a block; V and U are the same where tied."""
        m = block.shape[-1]
        f, d = block[..., :m, :], m if self.tied else m // 2
        layers = [block[..., l * m : (l + 1) * m, :] for l in range(1, self.depth + 1)]
        return f[..., :d, :], f[..., -d:, :], layers

    def forward(self, block: Array) -> list[Array]:
        """V_0 = V, ..., V_L."""
        v, _, layers = self.matrices(block)
        out = [v]
        for layer in layers:
            out.append(out[-1] @ layer + (out[-1] if self.skip else 0.0))
        return out

    def derivative(self, state: Array) -> Array:
        """d state / dt; analytic in the state, so that complex steps differentiate it."""
        blocks = self.split(state)
        forward = [self.forward(block) for block in blocks]
        r = self.algebra.to_blocks(self.residual(self._logits(blocks, forward)))
        out = []
        for b, block, ahead in zip(r, blocks, forward, strict=True):
            _, u, layers = self.matrices(block)
            back, changes = b @ u, []
            for layer, before in zip(reversed(layers), reversed(ahead[:-1]), strict=True):
                changes.append(before.swapaxes(-1, -2) @ back)
                back = back @ layer.swapaxes(-1, -2) + (back if self.skip else 0.0)
            ends = [back, b.swapaxes(-1, -2) @ ahead[-1]]
            change = np.concatenate([*([ends[0] + ends[1]] if self.tied else ends), *reversed(changes)], axis=-2)
            out.append((change - self.decay * block).reshape(*state.shape[:-1], -1))
        return np.concatenate(out, axis=-1)

    def jacobian(self, state: Array) -> Array:
        """Exact to rounding, by complex steps in all coordinates at once."""
        steps = state + 1j * COMPLEX_STEP * np.eye(len(state))
        return np.asarray(self.derivative(steps).imag.T / COMPLEX_STEP)

    def logits(self, state: Array) -> Array:
        """Z, one value a colour."""
        blocks = self.split(state)
        return self._logits(blocks, [self.forward(block) for block in blocks])

    def _logits(self, blocks: list[Array], forward: list[list[Array]]) -> Array:
        contexts = [self.matrices(block)[1] for block in blocks]
        return self.algebra.to_colours(
            [ahead[-1] @ u.swapaxes(-1, -2) for ahead, u in zip(forward, contexts, strict=True)]
        )

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

    def grams(self, states: Array) -> tuple[Array, ...]:
        """V's Gram matrix per block, (k, d_b, d_b) each, of states (k, size)."""
        embeddings = [self.matrices(block)[0] for block in self.split(states)]
        return tuple(np.asarray(v @ v.swapaxes(-1, -2)) for v in embeddings)


def integrate_blocks(system: BlockFlow, start: Array, times: Array, rtol: float) -> Array:
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
