"""The least dimension at which random sign codes tell attributes apart, which is all that recall in blocks needs.

A block recalls exactly: the right code has inner product one and every other code less, so facts are lost only where
two codes are the same. Of A rows of signs in R^k all differ with probability p_k = prod_{i<A} (1 - i/2^k).
Source: ours; the order log A is that of arXiv 2605.12426, theorem 4.1.
"""

from __future__ import annotations

from math import exp

import numpy as np

from ..checks import check_whole_number, shown

MOST_ATTRIBUTES = 10**7  # each is a factor of p_k


def distinct_code_dimension(attributes: int) -> int:
    """The median of the smallest k at which A = ``attributes`` rows of random signs, drawn anew for every k, differ.

    The first success is at most k with probability 1 - prod_{j<=k} (1 - p_j). Grows like 2 log2 A. Raises ValueError
    unless 1 <= A <= MOST_ATTRIBUTES.
    """
    a = check_whole_number(attributes, "attributes", 1)
    if a > MOST_ATTRIBUTES:
        raise ValueError(f"attributes must be at most {MOST_ATTRIBUTES}; got {shown(attributes)}")
    missed, k = 1.0, 0
    while missed > 0.5:
        k += 1
        missed *= 1 - chance_of_distinct_codes(a, k)
    return k


def chance_of_distinct_codes(attributes: int, dimension: int) -> float:
    """p_k."""
    if attributes > 2**dimension:
        return 0.0
    return exp(float(np.log1p(-np.arange(attributes) / 2.0**dimension).sum()))
