"""K-hop questions in one pass: the geometric memory with one block for each word of K relations.

e_s holds the codes of all R^K composed answers g_{r_K}(... g_{r_1}(s)); the gate opens the block whose word is asked.
d = R^K k and 2 R^K k neurons, exponential in the hops, and the gate still knows nothing of the facts.
Source: arXiv 2605.12426, theorem 4.4 (order of growth without chain of thought); the constants are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_matrix, check_whole_number
from .codes import sign_codes
from .facts import Facts, Indices, check_entities, check_indices, check_memory_size
from .gate import check_gate_bias, gate_activations, gate_output, gate_weights, words_of
from .memory import BIAS_SLACK, check_codes


@dataclass(frozen=True, eq=False)
class OneShotMemory:
    """``codes`` (N, k): unit rows of the entities. ``relations`` R, ``hops`` K. ``gate_bias`` B >= max |(u_a)_i|.

    Words are ordered as in counting, the last relation fastest. Raises TypeError or ValueError where a condition fails,
    and for more than LARGEST_MEMORY numbers in the subject vectors.
    """

    codes: Array
    relations: int
    hops: int
    gate_bias: float

    def __post_init__(self) -> None:
        codes = check_codes(self.codes)
        bias = check_gate_bias(self.gate_bias, float(np.abs(codes).max()))
        r, hops = check_whole_number(self.relations, "relations", 1), check_whole_number(self.hops, "hops", 1)
        check_word_count(r, hops, codes.size)
        for name, value in (("codes", codes), ("relations", r), ("hops", hops), ("gate_bias", bias)):
            object.__setattr__(self, name, value)

    @property
    def dimension(self) -> int:
        """d = R^K k."""
        return self.relations**self.hops * self.codes.shape[1]

    @property
    def neurons(self) -> int:
        """2 R^K k."""
        return 2 * self.dimension

    def subject_embeddings(self, facts: Facts) -> Array:
        """The codes of all composed answers, block by block: (N, R^K k)."""
        return composed_codes(self.codes, check_entity_facts(facts, self.relations, len(self.codes)), self.hops)

    def logits(self, embeddings: ArrayLike, words: ArrayLike) -> Array:
        """<u_a, o>, (n, N), for subject vectors (n, d) and ``words`` (n, K), the first relation first."""
        e = check_matrix(embeddings, (None, self.dimension), "embeddings")
        asked = check_indices(words, (len(e), self.hops), self.relations, "words")
        k = self.codes.shape[1]
        neurons = gate_activations(e.reshape(len(e), -1, k), self._words(), asked, self.gate_bias)
        return gate_output(neurons, k) @ self.codes.T

    def weights(self) -> tuple[Array, Array, Array]:
        """W_in (2 R^K k, d + K R), bias (2 R^K k,), W_out (k, 2 R^K k): o = W_out ReLU(W_in [e, onehot(r_1), ...,
        onehot(r_K)] + bias). Raises ValueError above LARGEST_MEMORY numbers."""
        check_memory_size(2.0 * self.dimension**2, "the gate's weights")
        return gate_weights(np.eye(self.dimension), self._words(), self.relations, self.gate_bias)

    def _words(self) -> Indices:
        return words_of(self.relations, self.hops)


def construct_one_shot(
    entities: int, relations: int, hops: int, *, code_dimension: int, coherence: float | None = None, seed: int = 0
) -> OneShotMemory:
    """An ``OneShotMemory`` with ``sign_codes`` of N = ``entities`` >= 2 in R^k, at most ``coherence``.

    It serves every table of bijections (every map of entities) with a margin of one minus the codes' coherence or more.
    Errors as ``sign_codes``.
    """
    n, k = check_whole_number(entities, "entities", 2), check_whole_number(code_dimension, "code_dimension", 1)
    r, depth = check_whole_number(relations, "relations", 1), check_whole_number(hops, "hops", 1)
    check_word_count(r, depth, n * k)
    codes = sign_codes(n, k, coherence=coherence, seed=seed)
    return OneShotMemory(codes, r, depth, float(np.abs(codes).max()) * (1 + BIAS_SLACK))


def composed_codes(codes: Array, facts: Facts, hops: int) -> Array:
    """The codes of g_w(s) for all words w of ``hops`` relations: (N, R^hops k)."""
    answers = np.arange(facts.subjects)[None, :]
    for _ in range(hops):  # words by subjects: each word is followed by every relation
        answers = facts.table[:, answers].swapaxes(0, 1).reshape(-1, facts.subjects)
    return codes[answers.T].reshape(facts.subjects, -1)


def check_entity_facts(facts: object, relations: int, entities: int) -> Facts:
    """``facts`` if they are maps of that many entities by that many relations; ValueError otherwise."""
    checked = check_entities(facts)
    if (checked.relations, checked.subjects) != (relations, entities):
        raise ValueError(
            f"the memory is for {relations} relations and {entities} entities; facts has {checked.relations} and "
            f"{checked.subjects}; construct a memory of that size"
        )
    return checked


def check_word_count(relations: int, hops: int, numbers: int) -> None:
    """ValueError where R^K times ``numbers``, the subject vectors, are more than LARGEST_MEMORY, or K is absurd."""
    bits = hops * log2(relations) + log2(numbers)
    check_memory_size(2.0**bits if bits < 1000 else 2.0**1000, "the subject vectors")
    check_memory_size(float(hops) * 2.0 ** (hops * log2(relations)), "the words")
