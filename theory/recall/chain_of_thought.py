"""K-hop questions with chain of thought: K passes of one memory, each answer written out and read again as a subject.

The dimension stays R k for any number of hops, and every word is answered where single facts are recalled: by
induction, a right answer is the subject of the next question. Source: arXiv 2605.12426, theorem 4.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .facts import Facts, Indices, check_entities, check_indices
from .margins import CHUNK
from .memory import FactMemory, check_memory


def chain_answers(memory: FactMemory, facts: Facts, words: ArrayLike, subjects: ArrayLike) -> Indices:
    """All K answers to each question: (m, K) int64, the last column the final ones.

    ``words`` (m, K): the relations r_1, ..., r_K, the first applied first; ``subjects`` (m,). Each pass takes the
    largest logit. Subjects and attributes must be one set of entities. Raises ValueError for facts that are not, or not
    of the memory's size, and for words and subjects out of range.
    """
    table = check_memory(memory).check_facts(check_entities(facts))
    current = check_indices(subjects, (None,), table.subjects, "subjects")
    asked = check_indices(words, (len(current), None), table.relations, "words")
    embeddings = memory.subject_embeddings(table)
    answers = np.empty(asked.shape, dtype=np.int64)
    step = max(1, CHUNK // (memory.neurons + memory.attributes))
    for hop in range(asked.shape[1]):
        for start in range(0, len(current), step):
            some = slice(start, start + step)
            answers[some, hop] = memory.logits(embeddings[current[some]], asked[some, hop]).argmax(axis=1)
        current = answers[:, hop]
    return answers
