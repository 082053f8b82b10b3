"""Mean, standard deviation and Student's t interval over seeds, and differences between two conditions seed by seed.

Reports, tables, figures and scores.json all have these numbers from here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

CONFIDENCE = 0.95


def finite_values(values: ArrayLike) -> Floats:
    """Those of ``values`` (k,) that are finite, in their order."""
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]


def first_step(steps: ArrayLike, reached: ArrayLike) -> float:
    """The first of ``steps`` (k,) at which ``reached`` (k,) holds, infinity for none."""
    at = np.flatnonzero(reached)
    return float(np.asarray(steps)[at[0]]) if len(at) else float("inf")


def mean(values: ArrayLike) -> float:
    """Of ``values`` (k,); NaN for none."""
    numbers = np.asarray(values, dtype=np.float64)
    return float(numbers.mean()) if len(numbers) else float("nan")


def standard_deviation(values: ArrayLike) -> float | None:
    """Of ``values`` (k,), n - 1 in the denominator; None for fewer than two."""
    numbers = np.asarray(values, dtype=np.float64)
    return float(standard_deviations(numbers)) if len(numbers) > 1 else None


def standard_deviations(values: Floats) -> Floats:
    """The same over the first axis of ``values`` (k, ...), k >= 2."""
    return np.asarray(values.std(axis=0, ddof=1))


def t_quantile(freedom: int) -> float:
    """How many standard errors an interval of CONFIDENCE reaches to each side, at ``freedom`` degrees of freedom."""
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def interval_reach(values: Floats) -> Floats:
    """t sd / sqrt(k) over the first axis of ``values`` (k, ...), k >= 2."""
    count = len(values)
    return np.asarray(t_quantile(count - 1) * standard_deviations(values) / count**0.5)


def mean_interval(values: ArrayLike) -> list[float] | None:
    """[low, high], mean +- t sd / sqrt(k) of ``values`` (k,), which holds the true mean in CONFIDENCE of all cases
    where the values are normal; None for fewer than two, or one that is not finite."""
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        return None
    middle, reach = mean(numbers), float(interval_reach(numbers))
    return [middle - reach, middle + reach]


def paired_difference(values: Sequence[float], base: Sequence[float]) -> dict[str, float | int | None]:
    """``values`` - ``base``, seed by seed, both (k,): "mean", "sd" and "low", "high", the ends of ``mean_interval``.
    ``pairs``: seeds with both numbers finite, which alone count; None where there are too few.

    Raises ValueError for different lengths.
    """
    if len(values) != len(base):
        raise ValueError(f"pairs need as many values as base values; got {len(values)} and {len(base)}")
    pairs = np.array([values, base], dtype=np.float64)
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    gaps = pairs[0] - pairs[1]
    low, high = mean_interval(gaps) or (None, None)
    return {
        "pairs": len(gaps),
        "mean": mean(gaps) if len(gaps) else None,
        "sd": standard_deviation(gaps),
        "low": low,
        "high": high,
    }


def summary(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean and standard deviation of the finite ``values``, and how many are not ("missing")."""
    known = finite_values(values)
    return {
        "mean": mean(known) if len(known) else None,
        "sd": standard_deviation(known),
        "missing": len(values) - len(known),
    }
