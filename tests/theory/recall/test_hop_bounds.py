import itertools
import math

import numpy as np
import pytest

from fiedler.theory import (
    construct_deep,
    construct_one_shot,
    multi_hop_bits,
    one_shot_dimension_bound,
    random_facts,
    weight_bits_bound,
)
from fiedler.theory.recall.hop_bounds import _grid, _tree_bits

EXACT = 1e-9  # rounding of logarithms of factorials
SIGMAS = 4.5  # the seeds are fixed


def entropy(entities, relations, hops, subjects):
    """H(m), by enumerating all (N!)^R tables."""
    rows = np.array(list(itertools.permutations(range(entities))))
    tables = rows[np.array(list(itertools.product(range(len(rows)), repeat=relations)))]
    each, answers = np.arange(len(tables)), []
    for s, word in itertools.product(range(subjects), itertools.product(range(relations), repeat=hops)):
        current = np.full(len(tables), s)
        for relation in word:
            current = tables[each, relation, current]
        answers.append(current)
    counts = np.unique(np.stack(answers, axis=1), axis=0, return_counts=True)[1]
    return math.log2(len(tables)) - float((counts * np.log2(counts)).sum() / len(tables))


SMALL = [(2, 2, 2), (3, 1, 2), (3, 2, 1), (3, 2, 2), (3, 2, 3), (3, 3, 2), (4, 2, 1), (4, 2, 2), (4, 2, 3), (5, 2, 2)]


@pytest.mark.parametrize(("entities", "relations", "hops"), SMALL)
def test_the_entropy_by_enumeration_is_not_below(entities, relations, hops):
    for subjects in range(1, entities + 1):
        exact, bound = entropy(entities, relations, hops, subjects), multi_hop_bits(entities, relations, hops, subjects)
        assert 0 <= bound <= exact + EXACT
        assert bound >= 0.2 * exact - EXACT  # measured: 0.24 and more, the tightest 1
        if hops == 1:
            assert bound == pytest.approx(exact, abs=EXACT)


@pytest.mark.parametrize(("entities", "relations"), [(10, 1), (1000, 4), (10**6, 2)])
def test_one_hop_about_every_subject_is_the_whole_table(entities, relations):
    whole = relations * math.lgamma(entities + 1) / math.log(2)
    assert multi_hop_bits(entities, relations, 1, entities) == pytest.approx(whole, rel=1e-10)


def revealed(entities, relations, path, depth, subjects, rng):
    """New entities at the last level but one, and all of those before, of random bijections: D and Q, by walking."""
    table = [rng.permutation(entities) for _ in range(relations)]
    level = list(range(subjects))
    seen = set(level)
    fresh, before = set(level), set()
    for step in range(path + depth - 1):
        before = set(seen)
        letters = range(1 if step < path else relations)
        level = [int(table[r][v]) for v in level for r in letters]
        fresh = set(level) - before
        seen |= fresh
    return len(fresh), len(before)


@pytest.mark.parametrize(
    ("entities", "relations", "path", "depth", "subjects"),
    [(60, 2, 0, 3, 3), (60, 3, 0, 2, 10), (60, 2, 2, 3, 4), (40, 2, 5, 1, 4), (200, 4, 1, 3, 5), (30, 1, 0, 4, 5)],
)
def test_the_derivation_against_sampled_tables(entities, relations, path, depth, subjects):
    # Given the revealed answers the last ones carry exactly R log2 (N - Q)!/(N - Q - D)! bits where no relation was
    # spent on the path; the bound is below the mean.
    rng = np.random.default_rng(0)
    bits = []
    for _ in range(400):
        new, before = revealed(entities, relations, path, depth, subjects, rng)
        left = entities - before
        bits.append(relations * (math.lgamma(left + 1) - math.lgamma(left - new + 1)) / math.log(2))
    bound = _tree_bits(entities, relations, path, depth, np.array([subjects]))[0]
    assert bound <= np.mean(bits) + SIGMAS * np.std(bits) / math.sqrt(len(bits))
    assert bound > 0.3 * np.mean(bits)  # it takes every entity seen for one that a value may meet


def test_the_bound_by_hand():
    # Two hops over 3 relations from 4 of 50 subjects: 4 and 12 positions, so T = 16 and q = 4.
    drawn = sum(math.log2(50 - i) for i in range(4, 16))
    assert _tree_bits(50, 3, 0, 2, np.array([4]))[0] == pytest.approx(3 * (1 - (4 + 5.5) / 50) * drawn, abs=EXACT)
    # After paths of two steps, levels of 4, 4, 4 and 12, of which 12 come first.
    drawn = sum(math.log2(50 - i) for i in range(12, 24))
    path = (50 - 3 * 4) / (50 - 4)
    assert _tree_bits(50, 3, 2, 2, np.array([4]))[0] == pytest.approx(
        3 * path * (1 - (12 + 5.5) / 50) * drawn, abs=EXACT
    )
    assert _tree_bits(15, 3, 0, 2, np.array([4]))[0] == 0  # 16 positions among 15 entities


@pytest.mark.parametrize(("entities", "relations", "hops"), [(50, 2, 3), (300, 4, 2), (300, 3, 5), (5000, 3, 4)])
def test_it_grows_with_the_subjects(entities, relations, hops):
    bits = [multi_hop_bits(entities, relations, hops, m) for m in range(1, min(entities, 60))]
    assert (np.diff(bits) >= 0).all()
    assert bits[0] <= relations**hops * math.log2(entities) + EXACT
    assert multi_hop_bits(entities, relations, hops, entities) >= (relations - 1) * math.lgamma(
        entities + 1
    ) / math.log(2) * (1 - EXACT)


def test_a_small_tree_is_nearly_free_of_collisions():
    assert multi_hop_bits(10**6, 4, 5) == pytest.approx(4**5 * math.log2(10**6), rel=1e-3)
    assert multi_hop_bits(10**12, 8, 4) == pytest.approx(8**4 * math.log2(10**12), rel=1e-6)


@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("relations", [1, 2, 4])
def test_one_shot_memories_obey_the_bound_and_meet_it_up_to_a_constant(relations, hops):
    memory = construct_one_shot(500, relations, hops, code_dimension=40, coherence=0.75)
    bound = one_shot_dimension_bound(500, relations, hops)  # signs: one bit a coordinate
    assert bound <= memory.dimension
    assert memory.dimension < 5 * bound  # k / log2 N = 4.46, and what collisions cost: measured 4.46 to 4.62
    assert one_shot_dimension_bound(500, relations, hops, 4.0) == pytest.approx(bound / 4)


@pytest.mark.parametrize(("relations", "hops", "layers"), [(4, 4, 4), (8, 3, 3), (16, 2, 2), (4, 6, 3), (3, 8, 2)])
def test_depth_obeys_the_bound_on_what_the_weights_hold(relations, hops, layers):
    facts = random_facts(2000, relations)
    memory = construct_deep(facts, hops, layers, code_dimension=32, coherence=0.75)
    # What depends on the facts: N d signs, the same in every lookup; R^h codes an entity where R would do.
    held = memory.embeddings.size
    spare = relations ** (memory.hops[0] - 1)
    bound = weight_bits_bound(2000, relations, hops, dimension=memory.dimension)
    assert 0 < bound <= held
    assert held < 25 * spare * bound  # measured 9.7 to 21
    assert bound > 0.15 * relations * math.lgamma(2001) / math.log(2)  # R N log N, whatever the hops


def test_either_the_vectors_or_the_weights_hold_the_facts():
    whole = one_shot_dimension_bound(1000, 4, 3)
    needed = [weight_bits_bound(1000, 4, 3, dimension=d) for d in (0, 10, 100, math.ceil(whole))]
    assert needed[0] == multi_hop_bits(1000, 4, 3, 1000)
    assert needed[0] > needed[1] > needed[2] > needed[3] == 0
    assert weight_bits_bound(1000, 4, 3, dimension=50, bits_per_coordinate=2.0) == needed[2]


def test_numbers_of_subjects_that_are_tried():
    assert np.array_equal(_grid(10), np.arange(1, 11))
    large = _grid(10**9)
    assert large[0] == 1
    assert large[-1] == 10**9
    assert (np.diff(large) > 0).all()
    assert (large[1:] <= 1.002 * large[:-1] + 1).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: multi_hop_bits(5, 2, 2, 6), ValueError, "subjects must be at most the number of entities, 5; got 6"),
        (lambda: multi_hop_bits(10**13, 2, 2), ValueError, "entities must be at most 1000000000000"),
        (lambda: multi_hop_bits(5, 2, 0), ValueError, "hops must be at least 1; got 0"),
        (lambda: one_shot_dimension_bound(5, 2, 2, 0.0), ValueError, "bits_per_coordinate must be a positive number"),
        (lambda: weight_bits_bound(5, 2, 2, dimension=1.5), TypeError, "dimension must be a whole number; got 1.5"),
    ],
)
def test_bad_counts_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
