"""The explicit construction built and asked: what ``fiedler recall --construct`` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fiedler.theory import (
    FactMemory,
    Facts,
    construct_memory,
    fact_storage,
    margin_bound,
    packing_dimension,
    random_facts,
    recall_margins,
    typical_coherence,
)
from fiedler.theory import code_dimension as least_code_dimension

from .planted import planted_accuracy

COHERENCE = 0.5  # of codes, where nothing else is asked for
LARGEST_PLANTED = 5e8  # numbers in the Transformer's activations, up to which it is built too
TRANSFER_SEED, CONTROL_SEED = 1_000_003, 2_000_003  # added to the seed: facts and embeddings of their own


def describe_construction(
    subjects: int,
    relations: int,
    *,
    attributes: int | None = None,
    code_dimension: int | None = None,
    dimension: int | None = None,
    coherence: float | None = None,
    seeds: int = 1,
    on_progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Build the memory for every seed and recall all its facts, new facts with the same perceptron, and, as control,
    with random subject vectors of the same length; ``transformer_accuracy``: of the same weights in the Transformer
    that is trained otherwise, on all its tokens (None where it is too large to build).

    ``code_dimension`` None: the least for which a union bound gives codes of ``coherence`` (None: 0.5). ``coherence``
    None for a ``code_dimension``: what random signs of that length reach. ``dimension`` None: one block a relation,
    R k. Means over seeds, the smallest margin, and every seed's own numbers; JSON-able. ``on_progress`` is told the
    fraction of seeds done. Raises ValueError for sizes out of range and for codes that cannot be found.
    """
    count = subjects if attributes is None else attributes
    if coherence is None:
        coherence = COHERENCE if code_dimension is None else typical_coherence(count, code_dimension)
    k = least_code_dimension(count, coherence) if code_dimension is None else code_dimension
    each = []
    for seed in range(seeds):
        each.append(ask_construction(subjects, relations, count, k, dimension, coherence, seed))
        if on_progress is not None:
            on_progress((seed + 1) / seeds)
    d, neurons = relations * k if dimension is None else dimension, 2 * relations * k
    margin = min(one["margin"] for one in each)
    storage = fact_storage(subjects, relations)
    packing = None
    if margin > 0 and count > 1:
        radius = relations**0.5 if dimension is None else float(relations)  # |e_s| of R unit vectors
        packing = packing_dimension(count, relations, margin=margin, radius=radius)
    return {
        "subjects": subjects,
        "relations": relations,
        "attributes": count,
        "code_dimension": k,
        "dimension": d,
        "neurons": neurons,
        "coherence": coherence,
        "accuracy": _mean(each, "accuracy"),
        "transfer_accuracy": _mean(each, "transfer_accuracy"),
        "random_control": _mean(each, "random_control"),
        "transformer_accuracy": None
        if each[0]["transformer_accuracy"] is None
        else _mean(each, "transformer_accuracy"),
        "chance": 1 / count,
        "margin": margin,
        "margin_bound": min(one["margin_bound"] for one in each),
        "facts": subjects * relations,
        "associative_parameters": storage.associative_parameters,
        "gate_parameters": neurons * (d + relations + 1 + k),
        "subject_parameters": subjects * d,
        "fact_bits": storage.fact_bits if count == subjects else relations * subjects * float(np.log2(count)),
        "least_dimension_packing": packing,
        "per_seed": each,
    }


def ask_construction(
    subjects: int, relations: int, attributes: int, k: int, dimension: int | None, coherence: float | None, seed: int
) -> dict[str, Any]:
    """The memory of one ``seed`` and what it recalls; the arguments of ``describe_construction``, ``k`` its code
    dimension."""
    if coherence is None:
        coherence = typical_coherence(attributes, k)
    memory = construct_memory(
        attributes, relations, code_dimension=k, dimension=dimension, coherence=coherence, seed=seed
    )
    facts = random_facts(subjects, relations, attributes=attributes, seed=seed)
    other = random_facts(subjects, relations, attributes=attributes, seed=seed + TRANSFER_SEED)
    margins = recall_margins(memory, facts)
    size = subjects * relations * (memory.dimension + memory.neurons)
    return {
        "seed": seed,
        "accuracy": float((margins > 0).mean()),
        "margin": float(margins.min()),
        "margin_bound": margin_bound(memory),
        "transfer_accuracy": float((recall_margins(memory, other) > 0).mean()),
        "random_control": _control(memory, facts, seed),
        "transformer_accuracy": planted_accuracy(memory, facts) if size <= LARGEST_PLANTED else None,
    }


def _control(memory: FactMemory, facts: Facts, seed: int) -> float:
    """Accuracy where every subject's vector is random, of the length that a sum of R codes has on average."""
    rng = np.random.default_rng(seed + CONTROL_SEED)
    vectors = rng.standard_normal((facts.subjects, memory.dimension)) * np.sqrt(memory.relations / memory.dimension)
    right = [
        (memory.logits(vectors, np.full(facts.subjects, r)).argmax(axis=1) == facts.table[r]).mean()
        for r in range(facts.relations)
    ]
    return float(np.mean(right))


def _mean(each: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([one[name] for one in each]))
