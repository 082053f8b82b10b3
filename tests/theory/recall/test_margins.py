import itertools

import numpy as np
import pytest

from fiedler.theory import (
    Facts,
    circle_codes,
    code_coherence,
    construct_memory,
    margin_bound,
    memory_from_codes,
    random_facts,
    recall_margins,
    worst_facts,
)
from fiedler.theory.recall.margins import answer_margins

EXACT = 1e-12  # rounding of sums of a few hundred numbers of order one
GRID = [(2, 1, 3, None), (6, 3, 8, None), (6, 3, 8, 9), (12, 4, 16, 40), (25, 2, 20, 300), (15, 5, 12, 200)]


def built(attributes, relations, k, dimension, seed=0):
    return construct_memory(attributes, relations, code_dimension=k, dimension=dimension, seed=seed)


def margins_by_hand(memory, facts):
    """From the vectors alone, without the gate."""
    found = np.empty(facts.table.shape)
    for r, s in itertools.product(range(facts.relations), range(facts.subjects)):
        vector = sum(memory.projections[q] @ memory.codes[facts.table[q, s]] for q in range(facts.relations))
        logits = list(memory.codes @ (memory.projections[r].T @ vector))
        right = logits.pop(facts.table[r, s])
        found[r, s] = right - max(logits)
    return found


@pytest.mark.parametrize("sizes", GRID)
def test_margins_by_hand(sizes, monkeypatch):
    memory, facts = built(*sizes), random_facts(sizes[0], sizes[1], seed=7)
    expected = margins_by_hand(memory, facts)
    assert recall_margins(memory, facts) == pytest.approx(expected, abs=EXACT)
    monkeypatch.setitem(recall_margins.__globals__, "CHUNK", 1)  # one subject at a time
    assert recall_margins(memory, facts) == pytest.approx(expected, abs=EXACT)


def test_a_tie_is_no_recall():
    assert np.array_equal(answer_margins(np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 5.0]]), np.array([0, 2])), [0.0, 3.0])


@pytest.mark.parametrize("sizes", GRID)
def test_no_margin_falls_below_the_bound(sizes, monkeypatch):
    attributes, relations = sizes[:2]
    for seed in range(4):
        memory = built(*sizes, seed=seed)
        bound, worst = margin_bound(memory), worst_facts(memory)
        assert worst.is_bijection
        guaranteed = recall_margins(memory, worst).min()
        assert bound <= guaranteed + EXACT
        assert recall_margins(memory, worst)[:, 0].min() == pytest.approx(guaranteed, abs=EXACT)
        constant = Facts(np.tile(np.arange(attributes), (relations, 1)), attributes)  # all relations alike
        for facts in [constant, *(random_facts(attributes, relations, seed=s) for s in range(20))]:
            assert recall_margins(memory, facts).min() >= guaranteed - EXACT
        monkeypatch.setitem(margin_bound.__globals__, "CHUNK", 1)
        assert margin_bound(memory) == pytest.approx(bound, abs=EXACT)
        monkeypatch.undo()


@pytest.mark.parametrize(("attributes", "relations", "dimension"), [(4, 3, 8), (5, 3, 30), (3, 4, 12), (6, 2, 8)])
def test_the_worst_facts_are_the_worst_of_all_tuples(attributes, relations, dimension):
    memory = built(attributes, relations, 8, dimension, seed=5)
    tuples = Facts(np.array(list(itertools.product(range(attributes), repeat=relations))).T, attributes)
    least = margins_by_hand(memory, tuples).min()
    assert recall_margins(memory, worst_facts(memory)).min() == pytest.approx(least, abs=EXACT)
    assert margin_bound(memory) <= least + EXACT


@pytest.mark.parametrize(("attributes", "relations", "k"), [(2, 2, 4), (30, 3, 24), (200, 2, 48)])
def test_in_blocks_the_bound_is_attained(attributes, relations, k):
    memory = built(attributes, relations, k, None)
    bound = margin_bound(memory)
    assert bound == pytest.approx(1 - code_coherence(memory.codes), abs=EXACT)
    assert recall_margins(memory, random_facts(attributes, relations)).min() == pytest.approx(bound, abs=EXACT)


def test_the_margin_on_the_circle():
    memory = memory_from_codes(circle_codes(60), 2)
    assert recall_margins(memory, random_facts(60, 2)) == pytest.approx(1 - np.cos(2 * np.pi / 60), abs=EXACT)


@pytest.mark.parametrize("dimension", [None, 800])
def test_a_thousand_subjects_and_eight_relations(dimension):
    memory = construct_memory(1000, 8, code_dimension=48, dimension=dimension, coherence=0.65)
    for seed in range(2):  # the second table is new to the same memory
        margins = recall_margins(memory, random_facts(1000, 8, seed=seed))
        assert margins.shape == (8, 1000)
        assert margins.min() > (0.35 - EXACT if dimension is None else 0.1)  # random projections: measured 0.15


def test_projections_of_too_small_a_dimension_fail():
    memory = construct_memory(200, 6, code_dimension=24, dimension=48)
    assert recall_margins(memory, random_facts(200, 6)).min() < 0
    assert margin_bound(memory) < 0


def test_what_takes_too_long_is_refused():
    with pytest.raises(ValueError, match="5000 attributes and 2 relations take too long to find; use margin_bound"):
        worst_facts(memory_from_codes(circle_codes(5000), 2))
    with pytest.raises(TypeError, match="memory must be a FactMemory, not int; use construct_memory"):
        margin_bound(3)
    with pytest.raises(ValueError, match="facts has 2 and 5"):
        recall_margins(memory_from_codes(circle_codes(4), 2), random_facts(5, 2))
