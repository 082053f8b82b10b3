"""What K-hop questions cost: the trade-off between the capacity of subject vectors, depth, and written-out steps.

    chain of thought   every intermediate answer is written out and read again: one gate, K passes, d = R k
    one layer          one block for each word of K relations: d = R^K k, 2 R^K k neurons
    L layers           layers of h = ceil(K / L) hops: d = R^h k, and N lookup neurons between two layers, which turn an
                       answer's code into that entity's vector, and so hold the facts in the weights

If h does not divide K, the last layer has fewer hops and the vectors hold the blocks of those shorter words too.
k is ``code_dimension`` for the coherence. Counts are exact integers, of these constructions, and so upper bounds;
``recall.hop_bounds`` has lower ones. Source: arXiv 2605.12426, theorems 4.3 and 4.4 (orders of growth).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from ..checks import check_flag, check_whole_number
from .storage import MOST_BITS, code_dimension


@dataclass(frozen=True)
class MultiHopPlan:
    """Counts for one way to answer K-hop questions.

    ``layers`` in use, each of ``hops_per_layer`` h hops but for the last, of ``last_hops``. ``passes`` through them for
    one answer. ``code_dimension`` k; ``dimension`` of a subject vector; ``selector_neurons`` and ``lookup_neurons`` of
    all layers; ``parameters`` of both (dense; inputs, a bias and outputs a neuron), without the N subject vectors.
    """

    layers: int
    hops_per_layer: int
    last_hops: int
    passes: int
    code_dimension: int
    dimension: int
    selector_neurons: int
    lookup_neurons: int
    parameters: int


def multi_hop_plan(
    entities: int, relations: int, hops: int, layers: int, *, chain_of_thought: bool, coherence: float = 0.5
) -> MultiHopPlan:
    """The counts for N ``entities``, R ``relations``, K ``hops`` and at most ``layers`` L; see the module.

    With chain of thought one layer is used, whatever L. ``dimension`` at L = 1 is ``multi_hop_dimension``. Raises
    ValueError for counts below one, a coherence outside (0, 1), and an R^h that cannot be written down.
    """
    n, r = check_whole_number(entities, "entities", 1), check_whole_number(relations, "relations", 1)
    total, depth = check_whole_number(hops, "hops", 1), check_whole_number(layers, "layers", 1)
    k = code_dimension(n, coherence)
    chain = check_flag(chain_of_thought, "chain_of_thought")
    h, full, last = split_hops(1, 1) if chain else split_hops(total, depth)
    if h * log2(r) > MOST_BITS:
        raise ValueError(
            f"relations^hops has {h * log2(r):.1e} bits in a layer, above {MOST_BITS}; use fewer hops or more layers"
        )
    each, end = 2 * r**h * k, 2 * r**last * k
    d = (each if h == last else each + end) // 2
    selectors = full * each * (d + h * r + 1 + k) + end * (d + last * r + 1 + k)
    return MultiHopPlan(
        layers=full + 1,
        hops_per_layer=h,
        last_hops=last,
        passes=total if chain else 1,
        code_dimension=k,
        dimension=d,
        selector_neurons=full * each + end,
        lookup_neurons=full * n,
        parameters=selectors + full * n * (k + 1 + d),
    )


def split_hops(hops: int, layers: int) -> tuple[int, int, int]:
    """(h, f, l): f layers of h = ceil(K / L) hops and one last of 1 <= l <= h, f h + l = K and f + 1 <= L."""
    h = -(-hops // layers)
    full = -(-hops // h) - 1
    return h, full, hops - full * h
