"""What K-hop questions need at least: bits of the answers to all words of K relations, for random bijections.

Without chain of thought the answers to all R^K words about m subjects must come out of m subject vectors and the
weights in one pass. So m d p + W bits (d coordinates of p bits, W bits in the weights) are at least H(m), the entropy
of those answers over uniformly random bijections, which is bounded from below here.

Derivation. Reveal the answers along all words of up to K - 1 hops from m subjects; this can only lower the entropy. The
words form trees with n_j = m R^j positions at level j = 0, ..., K - 1. Read level by level. A value g_r(v) not asked
before is uniform over the values that g_r has left, so with t entities seen it is a new one with probability at least
1 - t/N; hence the D_j entities that first appear at level j satisfy

    E D_j >= R E D_{j-1} (1 - (n_0 + ... + n_{j-1} + (n_j - 1)/2) / N).

At the D_{K-1} new entities of level K - 1 no relation has been asked. Given all that is revealed, the g_r are
independent and uniform over what is left, so the last answers carry R log2 (N - Q)!/(N - Q - D_{K-1})! bits, with
Q <= q = n_0 + ... + n_{K-2}. The factors of the falling factorial decrease; with M = n_{K-1} and T = q + M <= N,

    H(m) >= R (E D_{K-1} / M) log2 (N - q)!/(N - T)!.

Fewer words bound H(m) too. Words that begin with l times the first relation give paths, n_j = m for j <= l, and trees
after it; on the paths a value can only close a cycle, that is meet one of m subjects, so that E D_l >= m (N - (l + 1)
m) / (N - m). And where all other letters are other relations, the first may be revealed altogether: trees of K - l hops
over R - 1 relations. Fewer subjects bound H(m) as well. The best of all is taken. For K = 1 and m = N it is R log2 N!,
the exact value. Source: ours, in place of arXiv 2605.12426, theorem 4.2, whose statement could not be read.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln

from ..checks import Array, check_real, check_whole_number, shown

MOST_ENTITIES = 10**12
GRID, STEP = 4000, 1.001  # numbers of subjects that are tried: all up to GRID, above it in steps of this ratio
LARGEST_BITS = 1e100  # of a coordinate, and its inverse the least


def multi_hop_bits(entities: int, relations: int, hops: int, subjects: int = 1) -> float:
    """A lower bound of H(m), the bits in the answers to all words of K ``hops`` about m ``subjects``; see the module.

    Grows with m (above GRID subjects, but for the step of the search). At most m R^K log2 N. It loses a constant factor
    once the words reach a good share of the N ``entities``, and is weak for more hops than entities. Raises ValueError
    unless 1 <= m <= N <= MOST_ENTITIES.
    """
    n, r, depth = _check_counts(entities, relations, hops)
    m = check_whole_number(subjects, "subjects", 1)
    if m > n:
        raise ValueError(f"subjects must be at most the number of entities, {n}; got {shown(subjects)}")
    return float(_bits(n, r, depth, _grid(m)).max())


def one_shot_dimension_bound(entities: int, relations: int, hops: int, bits_per_coordinate: float = 1.0) -> float:
    """d >= H(1) / p: coordinates of p ``bits_per_coordinate`` that a subject vector needs when the weights know nothing
    of the facts and every word is answered in one pass. About R^K log2(N) / p while R^K is well below N, against R^K k
    of ``construct_one_shot``. Raises as ``multi_hop_bits``, and unless p > 0.
    """
    return multi_hop_bits(entities, relations, hops) / _check_bits(bits_per_coordinate)


def weight_bits_bound(
    entities: int, relations: int, hops: int, *, dimension: int, bits_per_coordinate: float = 1.0
) -> float:
    """W >= max_m H(m) - m d p: bits of the facts that the weights hold when subject vectors have only d coordinates of
    p bits and every word is answered in one pass, whatever the depth; 0 where the vectors are large enough.

    Either d p is of the order of R^K log2 N, or W of the order of R N log2 N, which the N R k signs that the lookups of
    ``construct_deep`` hold at one hop a layer meet up to a constant. Raises as ``multi_hop_bits``, and unless
    d >= 0 and p > 0.
    """
    n, r, depth = _check_counts(entities, relations, hops)
    each = check_whole_number(dimension, "dimension", 0) * _check_bits(bits_per_coordinate)
    m = _grid(n)
    return max(0.0, float((_bits(n, r, depth, m) - m * each).max()))


def _bits(n: int, r: int, hops: int, m: NDArray[np.int64]) -> Array:
    """The bound for each number of subjects m, over all the choices of words."""
    best = np.zeros(len(m))
    for depth in range(1, min(hops, n.bit_length() + 1) + 1):  # deeper trees of two branches or more outgrow N
        np.maximum(best, _tree_bits(n, r, hops - depth, depth, m), out=best)
        if depth < hops and r > 1:
            np.maximum(best, _tree_bits(n, r - 1, 0, depth, m), out=best)
    return best


def _tree_bits(n: int, r: int, path: int, depth: int, m: NDArray[np.int64]) -> Array:
    """The bound of the module with n_j = m up to level l = ``path`` and r times as many on each level after it, up to
    level path + depth - 1; zero where more than N positions are read."""
    level = m.astype(np.float64)
    seen = path * level  # positions on earlier levels
    new = np.clip((n - seen - level) / np.maximum(n - level, 1.0), 0.0, 1.0) if path else np.ones(len(m))  # E D_j / n_j
    for _ in range(depth - 1):
        seen, level = seen + level, level * r
        new = new * np.maximum(1 - (seen + (level - 1) / 2) / n, 0.0)
    fits = seen + level <= n
    left, drawn = np.where(fits, n - seen, 1.0), np.where(fits, level, 1.0)
    bits = (gammaln(drawn) - betaln(left - drawn + 1, drawn)) / log(2)  # log2 of left!/(left - drawn)!
    return np.asarray(np.where(fits, r * new * bits, 0.0))


def _grid(most: int) -> NDArray[np.int64]:
    """Numbers of subjects up to ``most``: all up to GRID, a geometric sequence above, and the last."""
    small = np.arange(1, min(most, GRID) + 1)
    if most <= GRID:
        return small
    steps = np.arange(1, int(log(most / GRID) / log(STEP)) + 1)
    return np.unique(np.concatenate([small, (GRID * STEP**steps).astype(np.int64), [most]]))


def _check_counts(entities: int, relations: int, hops: int) -> tuple[int, int, int]:
    n = check_whole_number(entities, "entities", 1, MOST_ENTITIES)
    return n, check_whole_number(relations, "relations", 1), check_whole_number(hops, "hops", 1)


def _check_bits(value: float) -> float:
    bits = check_real(value, "bits_per_coordinate")
    if not 1 / LARGEST_BITS <= bits <= LARGEST_BITS:
        raise ValueError(
            f"bits_per_coordinate must be a positive number, from {1 / LARGEST_BITS:.0e} to {LARGEST_BITS:.0e}; got "
            f"{shown(value)}"
        )
    return bits
