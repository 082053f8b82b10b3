import itertools

import numpy as np
import pytest

from fiedler.theory import (
    FactMemory,
    Facts,
    circle_codes,
    construct_memory,
    memory_from_codes,
    random_facts,
    sign_codes,
)

EXACT = 1e-12  # rounding of sums of a few hundred numbers of order one
# Attributes, relations, code dimension, dimension (None: blocks), coherence: all of these recall every fact.
RECALLED = [
    (2, 1, 1, None, -1.0),
    (5, 3, 8, None, 0.5),
    (40, 4, 32, None, 0.5),
    (200, 2, 40, None, None),
    (40, 1, 32, 50, 0.5),
    (30, 3, 32, 500, 0.5),
]


def built(attributes, relations, k, dimension, coherence, seed=0):
    return construct_memory(
        attributes, relations, code_dimension=k, dimension=dimension, coherence=coherence, seed=seed
    )


def all_questions(facts):
    """Subjects, relations and answers of every question, by plain loops."""
    questions = itertools.product(range(facts.subjects), range(facts.relations))
    return np.array([(s, r, facts.table[r, s]) for s, r in questions]).T


@pytest.mark.parametrize("sizes", RECALLED)
def test_every_fact_is_recalled_and_new_facts_by_the_same_memory(sizes):
    memory = built(*sizes)
    for seed in range(3):
        facts = random_facts(sizes[0], sizes[1], seed=seed)
        subjects, relations, answers = all_questions(facts)
        logits = memory.logits(memory.subject_embeddings(facts)[subjects], relations)
        assert logits.shape == (len(subjects), sizes[0])
        assert np.array_equal(logits.argmax(axis=1), answers)


def test_more_subjects_than_attributes():
    memory = built(7, 3, 16, None, 0.5)
    facts = random_facts(50, 3, attributes=7, seed=1)
    subjects, relations, answers = all_questions(facts)
    assert np.array_equal(memory.logits(memory.subject_embeddings(facts)[subjects], relations).argmax(1), answers)
    constant = Facts(np.zeros((3, 5), dtype=int), 7)
    assert (memory.logits(memory.subject_embeddings(constant), np.full(5, 2)).argmax(axis=1) == 0).all()


@pytest.mark.parametrize("dimension", [None, 30])
def test_embedding_gate_and_output_by_plain_loops(dimension):
    memory = built(6, 3, 8, dimension, None, seed=2)
    facts = random_facts(6, 3, seed=1)
    d = memory.dimension
    assert (memory.attributes, memory.relations, memory.code_dimension, memory.neurons) == (6, 3, 8, 48)
    assert d == (dimension or 24)
    embeddings = memory.subject_embeddings(facts)
    for s in range(6):
        expected = sum(memory.projections[r] @ memory.codes[facts.table[r, s]] for r in range(3))
        assert embeddings[s] == pytest.approx(expected, abs=EXACT)
        for asked in range(3):
            neurons = memory.gate(embeddings[[s]], [asked])[0].reshape(2, 3, 8)
            for r, i in itertools.product(range(3), range(8)):
                value = memory.projections[r][:, i] @ expected
                closed = memory.gate_bias * (r != asked)
                assert neurons[0, r, i] == pytest.approx(max(value - closed, 0), abs=EXACT)
                assert neurons[1, r, i] == pytest.approx(max(-value - closed, 0), abs=EXACT)
                assert r == asked or neurons[0, r, i] == neurons[1, r, i] == 0  # shut, exactly
            output = memory.outputs(embeddings[[s]], [asked])[0]
            assert output == pytest.approx(memory.projections[asked].T @ expected, abs=EXACT)
            assert memory.logits(embeddings[[s]], [asked])[0] == pytest.approx(memory.codes @ output, abs=EXACT)


@pytest.mark.parametrize("sizes", RECALLED)
def test_the_same_as_a_plain_perceptron(sizes):
    memory = built(*sizes, seed=1)
    w_in, bias, w_out = memory.weights()
    r, k, d = memory.relations, memory.code_dimension, memory.dimension
    assert (w_in.shape, bias.shape, w_out.shape) == ((2 * r * k, d + r), (2 * r * k,), (k, 2 * r * k))
    rng = np.random.default_rng(0)
    embeddings = memory.subject_embeddings(random_facts(memory.attributes, r))
    embeddings = np.concatenate([embeddings, rng.standard_normal(embeddings.shape)])  # any others as well
    relations = rng.integers(0, r, len(embeddings))
    inputs = np.hstack([embeddings, np.eye(r)[relations]])
    outputs = np.maximum(inputs @ w_in.T + bias, 0) @ w_out.T
    assert np.allclose(outputs, memory.outputs(embeddings, relations), rtol=0, atol=EXACT * memory.gate_bias * 10)


def test_in_blocks_the_output_is_the_code_itself():
    memory = built(50, 4, 24, None, None)
    facts = random_facts(50, 4)
    embeddings = memory.subject_embeddings(facts)
    assert memory.gate_bias == pytest.approx(1 / np.sqrt(24), rel=1e-8)
    for r in range(4):
        assert np.array_equal(memory.outputs(embeddings, np.full(50, r)), memory.codes[facts.table[r]])


@pytest.mark.parametrize("dimension", [10, 16, 40])
def test_the_gate_stays_shut_for_every_table(dimension):
    # All 5^3 tuples of answers, so every subject vector of every table. The least bias is near what they need.
    memory = built(5, 3, 8, dimension, None, seed=3)
    tuples = Facts(np.array(list(itertools.product(range(5), repeat=3))).T, 5)
    parts = np.abs(np.einsum("rdk,nd->nrk", memory.projections, memory.subject_embeddings(tuples)))
    assert parts.max() <= memory.gate_bias
    assert parts.max() > 0.8 * memory.gate_bias
    with pytest.raises(ValueError, match="gate_bias must be at least"):
        FactMemory(memory.codes, memory.projections, 0.99 * memory.gate_bias)


def test_a_rotation_of_the_subject_space_changes_nothing():
    memory = built(20, 3, 16, 60, None)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((60, 60)))[0]
    turned = FactMemory(memory.codes, rotation @ memory.projections, memory.gate_bias)
    facts = random_facts(20, 3)
    relations = np.arange(20) % 3
    assert np.allclose(turned.subject_embeddings(facts), memory.subject_embeddings(facts) @ rotation.T, atol=EXACT)
    assert np.allclose(
        turned.logits(turned.subject_embeddings(facts), relations),
        memory.logits(memory.subject_embeddings(facts), relations),
        rtol=0,
        atol=EXACT,
    )


def test_names_do_not_matter():
    memory = built(12, 2, 16, 40, None)
    facts = random_facts(12, 2)
    rng = np.random.default_rng(2)
    subjects, attributes = rng.permutation(12), rng.permutation(12)
    renamed = FactMemory(memory.codes[attributes], memory.projections, memory.gate_bias)
    # New name b of attribute attributes[b]; new name t of subject subjects[t].
    table = Facts(np.argsort(attributes)[facts.table[:, subjects]], 12)
    assert np.array_equal(renamed.subject_embeddings(table), memory.subject_embeddings(facts)[subjects])
    logits = renamed.logits(renamed.subject_embeddings(table), np.ones(12, dtype=int))
    same = memory.logits(memory.subject_embeddings(facts), np.ones(12, dtype=int))[subjects][:, attributes]
    assert np.allclose(logits, same, rtol=0, atol=EXACT)


def test_random_projections_are_uniform():
    # First and second moments of uniform orthonormal columns; without the QR's sign fix the mean is far from zero.
    draws = np.concatenate([built(2, 10, 2, 5, None, seed=seed).projections for seed in range(100)])
    assert np.allclose(draws.transpose(0, 2, 1) @ draws, np.eye(2), atol=EXACT)
    assert np.abs(draws.mean(axis=0)).max() < 4.5 / np.sqrt(5 * len(draws))
    second = np.einsum("nik,njk->ij", draws, draws) / len(draws)
    assert np.abs(second - 2 / 5 * np.eye(5)).max() < 0.06  # 4.5 standard deviations of 1,000 draws
    assert np.abs((draws[1:, :, 0] * draws[:-1, :, 1]).sum(axis=1).mean()) < 4.5 / np.sqrt(5 * len(draws))


def test_two_dimensions_recall_on_the_circle():
    memory = memory_from_codes(circle_codes(100), 3)
    assert memory.dimension == 6
    for seed in range(2):
        facts = random_facts(100, 3, seed=seed)
        for r in range(3):
            logits = memory.logits(memory.subject_embeddings(facts), np.full(100, r))
            assert np.array_equal(logits.argmax(axis=1), facts.table[r])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: built(4, 2, 8, 7, None), ValueError, "dimension must be at least the codes' 8; got 7"),
        (lambda: built(1, 2, 8, None, None), ValueError, "attributes must be at least 2; got 1"),
        (lambda: built(10**4, 4000, 100, None, None), ValueError, "the projections would hold 1.6e.11 numbers"),
        (lambda: memory_from_codes(2 * sign_codes(4, 8), 2), ValueError, "codes must have rows of length one"),
        (lambda: FactMemory(np.eye(2), np.ones((1, 3, 2)), 5.0), ValueError, "projections must have orthonormal col"),
        (lambda: FactMemory(np.eye(2), np.eye(3)[None], 5.0), ValueError, r"shape \(relations, dimension, 2\); got"),
        (lambda: FactMemory(np.eye(2), np.eye(2)[None], 0.5), ValueError, "gate_bias must be at least 1 to shut"),
        (
            lambda: built(4, 2, 8, None, None).subject_embeddings(random_facts(5, 2)),
            ValueError,
            "the memory is for 2 relations and 4 attributes; facts has 2 and 5; construct",
        ),
        (
            lambda: built(4, 2, 8, None, None).logits(np.zeros((3, 16)), [0, 2, 0]),
            ValueError,
            "relations must hold whole numbers from 0 to 1",
        ),
        (
            lambda: built(4, 2, 8, None, None).gate(np.zeros((3, 15)), [0] * 3),
            ValueError,
            "embeddings must be a matrix",
        ),
        (lambda: built(4, 2, 8, None, None).gate(np.zeros((3, 16)), [0] * 2), ValueError, r"shape \(3,\); got \(2,\)"),
    ],
)
def test_bad_memories_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
