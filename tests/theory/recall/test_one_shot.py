import itertools

import numpy as np
import pytest

from fiedler.theory import (
    OneShotMemory,
    code_coherence,
    compose_facts,
    construct_memory,
    construct_one_shot,
    multi_hop_dimension,
    random_facts,
)
from fiedler.theory.recall.margins import answer_margins

EXACT = 1e-12  # rounding of sums of a few hundred numbers of order one
GRID = [(5, 1, 3), (12, 2, 1), (12, 2, 4), (30, 3, 2), (9, 4, 3)]


def built(entities, relations, hops, coherence=0.6):
    return construct_one_shot(entities, relations, hops, code_dimension=24, coherence=coherence)


def all_words(relations, hops):
    return list(itertools.product(range(relations), repeat=hops))


@pytest.mark.parametrize(("entities", "relations", "hops"), GRID)
def test_every_word_about_every_entity_of_every_table(entities, relations, hops):
    memory = built(entities, relations, hops)
    words = all_words(relations, hops)
    assert memory.dimension == len(words) * 24
    assert memory.neurons == 2 * memory.dimension
    margin = 1 - code_coherence(memory.codes)
    for seed in range(2):
        facts = random_facts(entities, relations, seed=seed)
        embeddings = memory.subject_embeddings(facts)
        assert embeddings.shape == (entities, memory.dimension)
        for w, word in enumerate(words):
            answers = compose_facts(facts, word)
            assert np.array_equal(embeddings[:, w * 24 : (w + 1) * 24], memory.codes[answers])
            logits = memory.logits(embeddings, np.tile(word, (entities, 1)))
            assert answer_margins(logits, answers).min() >= margin - EXACT


@pytest.mark.parametrize(("entities", "relations", "hops"), GRID)
def test_the_same_as_a_plain_perceptron(entities, relations, hops):
    memory = built(entities, relations, hops)
    w_in, bias, w_out = memory.weights()
    assert w_in.shape == (memory.neurons, memory.dimension + hops * relations)
    assert (bias.shape, w_out.shape) == ((memory.neurons,), (24, memory.neurons))
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((40, memory.dimension))  # any, also such as open neurons of other words
    words = rng.integers(0, relations, (40, hops))
    one_hot = np.eye(relations)[words].reshape(40, -1)
    outputs = np.maximum(np.hstack([vectors, one_hot]) @ w_in.T + bias, 0) @ w_out.T
    assert np.allclose(outputs @ memory.codes.T, memory.logits(vectors, words), rtol=0, atol=10 * EXACT)


def test_one_hop_is_the_memory_in_blocks():
    memory, single = built(10, 3, 1), construct_memory(10, 3, code_dimension=24, coherence=0.6)
    facts = random_facts(10, 3)
    assert np.array_equal(memory.subject_embeddings(facts), single.subject_embeddings(facts))
    assert memory.gate_bias == pytest.approx(single.gate_bias, rel=EXACT)
    relations = np.arange(10) % 3
    assert np.allclose(
        memory.logits(memory.subject_embeddings(facts), relations[:, None]),
        single.logits(single.subject_embeddings(facts), relations),
        rtol=0,
        atol=EXACT,
    )


def test_the_gate_needs_its_bias_where_one_relation_is_wrong():
    memory = built(6, 2, 3)
    with pytest.raises(ValueError, match=r"gate_bias must be at least 0\.204124"):
        OneShotMemory(memory.codes, 2, 3, 0.2)


def test_the_dimension_is_the_counted_one():
    assert construct_one_shot(20, 3, 3, code_dimension=48).dimension == 27 * 48
    k = multi_hop_dimension(20, 3, 3, chain_of_thought=False) // 27
    assert construct_one_shot(20, 3, 3, code_dimension=k).dimension == 27 * k


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: built(4, 2, 30), "the subject vectors would hold 1.0e.11 numbers"),
        (lambda: built(4, 2, 10**12), "the subject vectors would hold"),
        (lambda: built(4, 1, 10**12), "the words would hold"),
        (lambda: built(1, 2, 2), "entities must be at least 2; got 1"),
        (lambda: built(4, 2, 2).subject_embeddings(random_facts(4, 3)), "facts has 3 and 4; construct a memory"),
        (lambda: built(4, 2, 2).subject_embeddings(random_facts(8, 2, attributes=4)), "attributes that are subjects"),
        (lambda: built(4, 2, 2).logits(np.zeros((1, 96)), [[0]]), r"words must have shape \(1, 2\); got \(1, 1\)"),
        (lambda: built(4, 5, 4).weights(), "the gate's weights would hold"),
    ],
)
def test_bad_sizes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
