"""The two training objectives as functions of a stacked factor, with exact gradients and Hessian products.

Tied: F = V (n, r), logits VV' + 1a', objective L + l ||V||^2. With the bias a (used for l = 0), V and a are kept
centred: K -> K + c 11' and a -> a + c leave the softmax unchanged.
Untied: F = V stacked over U (2n, r), logits VU', objective L + l/2 (||V||^2 + ||U||^2); no bias.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh

from ..checks import Array
from ..softmax import log_sum_exp, row_softmax

# Columns of the start: n up to this n, COLUMNS_PER_ROOT sqrt(n) above. Escape adds what is missing, but one narrower
# than the optimum converges to a saddle first, and slowly: 3 sqrt(n) is above the rank of sparse graphs at l >= 0.01.
FULL_RANK_LIMIT = 150
COLUMNS_PER_ROOT = 3.0
# S may exceed l I (or a singular value of R exceed l) by this much, per unit of mean row weight, before a new direction
# is opened: an order below the 1e-7 that certificates promise.
ESCAPE_LEVEL = 1e-8
# Eigenvalues of l I - S below this part of l, in the preconditioner, are raised to it: near the optimum many are zero.
SLACK_FLOOR = 1e-3


class Objective(ABC):
    """A smooth function of (F, a); ``centre`` is the projection under which F and a live."""

    def __init__(self, target: Array, row_weight: Array, weight_decay: float) -> None:
        self.t, self.w, self.decay = target, row_weight, weight_decay
        self.n, self.scale = len(target), float(row_weight.sum())

    @abstractmethod
    def start(self) -> tuple[Array, Array]:
        """A generic starting point (F, a)."""

    @abstractmethod
    def logits(self, f: Array, a: Array) -> Array: ...

    @abstractmethod
    def gradient(self, f: Array, a: Array, r: Array) -> tuple[Array, Array]:
        """The gradient in (F, a) given R at the logits."""

    @abstractmethod
    def hessian(self, f: Array, a: Array) -> Callable[[Array, Array], tuple[Array, Array]]:
        """The product (dF, da) -> Hessian (dF, da) at (F, a)."""

    @abstractmethod
    def preconditioner(self, f: Array, a: Array) -> Callable[[Array, Array], tuple[Array, Array]]:
        """An approximate inverse of the Hessian, symmetric positive definite, for F with orthogonal columns."""

    @abstractmethod
    def escape_direction(self, f: Array, a: Array) -> Array | None:
        """Columns along which a small step lowers the objective, or None at the global optimum."""

    @abstractmethod
    def penalty(self, f: Array) -> float: ...

    def centre(self, x: Array) -> Array:
        return x

    def residual(self, f: Array, a: Array) -> Array:
        """R = diag(w) (T - P) at the logits of (F, a)."""
        return np.asarray(self.w[:, None] * (self.t - row_softmax(self.logits(f, a))))

    def value_and_gradient(self, f: Array, a: Array) -> tuple[float, Array, Array]:
        z = self.logits(f, a)
        value = float(self.w @ (log_sum_exp(z) - (self.t * z).sum(axis=1))) + self.penalty(f)
        return value, *self.gradient(f, a, self.w[:, None] * (self.t - row_softmax(z)))

    def _kronecker_inverse(self, slack: Array, modes: Array, curvature: Array) -> Callable[[Array], Array]:
        """D -> the X with A X + X diag(curvature) = D, for A with eigenvalues ``slack`` and eigenvectors ``modes``."""
        floor = SLACK_FLOOR * max(self.decay, self.scale / self.n * SLACK_FLOOR)
        denominator = np.maximum(slack, floor)[:, None] + curvature
        return lambda d: modes @ ((modes.T @ d) / denominator)

    def _softmax_change(self, p: Array, dz: Array) -> Array:
        """diag(w) dP for a change dZ of the logits."""
        dp = p * dz
        return np.asarray(self.w[:, None] * (dp - p * dp.sum(axis=1, keepdims=True)))


class TiedObjective(Objective):
    def __init__(self, target: Array, row_weight: Array, weight_decay: float, *, with_bias: bool) -> None:
        super().__init__(target, row_weight, weight_decay)
        self.with_bias = with_bias

    def centre(self, x: Array) -> Array:
        return x - x.mean(axis=0) if self.with_bias else x

    def start(self) -> tuple[Array, Array]:
        if self.n <= FULL_RANK_LIMIT:
            return self.centre(np.eye(self.n)), np.zeros(self.n)
        r0 = self.w[:, None] * (self.t - 1.0 / self.n)
        _, modes = eigh(r0 + r0.T, subset_by_index=[self.n - start_rank(self.n), self.n - 1])
        return self.centre(modes), np.zeros(self.n)

    def logits(self, f: Array, a: Array) -> Array:
        return f @ f.T + a

    def penalty(self, f: Array) -> float:
        return self.decay * float((f * f).sum())

    def gradient(self, f: Array, a: Array, r: Array) -> tuple[Array, Array]:
        df = self.centre(2 * self.decay * f - (r + r.T) @ f)
        return df, self.centre(-r.sum(axis=0)) if self.with_bias else np.zeros(self.n)

    def hessian(self, f: Array, a: Array) -> Callable[[Array, Array], tuple[Array, Array]]:
        p = row_softmax(self.logits(f, a))
        r = self.w[:, None] * (self.t - p)
        s = r + r.T

        def product(df: Array, da: Array) -> tuple[Array, Array]:
            df = self.centre(df)
            dz = df @ f.T
            dz = dz + dz.T + (self.centre(da) if self.with_bias else 0.0)
            dp = self._softmax_change(p, dz)
            hf = self.centre((dp + dp.T) @ f - s @ df + 2 * self.decay * df)
            return hf, self.centre(dp.sum(axis=0)) if self.with_bias else np.zeros(self.n)

        return product

    def preconditioner(self, f: Array, a: Array) -> Callable[[Array, Array], tuple[Array, Array]]:
        # d(FF') = D F' + F D' changes row i of the logits by D_ij F_.j + F_ij D_.j: its variances under P_i, averaged.
        p = row_softmax(self.logits(f, a))
        weighted = self.w[:, None] * p
        r = self.w[:, None] * self.t - weighted
        s = (r + r.T) / 2
        if self.with_bias:
            s = self.centre(self.centre(s).T)
        values, modes = eigh(s)
        variance = np.maximum(p @ f**2 - (p @ f) ** 2, 0.0)
        curvature = 2 * (self.w @ variance + weighted.sum(axis=0) @ f**2) / self.n
        invert = self._kronecker_inverse(2 * (self.decay - values), modes, curvature)
        column = (weighted * (1 - p)).sum(axis=0) + SLACK_FLOOR * self.scale / self.n

        def apply(df: Array, da: Array) -> tuple[Array, Array]:
            bias = self.centre(self.centre(da) / column) if self.with_bias else da
            return self.centre(invert(df)), bias

        return apply

    def escape_direction(self, f: Array, a: Array) -> Array | None:
        r = self.residual(f, a)
        s = (r + r.T) / 2
        if self.with_bias:
            s = s - s.mean(axis=0)
            s = s - s.mean(axis=1, keepdims=True)
        values, modes = eigh(s)
        violated = values > self.decay + ESCAPE_LEVEL * self.scale / self.n
        if not violated.any():
            return None
        x, excess = self.centre(modes[:, violated]), values[violated] - self.decay
        p = row_softmax(self.logits(f, a))
        # K + h xx' changes row i of the logits by h x_i x: the curvature is a variance of x under P_i.
        spread = np.maximum(p @ x**2 - (p @ x) ** 2, 0.0)
        return x * np.sqrt(_step(excess, self.w @ (x**2 * spread)))


class UntiedObjective(Objective):
    def start(self) -> tuple[Array, Array]:
        left, _, right_t = np.linalg.svd(self.w[:, None] * (self.t - 1.0 / self.n))
        rank = start_rank(self.n)
        return np.concatenate([left[:, :rank], right_t[:rank].T]), np.zeros(0)

    def logits(self, f: Array, a: Array) -> Array:
        return f[: self.n] @ f[self.n :].T

    def penalty(self, f: Array) -> float:
        return self.decay / 2 * float((f * f).sum())

    def gradient(self, f: Array, a: Array, r: Array) -> tuple[Array, Array]:
        v, u = f[: self.n], f[self.n :]
        return self.decay * f - np.concatenate([r @ u, r.T @ v]), np.zeros(0)

    def hessian(self, f: Array, a: Array) -> Callable[[Array, Array], tuple[Array, Array]]:
        v, u = f[: self.n], f[self.n :]
        p = row_softmax(v @ u.T)
        r = self.w[:, None] * (self.t - p)

        def product(df: Array, da: Array) -> tuple[Array, Array]:
            dv, du = df[: self.n], df[self.n :]
            dp = self._softmax_change(p, dv @ u.T + v @ du.T)
            hf = np.concatenate([dp @ u - r @ du, dp.T @ v - r.T @ dv]) + self.decay * df
            return hf, np.zeros(0)

        return product

    def preconditioner(self, f: Array, a: Array) -> Callable[[Array, Array], tuple[Array, Array]]:
        v, u = f[: self.n], f[self.n :]
        p = row_softmax(v @ u.T)
        weighted = self.w[:, None] * p
        left, values, right_t = np.linalg.svd(self.w[:, None] * self.t - weighted)
        # [[l I, -R], [-R', l I]] has the eigenvalues l -+ the singular values of R.
        modes = np.concatenate([np.hstack([left, left]), np.hstack([right_t.T, -right_t.T])]) / np.sqrt(2)
        slack = self.decay - np.concatenate([values, -values])
        variance = np.maximum(p @ u**2 - (p @ u) ** 2, 0.0)
        curvature = (self.w @ variance + weighted.sum(axis=0) @ v**2) / (2 * self.n)
        invert = self._kronecker_inverse(slack, modes, curvature)
        return lambda df, da: (invert(df), da)

    def escape_direction(self, f: Array, a: Array) -> Array | None:
        left, values, right_t = np.linalg.svd(self.residual(f, a))
        violated = values > self.decay + ESCAPE_LEVEL * self.scale / self.n
        if not violated.any():
            return None
        x, y, excess = left[:, violated], right_t[violated].T, values[violated] - self.decay
        p = row_softmax(self.logits(f, a))
        spread = np.maximum(p @ y**2 - (p @ y) ** 2, 0.0)
        return np.concatenate([x, y]) * np.sqrt(_step(excess, self.w @ (x**2 * spread)))


def start_rank(n: int) -> int:
    """The number of columns that the solver starts with."""
    return n if n <= FULL_RANK_LIMIT else min(n, round(COLUMNS_PER_ROOT * np.sqrt(n)))


def _step(excess: Array, curvature: Array) -> Array:
    """The h at which -h excess + h^2 curvature / 2 is lowest along each direction, at most one, shared between them."""
    return np.minimum(excess / np.maximum(curvature, excess), 1.0) / len(excess)
