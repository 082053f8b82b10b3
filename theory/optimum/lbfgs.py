"""Limited-memory BFGS with a preconditioner, over a factor F and masses b whose number of columns may change.

    direction = -H g,   H from the last pairs (s, y) and H_0 = gamma M^-1

(Nocedal and Wright, Numerical Optimization, 2006, section 7.2.) SciPy's has no H_0, and keeps no memory when columns of
F are rotated, dropped or added, which changes neither the objective nor the meaning of the pairs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..checks import Array

MEMORY = 20  # pairs
SUFFICIENT = 1e-4  # Armijo's constant
HALVINGS = 25
CURVED = 1e-12  # of |s| |y|: pairs with less s'y are left out
ROUNDING = 1e-14  # of the objective, relative: a rise that rounding explains

Point = tuple[Array, Array]
Preconditioner = Callable[[Array, Array], Point]


@dataclass(eq=False)
class LBFGS:
    """The state of a minimisation of ``evaluate``(F, b) -> value, dF, db."""

    evaluate: Callable[[Array, Array], tuple[float, Array, Array]]
    f: Array
    b: Array
    precondition: Preconditioner
    pairs: deque[tuple[Point, Point, float]] = field(default_factory=lambda: deque(maxlen=MEMORY))
    gamma: float = 1.0
    stalled: bool = False

    def __post_init__(self) -> None:
        self.value, self.df, self.db = self.evaluate(self.f, self.b)

    @property
    def gradient_norm(self) -> float:
        return float(np.sqrt((self.df**2).sum() + self.db @ self.db))

    def step(self) -> None:
        """One step that lowers the value; ``stalled`` says that there was none."""
        df, db = self._direction()
        slope = _dot((df, db), (self.df, self.db))
        if not slope < 0:
            if not self.pairs:
                self.stalled = True
            self.pairs.clear()
            return
        alpha, room = 1.0, ROUNDING * abs(self.value)
        for halving in range(HALVINGS):
            f, b = self.f + alpha * df, self.b + alpha * db
            value, new_df, new_db = self.evaluate(f, b)
            if value <= self.value + SUFFICIENT * alpha * slope + room:
                break
            alpha *= 0.5 if halving < 3 else 0.1
        else:
            self.stalled = not self.pairs
            self.pairs.clear()
            return
        s, y = (f - self.f, b - self.b), (new_df - self.df, new_db - self.db)
        curvature = _dot(s, y)
        if curvature > CURVED * np.sqrt(_dot(s, s) * _dot(y, y)):
            self.pairs.append((s, y, 1.0 / curvature))
            self.gamma = curvature / _dot(y, self.precondition(*y))
        self.f, self.b, self.value, self.df, self.db = f, b, value, new_df, new_db

    def replace_preconditioner(self, precondition: Preconditioner) -> None:
        self.precondition, self.stalled = precondition, False
        if self.pairs:
            s, y, _ = self.pairs[-1]
            self.gamma = _dot(s, y) / _dot(y, precondition(*y))
        else:
            self.gamma = 1.0

    def rotate(self, turn: Array) -> None:
        """F -> F Q for ``turn`` Q (r, k), k <= r, with orthonormal columns: other columns, fewer where k < r."""
        self.f, self.df = self.f @ turn, self.df @ turn
        turned: list[tuple[Point, Point, float]] = []
        for (sf, sb), (yf, yb), _ in self.pairs:
            s, y = (sf @ turn, sb), (yf @ turn, yb)
            curvature = _dot(s, y)
            if curvature > CURVED * np.sqrt(_dot(s, s) * _dot(y, y)):
                turned.append((s, y, 1.0 / curvature))
        self.pairs = deque(turned, maxlen=MEMORY)

    def append(self, columns: Array) -> None:
        """More columns of F, without memory of them."""
        none = np.zeros_like(columns)
        self.f = np.concatenate([self.f, columns], axis=1)
        self.pairs = deque(
            (
                ((np.concatenate([sf, none], axis=1), sb), (np.concatenate([yf, none], axis=1), yb), rho)
                for (sf, sb), (yf, yb), rho in self.pairs
            ),
            maxlen=MEMORY,
        )
        self.move(self.f, self.b)

    def move(self, f: Array, b: Array, *, keep: bool = True) -> None:
        """Continue from another point; with ``keep`` the pairs stay, which is right for one with the same columns."""
        self.f, self.b, self.stalled = f, b, False
        if not keep:
            self.pairs.clear()
            self.gamma = 1.0
        self.value, self.df, self.db = self.evaluate(f, b)

    def _direction(self) -> Point:
        qf, qb = self.df.copy(), self.db.copy()
        alphas = []
        for (sf, sb), (yf, yb), rho in reversed(self.pairs):
            alpha = rho * (_inner(sf, qf) + float(sb @ qb))
            alphas.append(alpha)
            qf -= alpha * yf
            qb -= alpha * yb
        qf, qb = self.precondition(qf, qb)
        qf, qb = self.gamma * qf, self.gamma * qb
        for ((sf, sb), (yf, yb), rho), alpha in zip(self.pairs, reversed(alphas), strict=True):
            change = alpha - rho * (_inner(yf, qf) + float(yb @ qb))
            qf += change * sf
            qb += change * sb
        return -qf, -qb


def _inner(x: Array, y: Array) -> float:
    return float(np.vdot(x, y))


def _dot(x: Point, y: Point) -> float:
    return _inner(x[0], y[0]) + float(x[1] @ y[1])
