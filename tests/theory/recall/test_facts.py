import itertools
import math
from collections import Counter

import numpy as np
import pytest

from fiedler.theory import Facts, compose_facts, random_facts

DRAWS, SIGMAS = 600, 4.5  # of each of the six permutations of three; the seeds are fixed


@pytest.mark.parametrize(("subjects", "attributes"), [(1, None), (12, None), (12, 12), (12, 5), (13, 1), (40, 7)])
def test_every_attribute_is_used_alike(subjects, attributes):
    facts = random_facts(subjects, 3, attributes=attributes, seed=4)
    count = subjects if attributes is None else attributes
    assert (facts.subjects, facts.relations, facts.attributes) == (subjects, 3, count)
    assert facts.table.dtype == np.int64
    for row in facts.table:
        used = Counter(row.tolist())
        assert set(used) == set(range(count))
        assert set(used.values()) <= {subjects // count, -(-subjects // count)}
    assert facts.is_bijection == (count == subjects)


def test_permutations_are_uniform_and_rows_independent():
    seen = Counter(tuple(map(tuple, random_facts(3, 2, seed=seed).table.tolist())) for seed in range(6 * DRAWS))
    assert set(seen) == set(itertools.product(itertools.permutations(range(3)), repeat=2))
    assert all(abs(count - DRAWS / 6) < SIGMAS * math.sqrt(DRAWS / 6) for count in seen.values())


def test_a_seed_gives_the_same_table():
    assert np.array_equal(random_facts(9, 2, seed=5).table, random_facts(9, 2, seed=5).table)
    assert not np.array_equal(random_facts(9, 2, seed=5).table, random_facts(9, 2, seed=6).table)


def test_a_table_is_kept_as_it_was_given():
    given = np.array([[0, 2, 1], [2, 2, 0]])
    facts = Facts(given, 3)
    given[0, 0] = 1
    assert facts.table[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        facts.table[0, 0] = 1
    assert not facts.is_bijection  # the second row repeats an attribute
    assert Facts(np.array([[0, 2, 1], [2, 1, 0]]), 3).is_bijection
    assert not Facts(np.array([[0, 2, 1]]), 4).is_bijection


@pytest.mark.parametrize("word", [[0], [2, 0], [1, 1, 2, 0]])
def test_chains_by_plain_loops(word):
    facts = random_facts(7, 3, seed=1)
    found = compose_facts(facts, word)
    for s in range(7):
        answer = s
        for relation in word:
            answer = facts.table[relation][answer]
        assert found[s] == answer
    assert np.array_equal(compose_facts(facts, word[1:] or [0])[compose_facts(facts, word[:1])], found) or len(word) < 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Facts(np.array([[0, 3]]), 3), ValueError, "table must hold whole numbers from 0 to 2"),
        (
            lambda: Facts(np.array([0, 1]), 3),
            ValueError,
            r"table must have shape \(at least 1, at least 1\); got \(2,\)",
        ),
        (lambda: Facts(np.array([[0.5]]), 3), ValueError, "table must hold whole numbers"),
        (lambda: Facts(np.array([[True]]), 3), TypeError, "table must hold real numbers"),
        (lambda: random_facts(3, 1, attributes=4), ValueError, "attributes must be at most the number of subjects, 3"),
        (lambda: random_facts(10**9, 8), ValueError, "the table of facts would hold 8.0e.09 numbers"),
        (lambda: random_facts(3, 1, seed=-1), ValueError, "seed must be at least 0"),
        (lambda: compose_facts(random_facts(4, 2, attributes=2), [0]), ValueError, "attributes that are subjects"),
        (lambda: compose_facts(random_facts(4, 2), [2]), ValueError, "word must hold whole numbers from 0 to 1"),
        (lambda: compose_facts(random_facts(4, 2), []), ValueError, "word must have shape"),
        (lambda: compose_facts([[0, 1]], [0]), TypeError, "facts must be a Facts, not list"),
    ],
)
def test_bad_tables_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
