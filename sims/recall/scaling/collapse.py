"""On which axis recall against dimension is one curve for all numbers of subjects and relations.

The threshold of a size is the dimension d(N, R) at which recall crosses a level. If recall depends on d / f(N, R) and
nothing else, d / f is the same for every size; how far it is from that is its coefficient of variation over sizes,
standard deviation (n - 1 in the denominator) over mean: 0 for a perfect collapse, and the same for any multiple of f.
Fitted powers are those with the least squares of log d, so that N^a R^b is about the best that any product of powers
does, with two more parameters than the fixed ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FIXED: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "1": lambda n, r: np.ones_like(n),
    "log2 N": lambda n, r: np.log2(n),
    "R log2 N": lambda n, r: r * np.log2(n),
    "sqrt N": lambda n, r: np.sqrt(n),
    "N": lambda n, r: n,
}
FITTED = {"N^a": (True, False), "N^a R^b": (True, True)}  # which powers are free
NORMALISATIONS = (*FIXED, *FITTED)
FEWEST = 3  # sizes: two are on a line through any normalisation with a free power


@dataclass(frozen=True)
class Collapse:
    """``variation``: the coefficient of variation of d / f over sizes; ``subjects``, ``relations``: the powers of N and
    R in f where they are fitted, 0 where f has none, None where f is given."""

    variation: float
    subjects: float | None = None
    relations: float | None = None


def collapse(subjects: ArrayLike, relations: ArrayLike, dimensions: ArrayLike) -> dict[str, Collapse]:
    """Of the thresholds ``dimensions`` (n,) > 0 at sizes (n,) each, for every one of NORMALISATIONS.

    A power of what does not vary among the sizes is 0. Raises ValueError for other shapes or values, and fewer than
    FEWEST sizes.
    """
    n, r, d = (np.asarray(values, dtype=np.float64) for values in (subjects, relations, dimensions))
    if d.ndim != 1 or not n.shape == r.shape == d.shape:
        raise ValueError(
            f"subjects, relations and dimensions must be equally long lists; got {n.shape}, {r.shape}, {d.shape}"
        )
    if not (np.isfinite(n * r * d) & (n > 1) & (r > 0) & (d > 0)).all():
        raise ValueError("subjects must be above 1, relations and dimensions positive")
    if len(d) < FEWEST:
        raise ValueError(f"a collapse is over {FEWEST} sizes or more; got {len(d)}")
    found = {name: Collapse(_variation(d / scale(n, r))) for name, scale in FIXED.items()}
    for name, free in FITTED.items():
        a, b = _powers(n, r, d, free)
        found[name] = Collapse(_variation(d / (n**a * r**b)), a, b)
    return found


def _variation(values: Floats) -> float:
    return float(values.std(ddof=1) / values.mean())


def _powers(n: Floats, r: Floats, d: Floats, free: tuple[bool, bool]) -> tuple[float, float]:
    """Of N and R: least squares of log d, with a constant."""
    logs = [np.log(values) for values in (n, r)]
    used = [may and bool(np.ptp(log) > 0) for may, log in zip(free, logs, strict=True)]
    inputs = np.stack([np.ones_like(d), *(log for log, use in zip(logs, used, strict=True) if use)], axis=1)
    slopes = iter(np.linalg.lstsq(inputs, np.log(d), rcond=None)[0][1:])
    a, b = (float(next(slopes)) if use else 0.0 for use in used)
    return a, b
