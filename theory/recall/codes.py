"""Unit vectors u_a that stand for attributes: random signs with a bounded inner product, and points on the circle.

An answer is the code with the largest inner product with the output, so a code recalls with a margin of one minus its
coherence, the largest inner product of two different rows. The sign of the inner product counts: opposite vectors are
the farthest apart. Source: arXiv 2605.12426 (codes of dimension O(log N)); the constants are worked out here.
"""

from __future__ import annotations

from math import floor

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc

from ..checks import Array, check_matrix, check_number, check_whole_number, shown
from .facts import CODES_STREAM, LARGEST_MEMORY, check_memory_size, generator

DRAWS = 64  # rows tried for each row wanted: where fewer fit, the code is too tight to be found at random
MOST_WORK = 1e13  # multiplications that compare all pairs of rows, minutes: more is a mistyped count
SMALLEST_BATCH = 256  # rows drawn at once, though fewer are missing
SHARE = 2**23  # entries of a block of inner products
ROUNDING = 1e-9  # of coherence times dimension, against a sum of signs


def sign_codes(attributes: int, dimension: int, *, coherence: float | None = None, seed: int = 0) -> Array:
    """Random rows of +-1/sqrt(k), (A, k) float64, from ``numpy.random.default_rng([seed, 2])``.

    With ``coherence`` eps, every <u_a, u_b> <= eps for a != b (as sums of signs; float64 rounds them): rows are drawn
    one after the other and kept if they fit those before (Gilbert and Varshamov). This finds A rows with at most 2 A
    draws in the mean when A P(<u_a, u_b> > eps) <= 1/2, for which A exp(-k eps^2 / 2) <= 1/2 is enough (Hoeffding);
    ``code_dimension`` asks for more, a code in one draw. Without ``coherence`` rows may repeat.

    Raises ValueError when DRAWS times A rows do not hold a code, for an eps outside [-1, 1), and for codes of more than
    LARGEST_MEMORY numbers.
    """
    a, k = check_whole_number(attributes, "attributes", 1), check_whole_number(dimension, "dimension", 1)
    check_memory_size(float(a) * k, "the codes")
    rng = generator(seed, CODES_STREAM)
    if coherence is None:
        return _signs(rng, a, k) / np.sqrt(k)
    eps = check_number(coherence, "coherence")
    if not -1 <= eps < 1:
        raise ValueError(f"coherence must lie in [-1, 1); got {shown(coherence)}")
    if float(a) ** 2 * k > MOST_WORK:
        raise ValueError(f"comparing {a} codes of dimension {k} takes too long; use fewer attributes or no coherence")
    return _greedy(rng, a, k, floor(eps * k + ROUNDING), eps) / np.sqrt(k)


def _signs(rng: np.random.Generator, rows: int, k: int) -> Array:
    return rng.integers(0, 2, size=(rows, k)).astype(np.float64) * 2 - 1


def _greedy(rng: np.random.Generator, a: int, k: int, most: int, eps: float) -> Array:
    """Rows of signs of which every two have at most ``most`` for the sum of their products."""
    codes = np.empty((a, k))
    count, left = 0, DRAWS * a
    while count < a:
        if left <= 0:
            raise ValueError(
                f"found {count} of {a} codes of dimension {k} with coherence {eps:g} in {DRAWS * a} draws; "
                "use a larger dimension or a larger coherence"
            )
        batch = _signs(rng, min(max(a - count, SMALLEST_BATCH), left, max(1, SHARE // max(count, 4096))), k)
        left -= len(batch)
        if count:
            batch = batch[(batch @ codes[:count].T <= most).all(axis=1)]  # sums of signs are exact
        batch = batch[_independent(batch @ batch.T > most)][: a - count]
        codes[count : count + len(batch)] = batch
        count += len(batch)
    return codes


def _independent(conflict: np.ndarray) -> np.ndarray:
    """Which rows stay when each one in turn is dropped that conflicts with an earlier one that stays."""
    stays = np.ones(len(conflict), dtype=bool)
    clashes = np.tril(conflict, -1)
    for row in np.flatnonzero(clashes.any(axis=1)):
        stays[row] = not (clashes[row] & stays).any()
    return stays


def agree_at_most(counts: NDArray[np.int64], k: int) -> Array:
    """P(Bin(k, 1/2) <= j) for j in ``counts``, 0 to k: an incomplete beta function, whose relative error is that of
    rounding in both tails. SciPy's ``stats.binom`` is the same numbers, after half a second of import."""
    inside = counts < k
    return np.where(inside, betainc(np.where(inside, k - counts, 1), counts + 1, 0.5), 1.0)


def agree_more(counts: NDArray[np.int64], k: int) -> Array:
    """P(Bin(k, 1/2) > j), likewise."""
    inside = counts < k
    return np.where(inside, betainc(counts + 1, np.where(inside, k - counts, 1), 0.5), 0.0)


def typical_coherence(attributes: int, dimension: int) -> float:
    """The least eps = (k - 2 j)/k for which A random rows of signs in R^k, k = ``dimension``, have fewer than one pair
    with <u_a, u_b> > eps in the mean: A (A - 1)/2 P(Bin(k, 1/2) > (1 + eps) k/2) < 1. 1 where no such eps is below one.

    A demand of this coherence costs ``sign_codes`` few rows, as A P(<u_a, u_b> > eps) <= 2/(A - 1). Raises ValueError
    for counts below one.
    """
    a, k = check_whole_number(attributes, "attributes", 1), check_whole_number(dimension, "dimension", 1)
    if k > LARGEST_MEMORY:
        raise ValueError(f"dimension must be at most {LARGEST_MEMORY}; got {shown(dimension)}")
    if a == 1:
        return -1.0
    agreeing = np.arange(k + 1)  # of the k signs of a pair
    with np.errstate(divide="ignore"):  # more than all k never agree
        rare = np.log(a / 2) + np.log(a - 1) + np.log(agree_more(agreeing, k)) < 0
    return (2 * int(agreeing[rare].min()) - k) / k


def circle_codes(attributes: int) -> Array:
    """(cos 2 pi a / A, sin 2 pi a / A): (A, 2) float64, every attribute recalled in two dimensions.

    The nearest neighbours have inner product cos(2 pi / A), so the margin is 1 - cos(2 pi / A), about 2 pi^2 / A^2:
    without a demand on margin or precision no dimension above one is too small. What needs log A dimensions is a margin
    that stays as A grows (``packing_dimension``), or a fixed number of bits a coordinate (``recall_bits``).
    Raises ValueError unless A >= 2, and for codes of more than LARGEST_MEMORY numbers.
    """
    a = check_whole_number(attributes, "attributes", 2)
    check_memory_size(2.0 * a, "the codes")
    angles = 2 * np.pi * np.arange(a) / a
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def code_coherence(codes: ArrayLike) -> float:
    """max over a != b of <u_a, u_b>, with its sign, of the rows of ``codes`` (A, k), A >= 2.

    At least -1/(A - 1) for unit rows, which the simplex attains. Raises ValueError for fewer than two rows.
    """
    u = check_matrix(codes, (None, None), "codes")
    if len(u) < 2 or u.shape[1] < 1:
        raise ValueError(f"codes must have two rows or more, of one number or more; got shape {u.shape}")
    largest = -np.inf
    step = max(1, SHARE // len(u))
    for start in range(0, len(u), step):
        products = u[start : start + step] @ u.T
        rows = np.arange(len(products))
        products[rows, start + rows] = -np.inf
        largest = max(largest, float(products.max()))
    return largest
