"""What it takes to store facts (subject, relation -> attribute): R random bijections from N subjects to N attributes.

Associative: a table, linear in the number of facts N R. Geometric: attribute codes u_a in R^k with |<u_a, u_b>| <= eps,
subject vectors e_s = sum_r P_r u_{g_r(s)} in R^{R k} (one block of k coordinates a relation), and a gate of 2 R k ReLU
neurons, the same for all bijections, that lets the asked relation's block through. The logits <u_a, o> are then one for
the right attribute and at most eps for the others. Facts are counted in bits by the number of bijections, (N!)^R.

Random sign codes exist whenever N (N - 1) exp(-k eps^2 / 2) < 1 (Hoeffding and a union over pairs and signs); the codes
are a choice, not stored: a subject's vector is what is stored, R k coordinates.
Source: arXiv 2605.12426, theorems 4.1-4.4 for the orders of growth; the construction's constants are worked out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, lgamma, log, log2

from ..checks import check_flag, check_positive, check_real, check_whole_number, shown

MOST_BITS = 10_000  # of a width: more is a mistyped number of hops
SMALLEST_COHERENCE = 1e-100  # its square stays in float64


@dataclass(frozen=True)
class FactStorage:
    """Counts for N ``subjects`` and R ``relations``.

    ``fact_bits``: R log2(N!), the least that any memory holds. ``associative_bits``: N R log2 N; one entry a fact,
    ``associative_parameters`` = N R. ``code_dimension`` k and ``embedding_dimension`` R k of the geometric memory;
    ``gate_neurons`` 2 R k and ``gate_parameters`` (dense: R k + R inputs, a bias and k outputs a neuron), both free of
    N but for k. ``geometric_bits``: N R k ``bits_per_coordinate``. ``least_dimension``: fact_bits / (N bits), below
    which no subject vectors of that precision can hold the facts, whatever else is shared.
    """

    subjects: int
    relations: int
    bits_per_coordinate: float
    fact_bits: float
    associative_bits: float
    associative_parameters: int
    code_dimension: int
    embedding_dimension: int
    gate_neurons: int
    gate_parameters: int
    geometric_bits: float
    least_dimension: float


def code_dimension(attributes: int, coherence: float) -> int:
    """The least k for which the union bound gives N sign vectors in R^k, scaled to length one, with all |<u_a, u_b>| at
    most ``coherence``: N (N - 1) exp(-k eps^2 / 2) < 1. Raises ValueError unless N >= 1 and 0 < coherence < 1."""
    n = check_whole_number(attributes, "attributes", 1)
    eps = check_real(coherence, "coherence")
    if not SMALLEST_COHERENCE <= eps < 1:
        raise ValueError(f"coherence must lie in (0, 1), from {SMALLEST_COHERENCE:.0e}; got {shown(coherence)}")
    return 1 if n == 1 else floor(2 * log(n * (n - 1)) / eps**2) + 1


def fact_storage(
    subjects: int, relations: int, *, coherence: float = 0.5, bits_per_coordinate: float = 1.0
) -> FactStorage:
    """The counts for R bijections of N; see the module. ``coherence``: largest logit of a wrong attribute, eps.

    ``bits_per_coordinate``: precision at which a subject vector's coordinates are held; one is enough for sign codes.
    Raises TypeError or ValueError for counts that are no whole numbers >= 1, or numbers out of range.
    """
    n, r = check_whole_number(subjects, "subjects", 1), check_whole_number(relations, "relations", 1)
    bits = check_positive(bits_per_coordinate, "bits_per_coordinate")
    k = code_dimension(n, coherence)
    dimension, neurons = r * k, 2 * r * k
    facts = r * lgamma(n + 1) / log(2)
    return FactStorage(
        n,
        r,
        bits,
        facts,
        n * r * log2(n),
        n * r,
        k,
        dimension,
        neurons,
        neurons * (dimension + r + 1 + k),
        n * dimension * bits,
        facts / (n * bits),
    )


def multi_hop_dimension(
    attributes: int, relations: int, hops: int, *, chain_of_thought: bool, coherence: float = 0.5
) -> int:
    """Width of the subject vectors that answers K-hop questions g_{r_K}(... g_{r_1}(s)): R k when every intermediate
    answer is written out and read again; without that, R^K k, one block for each composed relation.

    An upper bound by construction, not a lower bound. Raises as ``fact_storage``. Source: arXiv 2605.12426, theorems
    4.3 and 4.4 (orders of growth).
    """
    r, depth = check_whole_number(relations, "relations", 1), check_whole_number(hops, "hops", 1)
    k = code_dimension(attributes, coherence)
    if check_flag(chain_of_thought, "chain_of_thought"):
        return r * k
    if depth * log2(r) > MOST_BITS:
        raise ValueError(f"relations^hops has {depth * log2(r):.1e} bits, above {MOST_BITS}; use fewer hops")
    return r**depth * k
