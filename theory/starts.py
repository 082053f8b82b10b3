"""Starts of a Node2Vec flow: the infinite-width limit K(0) = s^2 I, and Gaussian embeddings of finite width.

V(0) with m columns of independent N(0, s^2/m) entries has K(0) = V(0) V(0)' of mean s^2 I, a Wishart matrix: K_ij has
variance s^4 (1 + delta_ij)/m. As m grows K(0) tends to s^2 I, and the untied M(0) = V(0) U(0)' to zero. The flow only
sees V(0) up to a rotation of its columns, so square factors stand for any width. The scale s against the entries'
standard deviation: s = sqrt(m) * std. All arrays float64. Raises ValueError naming a count or scale that is not
positive.
"""

from __future__ import annotations

import numpy as np

from .cross_entropy import Array
from .trajectory import compress_columns


def init_scale(width: int, init_std: float) -> float:
    """s = sqrt(m) * std: the scale of the infinite-width start for entries of standard deviation ``init_std``."""
    return float(np.sqrt(check_count(width, "width")) * check_scale(init_std, "init_std"))


def wide_tied_start(n: int, scale: float) -> Array:
    """V(0) = s I (n, n), whose Gram matrix is s^2 I."""
    return check_scale(scale, "scale") * np.eye(check_count(n, "n"))


def wide_untied_start(n: int, scale: float) -> tuple[Array, Array]:
    """V(0) = [s I, 0] and U(0) = [0, s I], both (n, 2n): K_V = K_U = s^2 I and M = 0."""
    start, zero = wide_tied_start(n, scale), np.zeros((n, n))
    return np.hstack([start, zero]), np.hstack([zero, start])


def gaussian_starts(n: int, width: int, scale: float, samples: int, seed: int = 0) -> Array:
    """``samples`` independent V(0) of ``width`` columns with E K(0) = s^2 I, each up to a rotation of its columns:
    (samples, n, min(n, width)), from ``numpy.random.default_rng(seed)``.

    For width >= n the Gram matrix is drawn directly as the Wishart matrix LL' (Bartlett: L lower triangular with
    chi(m), chi(m - 1), ... on the diagonal and standard normals below), so the cost does not grow with the width.
    """
    check_count(n, "n"), check_count(width, "width"), check_count(samples, "samples")
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((samples, n, min(n, width)))
    if width >= n:
        normal = np.tril(normal, -1)
        rows = np.arange(n)
        normal[:, rows, rows] = np.sqrt(rng.chisquare(width - rows, size=(samples, n)))
    return np.asarray(normal * (check_scale(scale, "scale") / np.sqrt(width)))


def untied_gaussian_starts(n: int, width: int, scale: float, samples: int, seed: int = 0) -> tuple[Array, Array]:
    """V(0) and U(0) of ``width`` columns, independent, as ``gaussian_starts``: (samples, n, min(2n, width)) each."""
    both = gaussian_starts(2 * n, width, scale, samples, seed)
    return both[:, :n], both[:, n:]


def compact_start(embedding0: Array) -> Array:
    """Any V(0) (n, m) as a factor (n, min(n, m)) with the same Gram matrix: the same flow up to a rotation."""
    return compress_columns(embedding0)[0][0]


def check_count(value: int, name: str) -> int:
    """Return ``value`` as an int; raises ValueError unless it is a whole number >= 1."""
    if value != int(value) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}")
    return int(value)


def check_scale(value: float, name: str) -> float:
    """Return ``value`` as a float; raises ValueError unless it is finite and positive."""
    if not np.isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be a positive number; got {value!r}")
    return float(value)
