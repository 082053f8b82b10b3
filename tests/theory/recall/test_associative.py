import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom

from fiedler.theory import (
    AssociativeMemory,
    associative_dimension,
    code_dimension,
    construct_associative,
    random_facts,
)
from fiedler.theory.recall.associative import log_miss

EXACT = 1e-12  # rounding of sums of a few hundred numbers of order one
SIGMAS = 4.5  # the seeds are fixed


def test_logits_and_margins_by_plain_loops():
    facts = random_facts(9, 3, attributes=4, seed=2)
    memory = construct_associative(facts, dimension=11, code_dimension=6, seed=1)
    e, u = memory.embeddings, memory.codes
    assert (u.shape, e.shape, memory.matrices.shape, memory.parameters) == ((4, 6), (9, 11), (3, 6, 11), 198)
    assert np.allclose((e**2).sum(axis=1), 1, rtol=0, atol=EXACT)
    relations = np.arange(9) % 3
    found = memory.logits(e, relations)
    margins = memory.margins(facts)
    for s, r in itertools.product(range(9), range(3)):
        logits = [sum(u[a] @ u[facts.table[r, t]] * (e[t] @ e[s]) for t in range(9)) for a in range(4)]
        if r == relations[s]:
            assert found[s] == pytest.approx(logits, abs=EXACT)
        right = logits.pop(facts.table[r, s])
        assert margins[r, s] == pytest.approx(right - max(logits), abs=EXACT)


def test_facts_are_in_the_matrices_and_nowhere_else():
    # Other facts with the same seed: the same codes and vectors, other matrices; and the old ones do not know them.
    first, second = random_facts(50, 2, seed=1), random_facts(50, 2, seed=2)
    sizes = {"dimension": 100, "code_dimension": 100, "seed": 3}
    memory, other = construct_associative(first, **sizes), construct_associative(second, **sizes)
    assert np.array_equal(memory.codes, other.codes)
    assert np.array_equal(memory.embeddings, other.embeddings)
    assert (memory.margins(first) > 0).all()
    assert (memory.margins(second) > 0).mean() < 0.1  # chance: 1/50
    assert (other.margins(second) > 0).all()


def test_subject_vectors_are_uniform():
    e = construct_associative(random_facts(4000, 1, attributes=2), dimension=3, code_dimension=2).embeddings
    assert np.abs(e.mean(axis=0)).max() < SIGMAS / math.sqrt(3 * 4000)
    assert np.abs(e.T @ e / 4000 - np.eye(3) / 3).max() < SIGMAS * 0.3 / math.sqrt(4000)


@pytest.mark.parametrize(("subjects", "attributes", "relations"), [(60, 60, 1), (150, 150, 2), (120, 12, 1)])
def test_the_dimension_is_enough_and_not_much_more(subjects, attributes, relations):
    enough = associative_dimension(subjects, attributes, relations=relations, failure=0.1)

    def perfect(dimension):
        tables = (random_facts(subjects, relations, attributes=attributes, seed=seed) for seed in range(20))
        sizes = {"dimension": dimension, "code_dimension": dimension}
        memories = ((construct_associative(facts, **sizes, seed=s), facts) for s, facts in enumerate(tables))
        return sum((memory.margins(facts) > 0).all() for memory, facts in memories)

    assert perfect(enough) >= 18
    assert perfect(enough // 2) <= 10


@pytest.mark.parametrize(("subjects", "attributes", "dimension"), [(12, 12, 8), (30, 30, 20), (30, 5, 24)])
def test_one_wrong_answer_is_as_rare_as_bounded(subjects, attributes, dimension):
    # Attribute 1 against the right one, over codes and vectors: the event of which the bound takes a union.
    facts = random_facts(subjects, 1, attributes=attributes)
    s, right = 0, facts.table[0, 0]
    wrong = (right + 1) % attributes
    misses, draws = 0, 3000
    for seed in range(draws):
        memory = construct_associative(facts, dimension=dimension, code_dimension=dimension, seed=seed)
        output = memory.matrices[0] @ memory.embeddings[s]
        misses += (memory.codes[right] - memory.codes[wrong]) @ output <= 0
    bound = math.exp(log_miss(subjects, attributes, dimension))
    assert misses / draws <= bound + SIGMAS * math.sqrt(bound / draws)
    assert misses / draws > bound / 20  # Chernoff's bounds lose a factor: 3 to 8 measured


def test_the_bound_by_direct_minimisation():
    # The docstring's formula over all agreements of signs, minimised on a fine grid.
    n, a, d = 30, 30, 40
    total = 0.0
    for agree in range(d + 1):
        y = 2 * (1 - agree / d)
        least = 1.0
        for mu in np.linspace(1e-4, 1, 3000)[:-1] * math.sqrt(y * d * d / 2):
            if mu > 0:
                spread = (1 - 2 * mu**2 / (y * d * d)) ** (-(a - 2) / 2)
                least = min(least, math.exp(-mu + mu**2 / (2 * d)) * spread)
        total += binom.pmf(agree, d, 0.5) * least
    assert -1e-4 < log_miss(n, a, d) - math.log(total) < 0.01  # two grids, that of the bound the coarser


def test_it_grows_like_a_square_root_and_the_geometric_memory_like_a_logarithm():
    sizes = [10**p for p in range(2, 8)]
    needed = np.array([associative_dimension(n, n) for n in sizes])
    law = np.array([2 * math.sqrt(n * math.log(n * n / 0.01)) for n in sizes])
    assert (np.diff(needed / law) < 0).all()
    assert 1 < needed[-1] / law[-1] < 1.01
    geometric = np.array([8 * code_dimension(n, 0.5) for n in sizes])
    assert geometric[-1] / geometric[0] < 4 < 250 < needed[-1] / needed[0]


def test_the_least_dimension_is_where_the_bound_turns():
    for failure in (0.5, 0.01, 1e-6):
        found = associative_dimension(200, 200, relations=3, failure=failure)
        events = math.log(200 * 3 * 199 / failure)
        assert log_miss(200, 200, found) <= -events < log_miss(200, 200, found - 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: associative_dimension(5, 1), ValueError, "attributes must be at least 2; got 1"),
        (lambda: associative_dimension(5, 5, failure=0.0), ValueError, r"failure must lie in \(0, 1\); got 0.0"),
        (lambda: associative_dimension(5.0, 5), TypeError, "subjects must be a whole number; got 5.0"),
        (
            lambda: construct_associative(random_facts(5, 2), dimension=10**5, code_dimension=10**5),
            ValueError,
            "the matrices would hold 2.0e.10 numbers",
        ),
        (
            lambda: construct_associative(random_facts(5, 2), dimension=4, code_dimension=4).margins(
                random_facts(5, 3)
            ),
            ValueError,
            r"facts has \(relations, subjects, attributes\) = \(3, 5, 5\), the memory \(2, 5, 5\); use the facts",
        ),
        (
            lambda: AssociativeMemory(np.eye(3), np.eye(4), np.zeros((2, 4, 3))),
            ValueError,
            r"matrices must have shape .* got \(2, 4, 3\)",
        ),
    ],
)
def test_bad_sizes_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
