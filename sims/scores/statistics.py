"""Means over seeds, and differences between two conditions over the same seeds, with Student's t interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

LEVEL = 0.95


def paired_difference(values: Sequence[float], base: Sequence[float]) -> dict[str, float | int | None]:
    """``values`` - ``base``, seed by seed, both (k,): "mean", "sd" (n - 1 in the denominator), and "low", "high", the
    ends of the interval mean +- t sd / sqrt(k) that holds the true mean in LEVEL of all cases where differences are
    normal. ``pairs``: seeds with both numbers finite, which alone count; None where there are too few.

    Raises ValueError for different lengths.
    """
    if len(values) != len(base):
        raise ValueError(f"pairs need as many values as base values; got {len(values)} and {len(base)}")
    pairs = np.array([values, base], dtype=np.float64)
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    gaps = pairs[0] - pairs[1]
    count = len(gaps)
    mean = float(gaps.mean()) if count else None
    deviation = float(gaps.std(ddof=1)) if count > 1 else None
    low, high = mean_interval(gaps) or (None, None)
    return {"pairs": count, "mean": mean, "sd": deviation, "low": low, "high": high}


def mean_interval(values: ArrayLike) -> list[float] | None:
    """[low, high], mean +- t sd / sqrt(k) of ``values`` (k,) as above; None for fewer than two, or one that is not
    finite."""
    found = np.asarray(values, dtype=np.float64)
    if len(found) < 2 or not np.isfinite(found).all():
        return None
    mean, reach = float(found.mean()), float(interval_reach(found))
    return [mean - reach, mean + reach]


def interval_reach(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """t sd / sqrt(k) over the first axis of ``values`` (k, ...), k >= 2."""
    count = len(values)
    return np.asarray(student.ppf((1 + LEVEL) / 2, count - 1) * values.std(axis=0, ddof=1) / count**0.5)


def summary(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean and standard deviation of the finite ``values``, and how many are not ("missing")."""
    known = [value for value in values if np.isfinite(value)]
    return {
        "mean": float(np.mean(known)) if known else None,
        "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "missing": len(values) - len(known),
    }
