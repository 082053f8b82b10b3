"""Two laws for the smallest dimension, d = a + b log2 x and d = c x^alpha, and which of them fits better.

Both have two parameters and are fitted to log d by least squares: a dimension is known to a share of itself, and the
same residuals make the laws comparable. Intervals are those of nonlinear regression, at 95 percent. NumPy and SciPy
only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from ...scores.statistics import t_quantile
from ...suggest import choose

Floats = NDArray[np.float64]

LAWS = ("log", "power")
FEWEST_SIZES = 3  # two points lie on every law of two parameters
ROUNDING = 1e-12  # mean squared residual of log d below which a fit is exact; keeps its AIC finite


@dataclass(frozen=True)
class Law:
    """``name`` "log" or "power"; ``first``, ``second``: a, b or c, alpha; ``low``, ``high``: interval of the second.
    ``residual``: root mean square of log d over the ``points``; ``aic``: n log(mean square) + 4."""

    name: str
    first: float
    second: float
    low: float
    high: float
    residual: float
    aic: float
    points: int

    def predict(self, x: ArrayLike) -> Floats:
        """d at ``x``."""
        at = np.asarray(x, dtype=np.float64)
        if self.name == "power":
            return np.asarray(self.first * at**self.second)
        return np.asarray(self.first + self.second * np.log2(at))


@dataclass(frozen=True)
class ScalingFit:
    """Both laws. ``better``: the name of the one with the smaller AIC; ``advantage``: by how much."""

    log: Law
    power: Law

    @property
    def better(self) -> str:
        return "log" if self.log.aic < self.power.aic else "power"

    @property
    def advantage(self) -> float:
        return abs(self.log.aic - self.power.aic)


def fit_laws(sizes: ArrayLike, dimensions: ArrayLike) -> ScalingFit:
    """Fit both laws to ``dimensions`` (n,) > 0 at ``sizes`` (n,) > 0.

    Raises ValueError for other shapes or values, and for fewer than FEWEST_SIZES different sizes.
    """
    return ScalingFit(fit_law("log", sizes, dimensions), fit_law("power", sizes, dimensions))


def fit_law(name: str, sizes: ArrayLike, dimensions: ArrayLike) -> Law:
    """One of them, "log" or "power". Raises as ``fit_laws``, and ValueError for another name."""
    if name not in LAWS:
        raise ValueError(f"unknown law {name!r}; {choose(name, LAWS)}")
    x, d = np.asarray(sizes, dtype=np.float64), np.asarray(dimensions, dtype=np.float64)
    if x.ndim != 1 or x.shape != d.shape:
        raise ValueError(f"sizes and dimensions must be equally long lists; got shapes {x.shape} and {d.shape}")
    if not (np.isfinite(x) & np.isfinite(d) & (x > 0) & (d > 0)).all():
        raise ValueError("sizes and dimensions must be positive numbers")
    if len(np.unique(x)) < FEWEST_SIZES:
        raise ValueError(f"a law needs {FEWEST_SIZES} different sizes or more; got {len(np.unique(x))}")
    return _fit(name, x, d)


def _fit(name: str, x: Floats, d: Floats) -> Law:
    """Parameters: log d of the law at the smallest and the largest x, which keeps the law positive at all of them."""
    position = np.log(x / x.min()) / np.log(x.max() / x.min())

    def log_law(ends: Floats) -> Floats:
        if name == "power":
            return np.asarray((1 - position) * ends[0] + position * ends[1])
        return np.asarray(np.log((1 - position) * np.exp(ends[0]) + position * np.exp(ends[1])))

    start = np.log([d[x == x.min()].mean(), d[x == x.max()].mean()])
    solution = least_squares(lambda ends: log_law(ends) - np.log(d), start, x_scale="jac")
    ends, freedom = solution.x, len(x) - 2
    square = 2 * solution.cost
    first, second, gradient = _parameters(name, ends, x.min(), x.max())
    covariance = square / freedom * np.linalg.inv(solution.jac.T @ solution.jac)
    reach = float(t_quantile(freedom) * np.sqrt(gradient @ covariance @ gradient))
    aic = len(x) * np.log(max(square / len(x), ROUNDING)) + 4
    residual = float(np.sqrt(square / len(x)))
    return Law(name, first, second, second - reach, second + reach, residual, float(aic), len(x))


def _parameters(name: str, ends: Floats, low: float, high: float) -> tuple[float, float, Floats]:
    """Both parameters, and the gradient of the second in the ends."""
    if name == "power":
        span = np.log(high / low)
        second = (ends[1] - ends[0]) / span
        return float(np.exp(ends[0] - second * np.log(low))), float(second), np.array([-1.0, 1.0]) / span
    span, values = np.log2(high / low), np.exp(ends)
    second = (values[1] - values[0]) / span
    return float(values[0] - second * np.log2(low)), float(second), np.array([-values[0], values[1]]) / span
