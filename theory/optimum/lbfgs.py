"""Limited-memory BFGS with a preconditioner, over a factor F and masses b whose number of columns may change.

    direction = -H g,   H from the last pairs (s, y) and H_0 = gamma M^-1

(Nocedal and Wright, Numerical Optimization, 2006, section 7.2.) SciPy's has no H_0, and keeps no memory when columns of
F are rotated, dropped or added, which changes neither the objective nor the meaning of the pairs. The two loops over
the pairs are triangular systems with the products s_i . y_j, so that a step is a few products with all pairs at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dtrtrs  # solve_triangular, whose checks take as long as a small step

from ..checks import Array

MEMORY = 12  # pairs
SUFFICIENT = 1e-4  # Armijo's constant
HALVINGS = 25
CURVED = 1e-12  # of |s| |y|: pairs with less s'y are left out
# Of the objective, relative: a rise that rounding explains, where its terms are float64 or float32.
ROUNDING, SINGLE_ROUNDING = 1e-14, 1e-7
SCALED = 5  # steps with one gamma, each of which would cost another product with M^-1

Point = tuple[Array, Array]
Preconditioner = Callable[[Array, Array], Point]


class Pairs:
    """The last ``MEMORY`` pairs, as rows of two arrays, and the products s_i . y_j; row k % MEMORY holds pair k."""

    def __init__(self) -> None:
        self.s = self.y = np.empty((0, 0))
        self.products = np.zeros((MEMORY, MEMORY))
        self.count = 0

    def __len__(self) -> int:
        return min(self.count, MEMORY)

    def add(self, s: Array, y: Array) -> None:
        """One more pair, in place of the oldest."""
        if self.count == 0:
            self.s, self.y = np.empty((MEMORY, len(s))), np.empty((MEMORY, len(s)))
        row = self.count % MEMORY
        self.s[row], self.y[row] = s, y
        self.count += 1
        k = len(self)
        self.products[:k, row], self.products[row, :k] = self.s[:k] @ y, self.y[:k] @ s

    def last(self) -> Point:
        row = (self.count - 1) % MEMORY
        return self.s[row], self.y[row]

    def direction(self, gradient: Array, gamma: float, precondition: Callable[[Array], Array]) -> Array:
        """-H g."""
        k = len(self)
        if k == 0:
            return -gamma * precondition(gradient)
        order = np.arange(self.count - k, self.count) % MEMORY  # oldest first
        upper = self.products[order[:, None], order]
        alpha = np.empty(k)
        alpha[order] = dtrtrs(upper, (self.s[:k] @ gradient)[order])[0]
        r = gamma * precondition(gradient - alpha @ self.y[:k])
        right = upper.diagonal() * alpha[order] - (self.y[:k] @ r)[order]
        change = np.empty(k)
        change[order] = dtrtrs(upper, right, trans=1)[0]
        return -(r + change @ self.s[:k])

    def changed(self, change: Callable[[Array], Array]) -> Pairs:
        """The same pairs after a linear ``change`` of the space, without those that lost their curvature in it."""
        k = len(self)
        new = Pairs()
        for row in np.arange(self.count - k, self.count) % MEMORY:
            s, y = change(self.s[row]), change(self.y[row])
            if is_curved(s, y):
                new.add(s, y)
        return new


def is_curved(s: Array, y: Array) -> bool:
    return bool(s @ y > CURVED * np.sqrt((s @ s) * (y @ y)))


@dataclass(eq=False)
class LBFGS:
    """The state of a minimisation of ``evaluate``(F, b) -> value, dF, db."""

    evaluate: Callable[[Array, Array], tuple[float, Array, Array]]
    f: Array
    b: Array
    precondition: Preconditioner
    rounding: float = ROUNDING
    gamma: float = 1.0
    stalled: bool = False
    promise: float = np.inf  # how much the quadratic model of the last step lowers the value

    def __post_init__(self) -> None:
        self.value, self.df, self.db = self.evaluate(self.f, self.b)
        self.pairs, self.accepted = Pairs(), 0

    @property
    def gradient_norm(self) -> float:
        return float(np.sqrt(np.vdot(self.df, self.df) + self.db @ self.db))

    def step(self) -> None:
        """One step that lowers the value; ``stalled`` says that there was none."""
        gradient = _flat(self.df, self.db)
        direction = self.pairs.direction(gradient, self.gamma, self._preconditioned)
        slope = float(direction @ gradient)
        if not slope < 0:
            self.stalled = self.stalled or not len(self.pairs)
            self.pairs = Pairs()
            return
        self.promise = -slope / 2
        df, db = self._unflat(direction)
        alpha, room = 1.0, self.rounding * abs(self.value)
        for halving in range(HALVINGS):
            f, b = self.f + alpha * df, self.b + alpha * db
            value, new_df, new_db = self.evaluate(f, b)
            if value <= self.value + SUFFICIENT * alpha * slope + room:
                break
            alpha *= 0.5 if halving < 3 else 0.1
        else:
            self.stalled = not len(self.pairs)
            self.pairs = Pairs()
            return
        s, y = _flat(f - self.f, b - self.b), _flat(new_df, new_db) - gradient
        if is_curved(s, y):
            self.pairs.add(s, y)
            self.accepted += 1
            if len(self.pairs) <= SCALED or self.accepted % SCALED == 0:
                self._scale()
        self.f, self.b, self.value, self.df, self.db = f, b, value, new_df, new_db

    def replace_preconditioner(self, precondition: Preconditioner) -> None:
        self.precondition, self.stalled = precondition, False
        self._scale()

    def rotate(self, turn: Array) -> None:
        """F -> F Q for ``turn`` Q (r, k), k <= r, with orthonormal columns: other columns, fewer where k < r."""
        rows, columns = self.f.shape
        f, df = self.f @ turn, self.df @ turn

        def change(x: Array) -> Array:
            return _flat(x[: rows * columns].reshape(rows, columns) @ turn, x[rows * columns :])

        self.pairs, self.f, self.df = self.pairs.changed(change), f, df

    def append(self, columns: Array) -> None:
        """More columns of F, without memory of them."""
        none, size, shape = np.zeros_like(columns), self.f.size, self.f.shape

        def change(x: Array) -> Array:
            return _flat(np.concatenate([x[:size].reshape(shape), none], axis=1), x[size:])

        self.pairs = self.pairs.changed(change)
        self.move(np.concatenate([self.f, columns], axis=1), self.b)

    def move(self, f: Array, b: Array, *, keep: bool = True) -> None:
        """Continue from another point; with ``keep`` the pairs stay, which is right for one with the same columns."""
        self.f, self.b, self.stalled = f, b, False
        if not keep:
            self.pairs, self.gamma = Pairs(), 1.0
        self.value, self.df, self.db = self.evaluate(f, b)

    def _scale(self) -> None:
        """gamma from the last pair, as its curvature against that of M."""
        if len(self.pairs):
            s, y = self.pairs.last()
            self.gamma = float(s @ y) / float(y @ self._preconditioned(y))
        else:
            self.gamma = 1.0

    def _preconditioned(self, x: Array) -> Array:
        return _flat(*self.precondition(*self._unflat(x)))

    def _unflat(self, x: Array) -> Point:
        return x[: self.f.size].reshape(self.f.shape), x[self.f.size :]


def _flat(f: Array, b: Array) -> Array:
    return np.concatenate([f.ravel(), b]) if len(b) else f.ravel()
