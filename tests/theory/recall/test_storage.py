import math

import numpy as np
import pytest

from fiedler.theory import code_dimension, fact_storage, multi_hop_dimension

EXACT = 1e-12  # sums of a few logarithms


@pytest.mark.parametrize(("subjects", "relations"), [(1, 1), (2, 3), (10, 4), (30, 2)])
def test_counts_by_hand(subjects, relations):
    found = fact_storage(subjects, relations, coherence=0.4, bits_per_coordinate=2.0)
    assert found.fact_bits == pytest.approx(relations * math.log2(math.factorial(subjects)), rel=EXACT, abs=EXACT)
    assert found.associative_bits == pytest.approx(subjects * relations * math.log2(subjects), rel=EXACT)
    assert found.associative_parameters == subjects * relations
    k = found.code_dimension
    assert found.embedding_dimension == relations * k
    assert found.geometric_bits == subjects * relations * k * 2.0
    assert found.gate_neurons == 2 * relations * k
    assert found.gate_parameters == 2 * relations * k * (relations * k + relations + 1 + k)
    assert found.least_dimension == pytest.approx(found.fact_bits / (2.0 * subjects), rel=EXACT, abs=EXACT)


@pytest.mark.parametrize(("attributes", "coherence"), [(20, 0.5), (100, 0.5), (50, 0.3)])
def test_a_code_of_that_dimension_exists(attributes, coherence):
    # The union bound leaves a positive chance: some of these draws succeed. A quarter of it fails for all of them.
    k = code_dimension(attributes, coherence)
    assert attributes * (attributes - 1) * math.exp(-k * coherence**2 / 2) < 1
    assert attributes * (attributes - 1) * math.exp(-(k - 1) * coherence**2 / 2) >= 1

    def worst(dimension, seed):
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(attributes, dimension)) / np.sqrt(dimension)
        return np.abs(signs @ signs.T - np.eye(attributes)).max()

    assert min(worst(k, seed) for seed in range(20)) <= coherence
    assert min(worst(k // 4, seed) for seed in range(20)) > coherence


def test_the_construction_recalls_every_fact():
    # Built with nothing but numpy: embedding, gate and read-out of the module's docstring at the counted sizes.
    subjects, relations, coherence = 40, 3, 0.5
    counts = fact_storage(subjects, relations, coherence=coherence)
    rng = np.random.default_rng(3)
    k = counts.code_dimension
    codes = rng.choice([-1.0, 1.0], size=(subjects, k)) / np.sqrt(k)
    facts = np.array([rng.permutation(subjects) for _ in range(relations)])
    vectors = np.concatenate([codes[facts[r]] for r in range(relations)], axis=1)
    assert vectors.shape == (subjects, counts.embedding_dimension)
    for asked in range(relations):
        gate = np.repeat(np.arange(relations) == asked, k) - 1.0
        hidden = np.concatenate([np.maximum(vectors + gate, 0), np.maximum(-vectors + gate, 0)], axis=1)
        assert hidden.shape[1] == counts.gate_neurons
        half = relations * k
        out = (hidden[:, :half] - hidden[:, half:]).reshape(subjects, relations, k).sum(axis=1)
        logits = out @ codes.T
        right = logits[np.arange(subjects), facts[asked]]
        wrong = logits.copy()
        wrong[np.arange(subjects), facts[asked]] = -np.inf
        assert np.allclose(right, 1.0)
        assert wrong.max() <= coherence


def test_what_grows_with_what():
    small, large = fact_storage(100, 4), fact_storage(100_000, 4)
    assert large.associative_parameters == 1000 * small.associative_parameters
    assert large.gate_neurons < 3 * small.gate_neurons  # logarithmic
    assert large.geometric_bits / large.fact_bits < 40  # both N R log N
    assert multi_hop_dimension(100, 4, 3, chain_of_thought=True) == small.embedding_dimension
    assert multi_hop_dimension(100, 4, 3, chain_of_thought=False) == 16 * small.embedding_dimension
    assert multi_hop_dimension(100, 4, 1, chain_of_thought=False) == small.embedding_dimension


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fact_storage(0, 1), ValueError, "subjects must be at least 1; got 0"),
        (lambda: fact_storage(3, 1.5), TypeError, "relations must be a whole number; got 1.5"),
        (lambda: fact_storage(3, 1, bits_per_coordinate=0), ValueError, "bits_per_coordinate must be a positive"),
        (lambda: code_dimension(3, 1.0), ValueError, r"coherence must lie in \(0, 1\), .*; got 1.0"),
        (lambda: multi_hop_dimension(3, 1, 0, chain_of_thought=True), ValueError, "hops must be at least 1; got 0"),
    ],
)
def test_bad_counts_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_hops_whose_width_cannot_be_written_down_are_refused():
    with pytest.raises(ValueError, match="use fewer hops"):
        multi_hop_dimension(10, 3, 10**12, chain_of_thought=False)
    assert multi_hop_dimension(10, 3, 10**12, chain_of_thought=True) == 3 * code_dimension(10, 0.5)
    with pytest.raises(ValueError, match="an integer of about 400 digits"):
        code_dimension(10**399 * 5, 0.5)
