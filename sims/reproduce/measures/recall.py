"""Constructions of factual recall, asked for every fact, their bounds, and the smallest dimension that memorises."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

from fiedler.theory import (
    chain_answers,
    code_dimension,
    compose_facts,
    construct_deep,
    construct_memory,
    construct_one_shot,
    multi_hop_bits,
    multi_hop_plan,
    one_shot_dimension_bound,
    packing_dimension,
    random_facts,
    recall_bits,
    recall_margins,
)

from ..cell import At

COHERENCE = 0.5


def construction(at: At, subjects: int, relations: int, code_length: int) -> dict[str, Any]:
    """The construction in blocks, of one seed: recall, margin, new facts, the same weights as a Transformer, random
    vectors; ``dimension`` over R log2 N."""
    from ...recall.built.constructed import ask_construction  # with torch, which a cell's key is known without

    found = ask_construction(subjects, relations, subjects, code_length, None, None, at.seed)
    return {**found, "per_log": float(code_length / np.log2(subjects))}


def several_hops(at: At, entities: int, relations: int, hops: int) -> dict[str, float]:
    """All words of K hops about all entities: the share right with chain of thought, in one layer, and in K layers,
    with the dimensions of the three."""
    facts, k = random_facts(entities, relations, seed=at.seed), code_dimension(entities, COHERENCE)
    how: dict[str, Any] = {"code_dimension": k, "coherence": COHERENCE, "seed": at.seed}
    words = np.array(list(itertools.product(range(relations), repeat=hops)))
    asked = np.repeat(words, entities, axis=0)
    subjects = np.tile(np.arange(entities), len(words))
    right = np.concatenate([compose_facts(facts, word) for word in words])
    memory = construct_memory(entities, relations, **how)
    chain = chain_answers(memory, facts, asked, subjects)[:, -1]
    once = construct_one_shot(entities, relations, hops, **how)
    vectors = once.subject_embeddings(facts)
    at_once = once.logits(vectors[subjects], asked).argmax(axis=1)
    deep = construct_deep(facts, hops, hops, **how)
    layered = deep.logits(deep.embeddings[subjects], asked).argmax(axis=1)
    return {
        "chain": float((chain == right).mean()),
        "one_layer": float((at_once == right).mean()),
        "layers": float((layered == right).mean()),
        "chain_dimension": float(memory.dimension / (relations * k)),
        "one_layer_dimension": float(once.dimension / (relations**hops * k)),
        "layers_dimension": float(deep.dimension / (relations * k)),
        "lookups": float(deep.lookup_neurons / ((hops - 1) * entities)),
    }


def bounds(at: At, entities: int, relations: int, hops: int) -> dict[str, float]:
    """Constructions over lower bounds: ``bits``: one-bit coordinates of the subject vectors over the facts' bits;
    ``packing``: dimension over the packing bound at its margin; ``hops``: R^K k over H(1), the bits of a subject's tree
    of answers; ``growth``: H(1) for K hops over that of one, in parts of R^(K-1)."""
    memory = construct_memory(
        entities, relations, code_dimension=code_dimension(entities, COHERENCE), coherence=COHERENCE
    )
    margin = float(recall_margins(memory, random_facts(entities, relations, seed=0)).min())
    packing = packing_dimension(entities, relations, margin=margin, radius=relations**0.5)
    plan = multi_hop_plan(entities, relations, hops, 1, chain_of_thought=False, coherence=COHERENCE)
    one, several = (multi_hop_bits(entities, relations, h) for h in (1, hops))
    return {
        "bits": entities * memory.dimension / recall_bits(entities, relations),
        "packing": memory.dimension / packing,
        "hops": plan.dimension / one_shot_dimension_bound(entities, relations, hops),
        "growth": several / one / relations ** (hops - 1),
    }


def growth(at: At, name: str, few: int, many: int, relations: int = 4) -> dict[str, float]:
    """The smallest dimension at which the construction ``name`` recalls everything, for ``few`` and ``many`` subjects,
    and the exponent between them."""
    from ...recall.scaling.construction import smallest_construction

    low, high = (smallest_construction(name, n, relations, at.seed).width for n in (few, many))
    return _exponent(low, high, few, many)


def trained_growth(at: At, name: str, few: int, many: int) -> dict[str, float]:
    """The same for trained models, ``name`` of ``recall.scaling.run.TRAINED``."""
    from ...recall.scaling.dimension import smallest_width
    from ...recall.scaling.presets import SCALING, TRAINED

    found = []
    for n in (few, many):
        settings = dataclasses.replace(SCALING, subjects=n, **TRAINED[name])
        found.append(smallest_width(settings, at.seed, stop=at.how.watch.stop).width)
    low, high = found
    return _exponent(low, high, few, many)


def _exponent(low: int | None, high: int | None, few: int, many: int) -> dict[str, float]:
    if low is None or high is None:
        raise RuntimeError(f"no dimension that was tried memorises {few if low is None else many} subjects")
    return {"low": low, "high": high, "exponent": float(np.log(high / low) / np.log(many / few))}
