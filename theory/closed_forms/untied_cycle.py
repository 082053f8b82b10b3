"""Untied Node2Vec on the cycle, one number per frequency: the optimum under decay and its limit without.

Cycle, decay lambda > 0. L(Z) + lambda ||Z||_* is convex and invariant under simultaneous rotations and reflections of
rows and columns; averaging over them cannot raise it, so some optimum is a symmetric circulant with DFT x_k, and

    minimise  n (lse(z) - T_0 . z) + lambda sum_k m_k |x_k|,   z_j = (1/n) sum_k m_k x_k cos(2 pi j k / n),

m_k = 2, or 1 at k = n/2 (x_0 = 0: T - P has no constant mode). It is strictly convex. Optimality: |T_k - P_k| <= lambda
with T_k - P_k = lambda sign(x_k) where x_k is not zero, which are the KKT conditions of the full problem.

Cycle, lambda -> 0. The solutions diverge, along a logit matrix of least nuclear norm among those with equal logits on
the support of T and margin one off it (regularisation path of exponential-tailed losses: Rosset, Zhu, Hastie 2004; not
proved again here), which by the same averaging is a linear program in x. It has both signs, unlike a Gram matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from ..checks import Array, check_flag, check_whole_number
from ..spectra.closed_form import merge_eigenvalues
from .form import ClosedForm, check_options, is_strict

CYCLE_LIMIT = 400  # nodes of a cycle under decay: Newton steps with n/2 unknowns, as many of them as active frequencies
MARGIN_LIMIT = 400  # nodes of a cycle for the linear program: a dense (n/2, n) matrix, seconds
DECAY_FLOOR = 1e-6  # below, float64 does not resolve the probabilities off the support, of order lambda
HIGHS = {"method": "highs", "options": {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}}
STEP_LIMIT = 2000
STATIONARY = 1e-13  # |T_k - P_k - lambda sign x_k| at which Newton's method stops


@dataclass(frozen=True, eq=False)
class CirculantKernel:
    """Z_ij = row[(j - i) mod n], ``row`` (n,)."""

    row: Array

    def matrix(self) -> Array:
        node = np.arange(len(self.row))
        return self.row[(node - node[:, None]) % len(node)]


@dataclass(frozen=True, eq=False)
class MaxMargin:
    """The direction of untied logits on the cycle as the decay vanishes.

    ``spectrum`` (n // 2 + 1,): eigenvalues of the circulant Z by frequency. ``nuclear_norm``: sum of their moduli over
    all n frequencies. ``gap``: nuclear norm minus a feasible dual value. ``margin``: the least margin, one up to
    rounding. ``unique``: whether sum_k m_k |x_k| / k takes one value over all optima; if not, ``spectrum`` is a vertex
    of the face of optima, on the support of one where that sum is least, and the rank belongs to that choice.
    """

    n: int
    spectrum: Array
    nuclear_norm: float
    gap: float
    margin: float
    unique: bool

    @property
    def rank(self) -> int:
        """The number of non-zero eigenvalues of Z, with multiplicity."""
        k = np.flatnonzero(self.spectrum)
        return int(np.where(2 * k == self.n, 1, 2).sum())

    def logits(self) -> Array:
        """Z, (n, n)."""
        return CirculantKernel(np.fft.irfft(self.spectrum, self.n)).matrix()


def untied_cycle_optimum(
    n: int, weight_decay: float, *, self_edges: bool = False, label_smoothing: float = 0.0
) -> ClosedForm:
    """The untied optimum on the cycle C_n, 3 <= n <= CYCLE_LIMIT, with decay; ``scalars`` are x_k, k = 1 .. n // 2.

    Newton's method on the active frequencies with their signs; a frequency that reaches zero leaves, the one that
    violates |T_k - P_k| <= lambda most enters. ``max_violation`` certifies the result. Raises RuntimeError where
    STEP_LIMIT steps do not reach it.
    """
    n = check_whole_number(n, "a cycle's n", 3)
    weight_decay, self_edges, label_smoothing = check_options(weight_decay, self_edges, label_smoothing)
    if weight_decay < DECAY_FLOOR:
        raise ValueError(f"an untied cycle needs weight_decay >= {DECAY_FLOOR:g}; see untied_cycle_max_margin for 0")
    if n > CYCLE_LIMIT:
        raise ValueError(f"an untied cycle with decay is solved for up to {CYCLE_LIMIT} nodes, got {n}")
    m, cosines, v = _cycle_modes(n)
    t = (1 - label_smoothing) * ((1 + 2 * cosines[:, 1]) / 3 if self_edges else cosines[:, 1])
    problem = _CycleProblem(n, m, cosines, v, t, weight_decay)
    x = problem.solve()
    excess, stationary = problem.violation(x)
    singular, counts = merge_eigenvalues(np.abs(x[x != 0]), m[x != 0].astype(np.int64))
    kernel = CirculantKernel(np.fft.irfft(np.concatenate([[0.0], x]), n))
    scalars = tuple(float(value) for value in x)
    zero_from = float(np.abs(t).max())
    loss = problem.loss(x) / n
    return ClosedForm(
        *("cycle", n, False, singular[::-1], counts[::-1], loss, float(weight_decay), True),
        *(scalars, excess, stationary, zero_from, kernel, is_strict(excess, stationary)),
    )


def untied_cycle_max_margin(n: int, self_edges: bool = False) -> MaxMargin:
    """The max-margin direction of untied logits on the cycle C_n, 3 <= n <= MARGIN_LIMIT; see the module.

    minimise sum_k m_k |x_k|  over  z_1 - z_j >= 1 for j outside the support (and z_0 = z_1 with self-edges). Dual:
    maximise sum_j mu_j, mu >= 0, with |sum_j mu_j (C_1k - C_jk) + nu (C_0k - C_1k)| <= m_k, z_j = sum_k C_jk x_k. The
    multipliers of the LP, scaled to be feasible, give ``gap``. Not unique for some n (without self-edges 5 and 15,
    with them the multiples of 3 from 18 to 57, of 3 .. 59).
    Raises ValueError for n out of range, RuntimeError if the program fails.
    """
    n = check_whole_number(n, "a cycle's n", 3)
    check_flag(self_edges, "self_edges")
    if n > MARGIN_LIMIT:
        raise ValueError(f"the linear program is solved for up to {MARGIN_LIMIT} nodes, got {n}")
    m, cosines, _ = _cycle_modes(n)
    logits = (m[:, None] * cosines / n).T  # z = logits @ x
    outside = np.delete(logits, [0, 1] if self_edges else [1], axis=0)
    margins = logits[1] - outside
    tie = (logits[0] - logits[1])[None] if self_edges else np.zeros((0, len(m)))
    if not len(margins):  # the triangle with self-edges: a uniform target
        return MaxMargin(n, np.zeros(n // 2 + 1), 0.0, 0.0, 1.0, True)
    cost = np.concatenate([m, m])
    equal = {"A_eq": _both(tie), "b_eq": np.zeros(len(tie))}
    first = linprog(cost, A_ub=-_both(margins), b_ub=-np.ones(len(margins)), **equal, **HIGHS)
    if first.status != 0:
        raise RuntimeError(f"the linear program failed: {first.message}")
    dual = -first.ineqlin.marginals
    slope = np.abs(dual @ margins + first.eqlin.marginals @ tie) / m
    lower = float(dual.sum()) / max(1.0, float(slope.max()))
    rows = np.concatenate([-_both(margins), cost[None]])
    limits = np.concatenate([-np.ones(len(margins)), [first.fun * (1 + 1e-10)]])
    preference = cost / np.tile(np.arange(1, len(m) + 1), 2)
    ends = [linprog(s * preference, A_ub=rows, b_ub=limits, **equal, **HIGHS) for s in (1, -1)]
    solved = all(end.status == 0 for end in ends)
    unique = solved and abs(ends[0].fun + ends[1].fun) < 1e-6 * first.fun
    pick = first
    if solved and not unique:  # the first program again on the support of the vertex, free of the slack in ``limits``
        bounds = [(0.0, None if value > 1e-6 * ends[0].x.max() else 0.0) for value in ends[0].x]
        pick = linprog(cost, A_ub=-_both(margins), b_ub=-np.ones(len(margins)), bounds=bounds, **equal, **HIGHS)
        if pick.status != 0:
            raise RuntimeError(f"the linear program failed: {pick.message}")
    x = pick.x[: len(m)] - pick.x[len(m) :]
    x[np.abs(x) < 1e-7 * np.abs(x).max()] = 0.0
    x /= (margins @ x).min()
    norm = float(m @ np.abs(x))
    return MaxMargin(n, np.concatenate([[0.0], x]), norm, norm - lower, float((margins @ x).min()), unique)


@dataclass(frozen=True, eq=False)
class _CycleProblem:
    """n (lse(z) - T_0 . z) + decay sum_k m_k |x_k| over x, and its solution; ``t``: T_k, k = 1 .. n // 2."""

    n: int
    m: Array
    cosines: Array
    nodes: Array
    t: Array
    decay: float

    def loss(self, x: Array) -> float:
        """n (lse(z) - T_0 . z)."""
        z = (self.m * x) @ self.cosines / self.n
        top = z.max()
        return float(self.n * (np.log(self.nodes @ np.exp(z - top)) + top) - (self.m * x) @ self.t)

    def _slope(self, x: Array, step: Array, sign: Array) -> float:
        """The derivative of the objective along ``step`` while the active signs hold."""
        return -float((self.m * step) @ (self.t - self.cosines @ self.probabilities(x) - self.decay * sign))

    def probabilities(self, x: Array) -> Array:
        """The mass at each distance."""
        z = (self.m * x) @ self.cosines / self.n
        p = self.nodes * np.exp(z - z.max())
        return np.asarray(p / p.sum())

    def violation(self, x: Array) -> tuple[float, float]:
        """The largest |T_k - P_k| - decay where x_k = 0, and |T_k - P_k - decay sign x_k| where it is not."""
        r, active = self.t - self.cosines @ self.probabilities(x), x != 0
        miss = np.abs(r - self.decay * np.sign(x))[active].max(initial=0.0)
        return float((np.abs(r) - self.decay)[~active].max(initial=-self.decay)), float(miss)

    def solve(self) -> Array:
        x, sign = np.zeros(len(self.m)), np.zeros(len(self.m))  # sign: of the active frequencies
        for _ in range(STEP_LIMIT):
            p = self.probabilities(x)
            r = self.t - self.cosines @ p
            active = sign != 0
            if np.abs(r - self.decay * sign)[active].max(initial=0.0) <= STATIONARY:
                over = np.where(active, 0.0, np.abs(r) - self.decay)
                if over.max() <= STATIONARY:
                    return x
                sign[over.argmax()] = np.sign(r[over.argmax()])
                active = sign != 0
            x, sign = self._step(x, sign, active, p, r)
        raise RuntimeError(f"no optimum found on the cycle of {self.n} in {STEP_LIMIT} steps; use a larger decay")

    def _step(self, x: Array, sign: Array, active: NDArray[np.bool_], p: Array, r: Array) -> tuple[Array, Array]:
        """One Newton step on the active frequencies, cut where the first of them reaches zero."""
        c, root = self.cosines[active], np.sqrt(self.m[active])
        spread = (c * p) @ c.T - np.outer(c @ p, c @ p)
        gradient = root * (r - self.decay * sign)[active]
        step = np.zeros_like(x)
        step[active] = np.linalg.lstsq(root[:, None] * spread * root / self.n, gradient)[0] / root
        leaving = (sign * step < 0) & (x != 0)
        reach = np.full_like(x, np.inf)
        reach[leaving] = -x[leaving] / step[leaving]
        length = min(1.0, float(reach.min()))
        # Convex along the step: halved until it ends before, or not far past, the lowest point. Slopes, unlike values,
        # keep their digits near the optimum.
        while self._slope(x + length * step, step, sign) > 0.1 * abs(self._slope(x, step, sign)) and length > 1e-12:
            length /= 2
        x = x + length * step
        gone = reach <= length
        x[gone] = 0.0
        return x, np.where(gone, 0.0, sign)


def _both(a: Array) -> Array:
    """A row on x as a row on its positive and negative parts."""
    return np.concatenate([a, -a], axis=1)


def _cycle_modes(n: int) -> tuple[Array, Array, Array]:
    """m_k (k,), cos(2 pi j k / n) (k, j) and the number of nodes at distance j; k = 1 .. n // 2, j = 0 .. n // 2."""
    k, j = np.arange(1, n // 2 + 1), np.arange(n // 2 + 1)
    cosines = np.cos(2 * np.pi * (np.outer(k, j) % n) / n)
    return np.where(2 * k == n, 1.0, 2.0), cosines, np.where((j == 0) | (2 * j == n), 1.0, 2.0)
