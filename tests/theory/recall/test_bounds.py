import itertools
import math

import numpy as np
import pytest

from fiedler.theory import (
    Facts,
    circle_codes,
    code_coherence,
    construct_memory,
    memory_from_codes,
    packing_dimension,
    random_facts,
    random_margin_dimension,
    recall_bits,
    recall_margins,
)

EXACT = 1e-12  # rounding of logarithms and inner products
DRAWS = 60  # of projections, at each of two dimensions


# --- bits ---


@pytest.mark.parametrize(("subjects", "relations"), [(1, 1), (4, 3), (50, 8), (10**6, 2)])
def test_perfect_recall_counts_bijections(subjects, relations):
    exact = relations * math.fsum(math.log2(i) for i in range(1, min(subjects, 10**6) + 1))
    assert recall_bits(subjects, relations) == pytest.approx(exact, rel=1e-11, abs=EXACT)
    assert recall_bits(subjects, relations, accuracy=1 - 0.5 / (subjects * relations)) == pytest.approx(
        exact, rel=1e-11
    )


@pytest.mark.parametrize(("subjects", "relations"), [(2, 1), (3, 1), (4, 1), (5, 1), (3, 2)])
def test_bits_by_enumeration(subjects, relations):
    # The most tables that one state of a memory answers within m errors, over everything it may answer.
    rows = list(itertools.permutations(range(subjects)))
    tables = np.array(list(itertools.product(rows, repeat=relations))).reshape(-1, subjects * relations)
    answers = np.array(list(itertools.product(range(subjects), repeat=subjects * relations)))
    errors = np.array([(tables != answer).sum(axis=1) for answer in answers])
    for wrong in range(subjects * relations + 1):
        most = (errors <= wrong).sum(axis=1).max()
        needed = math.log2(len(tables) / most)
        bound = recall_bits(subjects, relations, accuracy=1 - wrong / (subjects * relations))
        assert bound <= needed + EXACT
        assert bound > 0 or needed < 3 or wrong > 1
    assert recall_bits(subjects, relations, accuracy=0.0) == 0


@pytest.mark.parametrize(("subjects", "relations"), [(6, 1), (6, 3), (9, 2), (4, 4)])
def test_the_sum_over_splits_of_the_errors(subjects, relations):
    for wrong in range(1, subjects * relations + 1):
        splits = [split for split in itertools.product(range(subjects + 1), repeat=relations) if sum(split) == wrong]
        reach = [math.prod(math.perm(subjects, m) for m in split) for split in splits]
        count = math.comb(wrong + relations - 1, relations - 1)  # m_r above N left in
        expected = relations * math.log2(math.factorial(subjects)) - math.log2(max(reach)) - math.log2(count)
        bound = recall_bits(subjects, relations, accuracy=1 - wrong / (subjects * relations))
        assert bound == pytest.approx(max(0.0, expected), abs=1e-10)
        assert bound <= max(0.0, relations * math.log2(math.factorial(subjects)) - math.log2(sum(reach))) + 1e-10


def test_bits_fall_with_the_accuracy():
    bits = [recall_bits(100, 4, accuracy=share) for share in np.linspace(0, 1, 101)]
    assert (np.diff(bits) >= 0).all()
    assert bits[-1] > bits[90] > 0.8 * bits[-1] > 0
    assert bits[0] == 0


# --- packing ---

# A memory, and the most that its dimension may be of the bound: between 1.8 and 53 were measured.
PACKED = {
    "signs": (lambda: construct_memory(4, 3, code_dimension=8, coherence=0.5), 11),
    "more signs": (lambda: construct_memory(6, 3, code_dimension=24, coherence=0.3), 25),
    "one relation": (lambda: construct_memory(60, 1, code_dimension=24, coherence=0.5), 11),
    "random projections": (lambda: construct_memory(4, 3, code_dimension=6, dimension=60, coherence=0.4), 60),
    "crowded projections": (lambda: memory_from_codes(circle_codes(3), 3, dimension=8, seed=32), 15),
    "circle": (lambda: memory_from_codes(circle_codes(8), 3), 3),
    "fine circle": (lambda: memory_from_codes(circle_codes(200), 1), 4),
    "pair": (lambda: memory_from_codes([[1.0], [-1.0]], 6), 2),
    "simplex": (lambda: memory_from_codes(np.linalg.eigh(np.eye(5) - 0.2)[1][:, 1:] * math.sqrt(1.25), 3), 4),
}


@pytest.mark.parametrize("name", PACKED)
def test_no_construction_packs_closer_than_the_bound(name):
    build, most = PACKED[name]
    memory = build()
    a, r = memory.attributes, memory.relations
    tuples = Facts(np.array(list(itertools.product(range(a), repeat=r))).T, a)
    vectors, margin = memory.subject_embeddings(tuples), recall_margins(memory, tuples).min()
    assert margin > 0
    radius = np.linalg.norm(vectors, axis=1).max()
    outputs = np.stack([memory.outputs(vectors, np.full(len(vectors), q)) for q in range(r)])
    rows, columns = np.triu_indices(len(vectors), 1)
    apart = np.linalg.norm(vectors[rows] - vectors[columns], axis=1)
    stretch = (np.linalg.norm(outputs[:, rows] - outputs[:, columns], axis=2) / apart).max()
    assert stretch <= 1 + EXACT  # the selected map is a projection
    assert apart.min() >= margin / stretch - EXACT  # the step of the proof
    bound = packing_dimension(a, r, margin=margin, radius=radius, lipschitz=stretch)
    assert 0 < bound <= memory.dimension
    assert memory.dimension <= most * bound


def test_the_packing_of_an_interval_is_exact():
    # A = 2, one relation, vectors +-1: two points, and the ball of radius 1 holds 1 + 2 rho L / gamma = 2 of them.
    assert packing_dimension(2, 1, margin=2.0, radius=1.0) == pytest.approx(1.0, abs=EXACT)
    assert packing_dimension(2, 7, margin=2.0, radius=1.0) == pytest.approx(7.0, abs=EXACT)
    assert packing_dimension(16, 3, margin=2.0, radius=3.0) == pytest.approx(3 * 4 / 2, abs=EXACT)
    assert packing_dimension(1, 3, margin=2.0, radius=0.1) == 0
    halved = packing_dimension(16, 3, margin=1.0, radius=3.0, lipschitz=0.5)
    assert halved == pytest.approx(6.0, abs=EXACT)


# --- random projections ---


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_random_projections_recall_at_the_promised_dimension(margin):
    # A tenth may fail where the bound says so; a sixth of that dimension fails more often than not.
    codes = construct_memory(20, 4, code_dimension=24, coherence=0.4).codes
    coherence = code_coherence(codes)
    promised = random_margin_dimension(20, 4, 20, coherence=coherence, margin=margin, failure=0.1)
    facts = random_facts(20, 4, seed=3)

    def failures(dimension):
        memories = (memory_from_codes(codes, 4, dimension=dimension, seed=seed) for seed in range(DRAWS))
        return sum(recall_margins(memory, facts).min() < margin for memory in memories)

    assert failures(promised) <= 0.1 * DRAWS
    assert failures(promised // 6) > 0.5 * DRAWS


def test_a_dimension_for_every_table():
    sizes = {"coherence": 0.25, "margin": 0.1, "failure": 0.01}
    every = random_margin_dimension(None, 3, 5, **sizes)
    assert every == random_margin_dimension(5**3, 3, 5, **sizes)
    codes = construct_memory(5, 3, code_dimension=16, coherence=0.25).codes
    tuples = Facts(np.array(list(itertools.product(range(5), repeat=3))).T, 5)
    for seed in range(20):
        memory = memory_from_codes(codes, 3, dimension=every, seed=seed)
        assert recall_margins(memory, tuples).min() >= 0.1
    assert random_margin_dimension(10, 1, 5, **sizes) == 1  # nothing leaks


def test_the_promised_dimension_by_hand():
    # 4 delta (R - 1) log(N R (A - 1) / failure) / (delta - gamma)^2
    expected = 4 * 0.5 * 7 * math.log(1000 * 8 * 999 / 0.01) / 0.4**2
    assert random_margin_dimension(1000, 8, 1000, coherence=0.5, margin=0.1, failure=0.01) == math.ceil(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recall_bits(3, 2, accuracy=1.1), r"accuracy must lie in \[0, 1\]; got 1.1"),
        (lambda: recall_bits(0, 2), "subjects must be at least 1; got 0"),
        (
            lambda: packing_dimension(4, 2, margin=3.0, radius=1.0),
            "margin must be at most 2 radius lipschitz = 2; got 3",
        ),
        (lambda: packing_dimension(4, 2, margin=0.0, radius=1.0), "margin must be a positive number; got 0.0"),
        (lambda: packing_dimension(4, 2, margin=1e-200, radius=1.0), "use a larger margin"),
        (
            lambda: random_margin_dimension(9, 2, 9, coherence=0.5, margin=0.5, failure=0.1),
            r"margin must lie in \[0, 1 - coherence\), here \[0, 0.5\); got 0.5",
        ),
        (
            lambda: random_margin_dimension(9, 2, 9, coherence=0.5, margin=0.5 - 1e-12, failure=0.1),
            "too close to 1 - coherence",
        ),
        (
            lambda: random_margin_dimension(9, 2, 9, coherence=0.5, margin=0.1, failure=1),
            r"failure must lie in \(0, 1\); got 1",
        ),
        (
            lambda: random_margin_dimension(9, 2, 9, coherence=1, margin=0.1, failure=0.1),
            r"coherence must lie in \[-1, 1\)",
        ),
    ],
)
def test_bad_bounds_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
