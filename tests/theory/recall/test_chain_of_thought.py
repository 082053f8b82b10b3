import itertools

import numpy as np
import pytest

from fiedler.theory import (
    chain_answers,
    compose_facts,
    construct_memory,
    margin_bound,
    multi_hop_dimension,
    random_facts,
    recall_margins,
)


def questions(entities, relations, hops):
    words = np.array(list(itertools.product(range(relations), repeat=hops)))
    return np.repeat(words, entities, axis=0), np.tile(np.arange(entities), len(words))


@pytest.mark.parametrize(("entities", "relations", "hops"), [(3, 1, 4), (20, 3, 1), (20, 3, 4), (50, 2, 6)])
def test_every_word_is_answered_with_every_answer_between(entities, relations, hops, monkeypatch):
    memory = construct_memory(entities, relations, code_dimension=32, coherence=0.6)
    words, subjects = questions(entities, relations, hops)
    for seed in range(2):
        facts = random_facts(entities, relations, seed=seed)
        found = chain_answers(memory, facts, words, subjects)
        assert found.shape == words.shape
        assert found.dtype == np.int64
        for hop in range(hops):
            expected = np.concatenate([compose_facts(facts, word[: hop + 1]) for word in words[::entities]])
            assert np.array_equal(found[:, hop], expected)
        monkeypatch.setitem(chain_answers.__globals__, "CHUNK", 1)
        assert np.array_equal(chain_answers(memory, facts, words[-7:], subjects[-7:]), found[-7:])
        monkeypatch.undo()


def test_the_dimension_is_that_of_one_hop():
    memory = construct_memory(30, 3, code_dimension=28)
    assert memory.dimension == 3 * 28
    assert multi_hop_dimension(30, 3, 5, chain_of_thought=True) == multi_hop_dimension(30, 3, 1, chain_of_thought=True)
    assert margin_bound(memory) > 0


def test_a_wrong_answer_is_followed():
    # Crowded projections: where one hop fails, the chain goes on from the wrong entity.
    memory = construct_memory(40, 4, code_dimension=20, dimension=40)
    facts = random_facts(40, 4)
    assert (recall_margins(memory, facts) < 0).any()
    words, subjects = questions(40, 4, 2)
    found = chain_answers(memory, facts, words, subjects)
    single = np.stack([chain_answers(memory, facts, np.full((40, 1), r), np.arange(40))[:, 0] for r in range(4)])
    assert (single != facts.table).any()
    assert np.array_equal(found[:, 0], single[words[:, 0], subjects])
    assert np.array_equal(found[:, 1], single[words[:, 1], found[:, 0]])


@pytest.mark.parametrize(
    ("facts", "words", "subjects", "message"),
    [
        (random_facts(8, 2, attributes=4), [[0]], [0], "attributes that are subjects"),
        (random_facts(5, 2), [[0]], [0], "the memory is for 2 relations and 4 attributes"),
        (random_facts(4, 2), [[0, 2]], [0], "words must hold whole numbers from 0 to 1"),
        (random_facts(4, 2), [[0, 1]], [4], "subjects must hold whole numbers from 0 to 3"),
        (random_facts(4, 2), [[0, 1]], [0, 1], r"words must have shape \(2, at least 1\); got \(1, 2\)"),
    ],
)
def test_bad_questions_are_refused(facts, words, subjects, message):
    with pytest.raises(ValueError, match=message):
        chain_answers(construct_memory(4, 2, code_dimension=8), facts, words, subjects)
