"""The smallest dimension at which a construction recalls every fact, measured by building it.

blocks: the geometric memory with d = R k, one block of k coordinates a relation. rotations: the same memory with k = d,
each relation's codes turned by a random rotation of the whole space. associative: random subject embeddings and one
d x d matrix a relation. Codes are random signs, drawn anew for every dimension.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from fiedler.theory import Facts, construct_associative, construct_memory, random_facts, recall_margins

from ...models.streams import Stream
from ...suggest import choose
from .dimension import SMALLEST, SmallestWidth, Trial, search_width, width_grid

CONSTRUCTIONS = ("blocks", "rotations", "associative")
LARGEST = 1024  # dimension of rotations and associative memories that is tried
LONGEST_CODE = 64  # of blocks: two of 10^9 codes agree with probability below 0.03
MARGIN = 1e-9  # above the rounding of float64, below the least margin of different codes, 2/k


def smallest_construction(
    name: str, subjects: int, relations: int, seed: int, *, lower: Sequence[float] = ()
) -> SmallestWidth:
    """The smallest dimension at which the construction ``name`` recalls all of ``random_facts(N, R)`` of ``seed``.

    blocks: every k = 1, 2, ... in turn; else by bisection over ``width_grid``, of ``lower`` accuracies too, as
    ``search_width`` does. Raises ValueError for another name.
    """
    if name not in CONSTRUCTIONS:
        raise ValueError(f"unknown construction {name!r}; {choose(name, CONSTRUCTIONS)}")
    facts = random_facts(subjects, relations, seed=seed)
    if name != "blocks":
        widths = width_grid(SMALLEST, LARGEST)
        return search_width(lambda width: _build(name, facts, width, seed), widths, 1.0, lower=lower)
    began, tried = time.perf_counter(), []
    for k in range(1, LONGEST_CODE + 1):
        tried.append(_build(name, facts, k, seed))
        if tried[-1].accuracy == 1.0:
            return SmallestWidth(relations * k, tuple(tried), time.perf_counter() - began)
    return SmallestWidth(None, tuple(tried), time.perf_counter() - began)


def _build(name: str, facts: Facts, width: int, seed: int) -> Trial:
    """``width``: d, or k of blocks."""
    drawn = int(np.random.SeedSequence((seed, width, Stream.RECALL_INTERVENTIONS_AND_CODES)).generate_state(1)[0])
    if name == "associative":
        margins = construct_associative(facts, dimension=width, code_dimension=width, seed=drawn).margins(facts)
        return Trial(width, float((margins > MARGIN).mean()), 0)
    given = None if name == "blocks" else width
    memory = construct_memory(facts.attributes, facts.relations, code_dimension=width, dimension=given, seed=drawn)
    return Trial(memory.dimension, float((recall_margins(memory, facts) > MARGIN).mean()), 0)
