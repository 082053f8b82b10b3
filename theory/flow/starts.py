"""Starts of a Node2Vec flow: the infinite-width limit K(0) = s^2 I, and Gaussian embeddings of finite width.

V(0) with m columns of independent N(0, s^2/m) entries has K(0) = V(0) V(0)' of mean s^2 I, a Wishart matrix: K_ij has
variance s^4 (1 + delta_ij)/m. As m grows K(0) tends to s^2 I, and the untied M(0) = V(0) U(0)' to zero. The flow only
sees V(0) up to a rotation of its columns, so square factors stand for any width. The scale s against the entries'
standard deviation: s = sqrt(m) * std. All arrays float64. Raises ValueError naming a count or scale that is not
positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..checks import LARGEST_LOGIT, Array, check_matrix, check_real, check_room, check_whole_number, shown
from .trajectory import compress_columns

# Of a start: its square is a logit, its fourth power a variance, its inverse cube a derivative.
SMALLEST_SCALE, LARGEST_SCALE = 1e-70, LARGEST_LOGIT**0.5


def init_scale(width: int, init_std: float) -> float:
    """s = sqrt(m) * std: the scale of the infinite-width start for entries of standard deviation ``init_std``."""
    return float(np.sqrt(check_count(width, "width")) * check_scale(init_std, "init_std"))


def wide_tied_start(n: int, scale: float) -> Array:
    """V(0) = s I (n, n), whose Gram matrix is s^2 I."""
    n = check_count(n, "n")
    check_room(float(n) ** 2, "the start")
    return check_scale(scale, "scale") * np.eye(n)


def wide_untied_start(n: int, scale: float) -> tuple[Array, Array]:
    """V(0) = [s I, 0] and U(0) = [0, s I], both (n, 2n): K_V = K_U = s^2 I and M = 0."""
    start = wide_tied_start(n, scale)
    zero = np.zeros_like(start)
    return np.hstack([start, zero]), np.hstack([zero, start])


def gaussian_starts(n: int, width: int, scale: float, samples: int, seed: int = 0) -> Array:
    """``samples`` independent V(0) of ``width`` columns with E K(0) = s^2 I, each up to a rotation of its columns:
    (samples, n, min(n, width)), from ``numpy.random.default_rng(seed)``.

    For width >= n the Gram matrix is drawn directly as the Wishart matrix LL' (Bartlett: L lower triangular with
    chi(m), chi(m - 1), ... on the diagonal and standard normals below), so the cost does not grow with the width.
    """
    n, width, samples = check_count(n, "n"), check_count(width, "width"), check_count(samples, "samples")
    check_whole_number(seed, "seed", 0), check_scale(scale, "scale")
    check_room(float(samples) * n * min(n, width), "the starts")
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((samples, n, min(n, width)))
    if width >= n:
        normal = np.tril(normal, -1)
        rows = np.arange(n)
        normal[:, rows, rows] = np.sqrt(rng.chisquare(width - rows, size=(samples, n)))
    return np.asarray(normal * (check_scale(scale, "scale") / np.sqrt(width)))


def untied_gaussian_starts(n: int, width: int, scale: float, samples: int, seed: int = 0) -> tuple[Array, Array]:
    """V(0) and U(0) of ``width`` columns, independent, as ``gaussian_starts``: (samples, n, min(2n, width)) each."""
    both = gaussian_starts(2 * check_count(n, "n"), width, scale, samples, seed)
    return both[:, :n], both[:, n:]


def compact_start(embedding0: ArrayLike) -> Array:
    """Any V(0) (n, m) as a factor (n, min(n, m)) with the same Gram matrix: the same flow up to a rotation."""
    return compress_columns(check_matrix(embedding0, (None, None), "embedding0"))[0][0]


def check_count(value: int, name: str) -> int:
    """Return ``value`` as an int; raises TypeError unless it is a whole number, ValueError below 1."""
    return check_whole_number(value, name, 1)


def check_scale(value: float, name: str) -> float:
    """Return ``value`` as a float; raises ValueError unless it is positive and its powers stay in float64."""
    number = check_real(value, name)
    if not SMALLEST_SCALE <= number <= LARGEST_SCALE:
        raise ValueError(
            f"{name} must be a positive number, from {SMALLEST_SCALE:.0e} to {LARGEST_SCALE:.0e}; got {shown(value)}"
        )
    return number
