import itertools

import numpy as np
import pytest

from fiedler.theory import distinct_code_dimension, sign_codes
from fiedler.theory.recall.distinct_codes import chance_of_distinct_codes

DRAWS = 301  # of which the median lies within one of the exact one


def test_the_chance_of_distinct_codes_counts_them():
    codes = list(itertools.product(range(4), repeat=3))  # three codes of two bits
    assert chance_of_distinct_codes(3, 2) == pytest.approx(sum(len(set(c)) == 3 for c in codes) / len(codes))
    assert chance_of_distinct_codes(5, 2) == 0.0
    assert chance_of_distinct_codes(1, 1) == 1.0


@pytest.mark.parametrize("attributes", [2, 5, 24])
def test_the_dimension_is_the_median_of_what_drawing_finds(attributes):
    found = []
    for draw in range(DRAWS):
        k = 1
        while len(np.unique(sign_codes(attributes, k, seed=1000 * draw + k), axis=0)) < attributes:
            k += 1
        found.append(k)
    assert abs(np.median(found) - distinct_code_dimension(attributes)) <= 1


def test_it_grows_like_twice_the_logarithm():
    found = [distinct_code_dimension(2**power) for power in (4, 8, 12, 16)]
    assert np.diff(found) == pytest.approx(8, abs=1)
    assert distinct_code_dimension(1) == 1


def test_bad_counts_are_refused():
    with pytest.raises(ValueError, match="attributes must be at least 1; got 0"):
        distinct_code_dimension(0)
    with pytest.raises(ValueError, match="at most"):
        distinct_code_dimension(10**8)
