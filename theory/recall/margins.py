"""Margins of a geometric memory: measured for one table of facts, bounded for every table, and the table that is worst.

With G = <u_a, u_b> and the cross-talk T^{rq}_{bc} = <P_r u_b, P_q u_c>, the answer a to relation r beats b by

    1 - G_ab - sum_{q != r} (T^{rq}_{b,c_q} - T^{rq}_{a,c_q}),        c_q = g_q(s) the other answers of the subject.

The c_q of bijections are free of each other, so the least margin over all tables takes the worst c_q for each q.
Source: arXiv 2605.12426, theorem 4.1; the bounds are ours.
"""

from __future__ import annotations

import numpy as np

from ..checks import Array
from .facts import Facts, Indices
from .memory import FactMemory, check_memory, overlaps

CHUNK = 2**22  # numbers of neurons and logits at a time
MOST_TRIPLES = 2**33  # of attributes and pairs of relations that ``worst_facts`` looks at, about half a minute


def recall_margins(memory: FactMemory, facts: Facts) -> Array:
    """Logit of the right attribute minus the largest wrong one, for every fact, through the gate: (R, N).

    A fact is recalled where this is positive. ValueError unless the memory is for tables of that size.
    """
    embeddings = check_memory(memory).subject_embeddings(facts)
    margins = np.empty(facts.table.shape)
    step = max(1, CHUNK // (memory.neurons + memory.attributes))
    for r in range(memory.relations):
        for start in range(0, facts.subjects, step):
            some = slice(start, start + step)
            logits = memory.logits(embeddings[some], np.full(len(embeddings[some]), r))
            margins[r, some] = answer_margins(logits, facts.table[r, some])
    return margins


def answer_margins(logits: Array, answers: Indices) -> Array:
    """logits[i, answers[i]] minus the largest other one of row i: (n,)."""
    rows, wrong = np.arange(len(logits)), logits.copy()
    wrong[rows, answers] = -np.inf
    return np.asarray(logits[rows, answers] - wrong.max(axis=1))


def margin_bound(memory: FactMemory) -> float:
    """A number that no margin of no table of facts falls below, in O(R^2 A^2 k):

        min_{r, a != b} [ 1 - G_ab - sum_{q != r} (max_c T^{rq}_{bc} - min_c T^{rq}_{ac}) ].

    In blocks T is zero and this is 1 - coherence, which is attained. Otherwise the largest and the least are taken
    apart, which costs up to a factor of two in the cross-talk; ``worst_facts`` attains the least margin.
    """
    codes = check_memory(memory).codes
    a = len(codes)
    bound = np.inf
    step = max(1, CHUNK // a)
    for r in range(memory.relations):
        highest, lowest = np.zeros(a), np.zeros(a)
        for _, overlap in _others(memory, r):
            for start in range(0, a, step):
                talk = codes[start : start + step] @ overlap @ codes.T
                highest[start : start + step] += talk.max(axis=1)
                lowest[start : start + step] += talk.min(axis=1)
        for start in range(0, a, step):
            margins = 1 - codes[start : start + step] @ codes.T - highest + lowest[start : start + step, None]
            rows = np.arange(len(margins))
            margins[rows, start + rows] = np.inf
            bound = min(bound, float(margins.min()))
    return bound


def worst_facts(memory: FactMemory) -> Facts:
    """Bijections (N = A) at whose subject 0 the least margin over all tables is attained, found exactly.

    ``recall_margins(memory, worst_facts(memory)).min()`` is then the memory's guaranteed margin. Other tables of A
    attributes do no worse. Costs R (R - 1) A^3; raises ValueError above MOST_TRIPLES, about 1,000 attributes at three
    relations.
    """
    codes, relations = check_memory(memory).codes, memory.relations
    a = len(codes)
    if float(relations) * max(1, relations - 1) * a**3 > MOST_TRIPLES:
        raise ValueError(
            f"the worst facts of {a} attributes and {relations} relations take too long to find; use margin_bound"
        )
    least, where = np.inf, (0, 0, 0)
    for r in range(relations):
        talks = [codes @ overlap @ codes.T for _, overlap in _others(memory, r)]
        for right in range(a):
            margins = 1 - codes @ codes[right]
            margins[right] = np.inf
            for talk in talks:
                margins -= (talk - talk[right]).max(axis=1)
            if margins.min() < least:
                least, where = margins.min(), (r, right, int(margins.argmin()))
    return _facts_at(memory, *where)


def _facts_at(memory: FactMemory, r: int, right: int, wrong: int) -> Facts:
    """Subject 0 answers ``right`` to r, and to the others what helps ``wrong`` most; the rest of each row is filled."""
    codes = memory.codes
    first = np.zeros(memory.relations, dtype=np.int64)
    first[r] = right
    for q, overlap in _others(memory, r):
        first[q] = np.argmax((codes[wrong] - codes[right]) @ overlap @ codes.T)
    table = np.tile(np.arange(len(codes)), (memory.relations, 1))
    table[np.arange(len(first)), first] = 0
    table[:, 0] = first
    return Facts(table, len(codes))


def _others(memory: FactMemory, r: int) -> list[tuple[int, Array]]:
    """P_r' P_q for the q != r whose overlap with r is not zero."""
    return [(q, part) for q, part in enumerate(overlaps(memory.projections, r)) if q != r and part.any()]
