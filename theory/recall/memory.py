"""The geometric memory of facts: subject vectors that superpose the codes of their attributes, and one gate.

    e_s = sum_r P_r u_{g_r(s)} in R^d        (P_r: R^k -> R^d with orthonormal columns)
    o   = P_r' e_s, let through by the gate of ``recall.gate``        logits  <u_a, o>

Only the subject vectors know the facts: codes, projections and gate serve every table of R relations with the same A
attributes, bijections or not. In blocks (d = R k, P_r the r-th block of coordinates) o is u_{g_r(s)} exactly; random
projections need a larger d, for the other relations' codes leak into o.
Source: arXiv 2605.12426, theorem 4.1 (d = O(R log N), 2 R k neurons); the constants are worked out here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_array, check_matrix, check_type, check_whole_number, shown
from .codes import sign_codes
from .facts import PROJECTIONS_STREAM, Facts, check_facts, check_indices, check_memory_size, generator
from .gate import check_gate_bias, gate_activations, gate_output, gate_weights

UNIT = 1e-9  # by which squared lengths and orthonormal columns may miss their values
BIAS_SLACK = 1e-9  # of the gate bias, so that rounding opens no shut neuron


@dataclass(frozen=True, eq=False)
class FactMemory:
    """Everything but the subject vectors, float64.

    ``codes`` (A, k): the unit rows u_a, A >= 2. ``projections`` (R, d, k): P_r with orthonormal columns.
    ``gate_bias``: B, at least max_{r,i} sum_q max_a |(P_r' P_q u_a)_i|, which bounds every |(P_r' e)_i| of every
    subject vector of every table. Raises TypeError or ValueError where one of these conditions fails.
    ``construct_memory`` and ``memory_from_codes`` make one.
    """

    codes: Array
    projections: Array
    gate_bias: float

    def __post_init__(self) -> None:
        codes, projections = check_codes(self.codes), check_array(self.projections, "projections")
        if projections.ndim != 3 or not projections.size or projections.shape[2] != codes.shape[1]:
            wanted = f"(relations, dimension, {codes.shape[1]})"
            raise ValueError(f"projections must have shape {wanted}; got {projections.shape}")
        products = projections.transpose(0, 2, 1) @ projections
        if np.abs(products - np.eye(codes.shape[1])).max() > UNIT:
            raise ValueError("projections must have orthonormal columns; use the Q of a QR decomposition")
        bias = check_gate_bias(self.gate_bias, least_gate_bias(codes, projections))
        for name, value in (("codes", codes), ("projections", projections), ("gate_bias", bias)):
            object.__setattr__(self, name, value)

    @property
    def attributes(self) -> int:
        """A."""
        return len(self.codes)

    @property
    def code_dimension(self) -> int:
        """k."""
        return self.codes.shape[1]

    @property
    def relations(self) -> int:
        """R."""
        return len(self.projections)

    @property
    def dimension(self) -> int:
        """d, of a subject vector."""
        return self.projections.shape[1]

    @property
    def neurons(self) -> int:
        """2 R k."""
        return 2 * self.relations * self.code_dimension

    def subject_embeddings(self, facts: Facts) -> Array:
        """e_s = sum_r P_r u_{g_r(s)}: (N, d). ValueError unless ``facts`` has R relations and A attributes."""
        table = self.check_facts(facts).table
        check_memory_size(float(facts.subjects) * self.dimension, "the subject vectors")
        embeddings = np.zeros((facts.subjects, self.dimension))
        for row, projection in zip(table, self.projections, strict=True):
            embeddings += self.codes[row] @ projection.T
        return embeddings

    def gate(self, embeddings: ArrayLike, relations: ArrayLike) -> Array:
        """The neurons (n, 2 R k) for subject vectors (n, d) and the asked ``relations`` (n,); order: the module."""
        e = check_matrix(embeddings, (None, self.dimension), "embeddings")
        asked = check_indices(relations, (len(e),), self.relations, "relations")
        blocks = (e @ self._readers()).reshape(len(e), self.relations, self.code_dimension)
        return gate_activations(blocks, np.arange(self.relations)[:, None], asked[:, None], self.gate_bias)

    def outputs(self, embeddings: ArrayLike, relations: ArrayLike) -> Array:
        """o (n, k): P_r' e for every e whose parts stay below the gate bias."""
        return gate_output(self.gate(embeddings, relations), self.code_dimension)

    def logits(self, embeddings: ArrayLike, relations: ArrayLike) -> Array:
        """<u_a, o>: (n, A). The answer is the largest."""
        return self.outputs(embeddings, relations) @ self.codes.T

    def weights(self) -> tuple[Array, Array, Array]:
        """W_in (2 R k, d + R), bias (2 R k,), W_out (k, 2 R k) of the same map o = W_out ReLU(W_in [e, onehot(r)] +
        bias), a plain multilayer perceptron. Equal to ``outputs`` but for the rounding of adding and taking off B."""
        return gate_weights(self._readers(), np.arange(self.relations)[:, None], self.relations, self.gate_bias)

    def check_facts(self, facts: Facts) -> Facts:
        """``facts`` if this memory can hold them; ValueError otherwise."""
        have = (check_facts(facts).relations, facts.attributes)
        if have != (self.relations, self.attributes):
            raise ValueError(
                f"the memory is for {self.relations} relations and {self.attributes} attributes; facts has {have[0]} "
                f"and {have[1]}; construct a memory of that size"
            )
        return facts

    def _readers(self) -> Array:
        return np.moveaxis(self.projections, 0, 1).reshape(self.dimension, -1)


def construct_memory(
    attributes: int,
    relations: int,
    *,
    code_dimension: int,
    dimension: int | None = None,
    coherence: float | None = None,
    seed: int = 0,
) -> FactMemory:
    """A memory with ``sign_codes`` of A = ``attributes`` in R^k, k = ``code_dimension``, at most ``coherence``.

    ``dimension`` None: blocks, d = R k; given, d >= k: independent uniformly random projections. Errors as
    ``sign_codes`` and ``memory_from_codes``. Source: arXiv 2605.12426, theorem 4.1.

    >>> from fiedler.theory import construct_memory, random_facts, recall_margins
    >>> memory = construct_memory(50, 3, code_dimension=64)
    >>> memory.dimension, memory.neurons
    (192, 384)
    >>> bool(recall_margins(memory, random_facts(50, 3)).min() > 0)  # every fact is recalled
    True
    """
    check_whole_number(attributes, "attributes", 2), check_whole_number(code_dimension, "code_dimension", 1)
    _check_sizes(relations, dimension, code_dimension)
    codes = sign_codes(attributes, code_dimension, coherence=coherence, seed=seed)
    return memory_from_codes(codes, relations, dimension=dimension, seed=seed)


def memory_from_codes(codes: ArrayLike, relations: int, *, dimension: int | None = None, seed: int = 0) -> FactMemory:
    """A memory with any unit ``codes`` (A, k), such as ``circle_codes``, and the smallest gate bias that serves.

    ``dimension`` None: blocks. Given, d >= k: P_r is the Q of the QR decomposition of a Gaussian matrix with the signs
    that make R's diagonal positive (uniform over orthonormal columns), from ``numpy.random.default_rng([seed, 3])``.
    Raises ValueError for d < k, codes that are no unit rows, and projections of more than LARGEST_MEMORY numbers.
    """
    u = check_codes(codes)
    r, d = _check_sizes(relations, dimension, u.shape[1])
    check_whole_number(seed, "seed", 0)
    projections = _blocks(r, u.shape[1]) if dimension is None else _random_projections(r, d, u.shape[1], seed)
    return FactMemory(u, projections, least_gate_bias(u, projections) * (1 + BIAS_SLACK))


def least_gate_bias(codes: Array, projections: Array) -> float:
    """max over r, i of sum_q max_a |(P_r' P_q u_a)_i|; in blocks the largest |(u_a)_i|, 1/sqrt(k) for signs."""
    least = 0.0
    for r in range(len(projections)):
        parts = (np.abs(codes @ overlap.T).max(axis=0) for overlap in overlaps(projections, r) if overlap.any())
        least = max(least, float(np.sum(list(parts), axis=0).max()))
    return least


def overlaps(projections: Array, r: int) -> Array:
    """P_r' P_q for every q: (R, k, k)."""
    return projections[r].T @ projections


def check_memory(memory: object) -> FactMemory:
    """``memory`` if it is a ``FactMemory``; TypeError otherwise."""
    return check_type(memory, FactMemory, "memory", "use construct_memory or memory_from_codes")


def _blocks(r: int, k: int) -> Array:
    return np.eye(r * k).reshape(r * k, r, k).transpose(1, 0, 2).copy()


def _random_projections(r: int, d: int, k: int, seed: int) -> Array:
    q, upper = np.linalg.qr(generator(seed, PROJECTIONS_STREAM).standard_normal((r, d, k)))
    return np.asarray(q * np.where(np.diagonal(upper, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None, :])


def check_codes(codes: ArrayLike) -> Array:
    u = check_matrix(codes, (None, None), "codes")
    if len(u) < 2 or u.shape[1] < 1:
        raise ValueError(f"codes must have two rows or more, of one number or more; got shape {u.shape}")
    if np.abs((u**2).sum(axis=1) - 1).max() > UNIT:
        raise ValueError("codes must have rows of length one; divide each row by its norm")
    return u


def _check_sizes(relations: int, dimension: int | None, k: int) -> tuple[int, int]:
    r = check_whole_number(relations, "relations", 1)
    d = r * k if dimension is None else check_whole_number(dimension, "dimension", 1)
    if d < k:
        raise ValueError(f"dimension must be at least the codes' {k}; got {shown(dimension)}")
    check_memory_size(float(r) * d * k, "the projections")
    return r, d
