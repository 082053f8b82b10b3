"""The associative memory of facts: frozen random subject vectors, and one matrix a relation that holds the table.

    e_s uniformly random of length one in R^d      W_r = sum_s u_{g_r(s)} e_s' in R^{k x d}      logits <u_a, W_r e_s>

Here the matrices know the facts, R k d numbers that must grow with them, where the geometric memory keeps its gate and
changes the vectors. The other subjects interfere with a variance of about 2 N / (k d), so d = k of the order of
sqrt(N log N) are needed, against R k = O(R log N). Source: arXiv 2412.06538 (capacity d k up to logarithms), and
2605.12426 for the comparison; the constant is worked out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_array, check_matrix, check_number, check_whole_number, shown
from .codes import agree_at_most, sign_codes
from .facts import EMBEDDINGS_STREAM, Facts, check_facts, check_indices, check_memory_size, generator
from .margins import answer_margins

COLLISIONS = 256  # bins of the inner product of two codes, each counted at its worst end
RATES = np.geomspace(1e-9, 0.999, 400)  # of the exponent in Chernoff's bound, against the largest that is allowed


@dataclass(frozen=True, eq=False)
class AssociativeMemory:
    """``codes`` (A, k) of attributes, frozen ``embeddings`` (N, d) of subjects, ``matrices`` W_r (R, k, d); float64.

    Raises ValueError for shapes that do not fit each other. ``construct_associative`` makes one.
    """

    codes: Array
    embeddings: Array
    matrices: Array

    def __post_init__(self) -> None:
        codes, embeddings = (check_matrix(getattr(self, n), (None, None), n) for n in ("codes", "embeddings"))
        matrices = check_array(self.matrices, "matrices")
        fits = matrices.ndim == 3 and matrices.shape[1:] == (codes.shape[1], embeddings.shape[1])
        if not (fits and matrices.size and codes.size and embeddings.size):
            raise ValueError(
                "matrices must have shape (relations, code dimension, dimension) and nothing be empty; got "
                f"{matrices.shape} with codes {codes.shape} and embeddings {embeddings.shape}"
            )
        for name, value in (("codes", codes), ("embeddings", embeddings), ("matrices", matrices)):
            object.__setattr__(self, name, value)

    @property
    def parameters(self) -> int:
        """R k d, of the matrices: what holds the facts."""
        return self.matrices.size

    def logits(self, embeddings: ArrayLike, relations: ArrayLike) -> Array:
        """<u_a, W_r e>: (n, A) for subject vectors (n, d) and the asked ``relations`` (n,)."""
        e = check_matrix(embeddings, (None, self.matrices.shape[2]), "embeddings")
        asked = check_indices(relations, (len(e),), len(self.matrices), "relations")
        outputs = np.empty((len(e), self.codes.shape[1]))
        for r, matrix in enumerate(self.matrices):
            outputs[asked == r] = e[asked == r] @ matrix.T
        return outputs @ self.codes.T

    def margins(self, facts: Facts) -> Array:
        """Logit of the right attribute minus the largest wrong one, for every fact: (R, N).

        ValueError unless ``facts`` has the subjects, relations and attributes that the memory was made for.
        """
        have = (check_facts(facts).relations, facts.subjects, facts.attributes)
        want = (len(self.matrices), len(self.embeddings), len(self.codes))
        if have != want or facts.attributes < 2:
            raise ValueError(
                f"facts has (relations, subjects, attributes) = {have}, the memory {want}; use the facts it was made "
                "for, of two attributes or more"
            )
        asked = (self.logits(self.embeddings, np.full(facts.subjects, r)) for r in range(facts.relations))
        return np.stack([answer_margins(logits, row) for logits, row in zip(asked, facts.table, strict=True)])


def construct_associative(facts: Facts, *, dimension: int, code_dimension: int, seed: int = 0) -> AssociativeMemory:
    """W_r for these ``facts``: codes from ``sign_codes`` in R^k, Gaussian subject vectors in R^d scaled to length one.

    Subject vectors come from ``numpy.random.default_rng([seed, 4])``. Raises ValueError for arrays of more than
    LARGEST_MEMORY numbers. Source: arXiv 2412.06538, the linear associative memory.
    """
    n, a, r = check_facts(facts).subjects, facts.attributes, facts.relations
    d, k = check_whole_number(dimension, "dimension", 1), check_whole_number(code_dimension, "code_dimension", 1)
    check_memory_size(float(n) * d, "the subject vectors")
    check_memory_size(float(r) * d * k, "the matrices")
    codes = sign_codes(a, k, seed=seed)
    embeddings = generator(seed, EMBEDDINGS_STREAM).standard_normal((n, d))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return AssociativeMemory(codes, embeddings, np.stack([codes[row].T @ embeddings for row in facts.table]))


def associative_dimension(subjects: int, attributes: int, *, relations: int = 1, failure: float = 0.01) -> int:
    """d = k at which the memory recalls every fact with probability at least 1 - ``failure``, by the bound below; with
    one dimension less the bound does not say so. For A = N it grows like 2 sqrt(N log(N^2 R / failure)); with few
    attributes the many subjects of one add up, and it is of the order of (N / A) log N.

    For tables fixed beforehand that use each attribute at most m = ceil(N / A) times. Given y = 1 - <u_a, u_b>, for any
    0 < mu < sqrt(y k d / 2m), a wrong b is not beaten by a with probability at most

        exp( -mu + mu^2 (2 m - 1) / (2 d) ) (1 - 2 mu^2 m / (y k d))^{-(A - 2)/2}.

    Proof: the margin is y + Z, Z = sum_c <u_a - u_b, u_c> z_c, z_c the sum of <e_s', e_s> over the other subjects s' of
    attribute c. Given e_s the z_c are independent, sub-Gaussian of variance proxy m/d (inner products of uniform unit
    vectors). c = a and c = b give y (z_a - z_b). The other <u_a - u_b, u_c> are sub-Gaussian of proxy 2 y / k, so that
    exp(-lambda Z) has mean at most E exp(lambda^2 y z_c^2 / k) = (1 - 2 lambda^2 y m / (k d))^{-1/2} for each; Chernoff
    with lambda = mu / y. The mean over y, k (1 - y/2) binomial, and a union over N R (A - 1) events remain.

    A bound for the random signs of ``construct_associative``, not an estimate. Raises ValueError unless A >= 2 and
    0 < failure < 1.
    """
    n, a = check_whole_number(subjects, "subjects", 1), check_whole_number(attributes, "attributes", 2)
    r, chance = check_whole_number(relations, "relations", 1), check_number(failure, "failure")
    if not 0 < chance < 1:
        raise ValueError(f"failure must lie in (0, 1); got {shown(failure)}")
    allowed = log(chance) - log(n) - log(r) - log(a - 1)
    low, high = 0, 1
    while log_miss(n, a, high) > allowed:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if log_miss(n, a, middle) > allowed else (low, middle)
    return high


def log_miss(n: int, a: int, d: int) -> float:
    """log of the bound on the probability that one wrong attribute is not beaten, d = k, over the codes too."""
    m = -(-n // a)
    # Agreeing signs of two codes: k (1 - y/2) = j. Bins (edge[i-1], edge[i]] of j count at edge[i], the least y.
    edges = np.unique(np.round(np.linspace(0, d, COLLISIONS)).astype(np.int64))
    chances = np.diff(agree_at_most(edges, d), prepend=0.0)
    y = 2 * (1 - edges[:-1] / d)  # the last bin: at worst y = 0, equal codes, which always fail
    largest = np.sqrt(y * d * d / (2 * m))
    mu = largest[:, None] * RATES
    exponent = -mu + mu**2 * (2 * m - 1) / (2 * d) - 0.5 * (a - 2) * np.log1p(-(RATES**2))
    misses = np.append(np.exp(np.minimum(exponent.min(axis=1), 0.0)), 1.0)
    total = float(misses @ chances)
    return log(total) if total > 0 else -inf
