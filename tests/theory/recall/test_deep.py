import itertools

import numpy as np
import pytest

from fiedler.theory import (
    DeepMemory,
    code_coherence,
    compose_facts,
    construct_deep,
    construct_one_shot,
    multi_hop_plan,
    random_facts,
)
from fiedler.theory.recall.margins import answer_margins

EXACT = 1e-11  # rounding, times 2 / (1 - eps) of the lookups
K = 24
# Entities, relations, hops, layers; the hops of each layer that they give.
GRID = [
    ((5, 1, 4, 2), (2, 2)),
    ((20, 3, 1, 1), (1,)),
    ((20, 3, 3, 1), (3,)),
    ((20, 3, 4, 4), (1, 1, 1, 1)),
    ((20, 3, 4, 9), (1, 1, 1, 1)),
    ((20, 2, 5, 2), (3, 2)),
    ((20, 2, 5, 3), (2, 2, 1)),
    ((20, 2, 4, 3), (2, 2)),
]


def built(entities, relations, hops, layers, seed=0, coherence=0.6):
    facts = random_facts(entities, relations, seed=seed)
    return facts, construct_deep(facts, hops, layers, code_dimension=K, coherence=coherence)


@pytest.mark.parametrize(("sizes", "hops"), GRID)
def test_every_word_about_every_entity(sizes, hops):
    facts, memory = built(*sizes)
    assert memory.hops == hops
    margin = 1 - code_coherence(memory.codes)
    for word in itertools.product(range(sizes[1]), repeat=sizes[2]):
        logits = memory.logits(memory.embeddings, np.tile(word, (sizes[0], 1)))
        assert answer_margins(logits, compose_facts(facts, word)).min() >= margin - EXACT


@pytest.mark.parametrize(("sizes", "hops"), GRID)
def test_it_costs_what_the_plan_says(sizes, hops, monkeypatch):
    monkeypatch.setitem(multi_hop_plan.__globals__, "code_dimension", lambda attributes, coherence: K)
    plan, (_, memory) = multi_hop_plan(*sizes, chain_of_thought=False), built(*sizes)
    assert (plan.layers, plan.hops_per_layer, plan.last_hops) == (len(hops), hops[0], hops[-1])
    assert memory.embeddings.shape == (sizes[0], plan.dimension)
    assert memory.dimension == plan.dimension
    assert memory.selector_neurons == plan.selector_neurons
    assert memory.lookup_neurons == plan.lookup_neurons == (len(hops) - 1) * sizes[0]
    assert memory.parameters == plan.parameters


def test_a_lookup_fires_for_one_entity_only_and_writes_its_vector():
    _, memory = built(30, 2, 2, 2)
    found = memory.look_up(memory.codes)
    assert np.allclose(found, np.eye(30), rtol=0, atol=EXACT)
    assert (found[~np.eye(30, dtype=bool)] <= EXACT).all()
    eps = code_coherence(memory.codes)
    assert memory.coherence == eps
    halfway = memory.look_up((1 + eps) / 2 * memory.codes[:1])[0]  # the threshold
    assert halfway == pytest.approx(np.zeros(30), abs=EXACT)


def test_the_first_layer_is_the_one_shot_memory():
    facts, memory = built(15, 2, 5, 2)
    single = construct_one_shot(15, 2, 3, code_dimension=K, coherence=0.6)
    words = np.random.default_rng(0).integers(0, 2, (15, 3))
    embeddings = single.subject_embeddings(facts)
    assert np.array_equal(memory.embeddings[:, : single.dimension], embeddings)
    output = memory.select(memory.embeddings, words)
    assert np.allclose(output @ memory.codes.T, single.logits(embeddings, words), rtol=0, atol=EXACT)


def test_new_facts_need_new_lookups():
    # The vectors of new facts with the lookups of the old: the first hop is right, the second follows the old facts.
    old, memory = built(20, 2, 2, 2, seed=1)
    new, other = built(20, 2, 2, 2, seed=2)
    found = memory.logits(other.embeddings, np.tile([0, 1], (20, 1))).argmax(axis=1)
    assert np.array_equal(found, old.table[1][new.table[0]])
    assert not np.array_equal(found, compose_facts(new, [0, 1]))


def parts(memory):
    return {name: getattr(memory, name) for name in ("codes", "relations", "hops", "gate_bias", "embeddings")}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"hops": [2, 1]}, TypeError, "hops must be a tuple of whole numbers, one a layer"),
        ({"hops": (1, 2)}, ValueError, "hops must be equal but for the last, which may be less"),
        ({"hops": (2, 1, 2)}, ValueError, "hops must be equal but for the last"),
        ({"hops": (2, 2)}, ValueError, "embeddings must be a matrix of shape 8 x 96; got"),
        ({"gate_bias": 0.1}, ValueError, "gate_bias must be at least 0.204124"),
        ({"codes": np.tile(np.eye(K)[0], (8, 1))}, ValueError, "coherence below 1 to be told apart; got 1"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, error, message):
    memory = built(8, 2, 3, 2)[1]
    with pytest.raises(error, match=message):
        DeepMemory(**(parts(memory) | changes))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: built(8, 2, 60, 2), "the subject vectors would hold"),
        (lambda: built(8, 2, 10**9, 10**9), "the lookups would hold 8.0e.09 numbers"),
        (lambda: built(8, 2, 3, 0), "layers must be at least 1; got 0"),
        (lambda: built(1, 2, 3, 1), "the number of entities must be at least 2; got 1"),
        (lambda: construct_deep(random_facts(40, 2), 2, 2, code_dimension=3), "coherence below 1"),
        (lambda: built(8, 2, 3, 2)[1].select(np.zeros((1, 144)), [[0, 1]], 2), "layer must be at most 1; got 2"),
    ],
)
def test_bad_sizes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
