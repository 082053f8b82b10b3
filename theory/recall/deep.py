"""K-hop questions in L layers: each selects the answer after h hops, and a lookup turns its code into its vector.

    select   o = u_a, the block of the asked word of h relations (``recall.gate``)
    look up  ReLU( (2 <u_b, o> - 1 - eps) / (1 - eps) ) for every entity b: exactly 1 for b = a, 0 for the others, whose
             <u_b, u_a> <= eps; neuron b then writes e_b

The lookups hold the facts, through e_b: N k + N d weights a layer, linear in N. So depth buys a dimension of R^h k in
place of R^K k, at the price of weights that must be made anew for new facts.
Source: arXiv 2605.12426, theorem 4.4 (order of growth without chain of thought); the construction is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..checks import Array, check_matrix, check_whole_number, shown
from .codes import code_coherence, sign_codes
from .facts import Facts, check_entities, check_indices, check_memory_size
from .gate import check_gate_bias, gate_activations, gate_output, words_of
from .hop_plan import split_hops
from .memory import BIAS_SLACK, UNIT, check_codes
from .one_shot import check_word_count, composed_codes


@dataclass(frozen=True, eq=False)
class DeepMemory:
    """``codes`` (N, k): unit rows of coherence below one. ``relations`` R. ``hops``: those of each layer, h but for the
    last. ``gate_bias`` B, at least the largest |entry| of ``embeddings`` (N, d), the subject vectors, which the lookups
    write too: the blocks of all words of h relations, then those of the last layer's length if it is another.

    Raises TypeError or ValueError where a condition fails. ``construct_deep`` makes one.
    """

    codes: Array
    relations: int
    hops: tuple[int, ...]
    gate_bias: float
    embeddings: Array

    def __post_init__(self) -> None:
        codes = check_codes(self.codes)
        r = check_whole_number(self.relations, "relations", 1)
        if not isinstance(self.hops, tuple) or not self.hops:
            raise TypeError(f"hops must be a tuple of whole numbers, one a layer; got {shown(self.hops)}")
        hops = tuple(check_whole_number(h, "hops", 1) for h in self.hops)
        if len(set(hops[:-1])) > 1 or hops[-1] > hops[0]:
            raise ValueError(f"hops must be equal but for the last, which may be less; got {shown(self.hops)}")
        check_word_count(r, hops[0], 2 * codes.size)
        width = sum(r**h for h in set(hops)) * codes.shape[1]
        embeddings = check_matrix(self.embeddings, (len(codes), width), "embeddings")
        bias = check_gate_bias(self.gate_bias, float(np.abs(embeddings).max()))
        fields = {"codes": codes, "relations": r, "hops": hops, "gate_bias": bias, "embeddings": embeddings}
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        if self.coherence > 1 - UNIT:
            raise ValueError(f"codes must have a coherence below 1 to be told apart; got {self.coherence:g}")

    @cached_property
    def coherence(self) -> float:
        """eps, the largest inner product of two codes."""
        return code_coherence(self.codes)

    @property
    def dimension(self) -> int:
        """d."""
        return self.embeddings.shape[1]

    @property
    def selector_neurons(self) -> int:
        """2 R^h k of every layer, together."""
        return sum(2 * self.relations**h * self.codes.shape[1] for h in self.hops)

    @property
    def lookup_neurons(self) -> int:
        """N between every two layers, together."""
        return (len(self.hops) - 1) * len(self.codes)

    @property
    def parameters(self) -> int:
        """Inputs, a bias and outputs of every neuron, without the subject vectors; as in ``MultiHopPlan``."""
        k, d, r = self.codes.shape[1], self.dimension, self.relations
        selectors = sum(2 * r**h * k * (d + h * r + 1 + k) for h in self.hops)
        return selectors + self.lookup_neurons * (k + 1 + d)

    def select(self, embeddings: ArrayLike, words: ArrayLike, layer: int = 0) -> Array:
        """o (n, k): the block of ``words`` (n, h), the relations of that ``layer``'s hops, in vectors (n, d)."""
        depth = self.hops[check_whole_number(layer, "layer", 0, len(self.hops) - 1)]
        e = check_matrix(embeddings, (None, self.dimension), "embeddings")
        asked = check_indices(words, (len(e), depth), self.relations, "words")
        k, length = self.codes.shape[1], self.relations**depth * self.codes.shape[1]
        start = 0 if depth == self.hops[0] else self.dimension - length
        blocks = e[:, start : start + length].reshape(len(e), -1, k)
        return gate_output(gate_activations(blocks, words_of(self.relations, depth), asked, self.gate_bias), k)

    def look_up(self, outputs: ArrayLike) -> Array:
        """The lookup neurons (n, N) for ``outputs`` (n, k): one-hot rows where these are codes."""
        o, eps = check_matrix(outputs, (None, self.codes.shape[1]), "outputs"), self.coherence
        check_memory_size(float(len(o)) * len(self.codes), "the lookup neurons for these questions")
        return np.maximum((2 * o @ self.codes.T - 1 - eps) / (1 - eps), 0.0)

    def logits(self, embeddings: ArrayLike, words: ArrayLike) -> Array:
        """<u_a, o> after the last layer: (n, N), for subject vectors (n, d) and ``words`` (n, K)."""
        e = check_matrix(embeddings, (None, self.dimension), "embeddings")
        asked = check_indices(words, (len(e), sum(self.hops)), self.relations, "words")
        at, outputs = 0, e[:, :0]
        for layer, depth in enumerate(self.hops):
            if layer:
                e = self.look_up(outputs) @ self.embeddings
            outputs = self.select(e, asked[:, at : at + depth], layer)
            at += depth
        return outputs @ self.codes.T


def construct_deep(
    facts: Facts, hops: int, layers: int, *, code_dimension: int, coherence: float | None = None, seed: int = 0
) -> DeepMemory:
    """A ``DeepMemory`` of these ``facts`` (N = A >= 2) for K ``hops`` in at most ``layers`` L, as ``recall.hop_plan``
    counts: ceil(K / L) hops a layer.

    Codes from ``sign_codes``; errors as there, and ValueError for codes that repeat (give a coherence).
    """
    n, r = check_entities(facts).subjects, facts.relations
    k = check_whole_number(code_dimension, "code_dimension", 1)
    h, full, last = split_hops(check_whole_number(hops, "hops", 1), check_whole_number(layers, "layers", 1))
    check_memory_size(float(full) * n, "the lookups")
    check_word_count(r, h, 2 * n * k)
    codes = sign_codes(check_whole_number(n, "the number of entities", 2), k, coherence=coherence, seed=seed)
    lengths: list[int] = [h] if h == last else [h, last]
    embeddings = np.hstack([composed_codes(codes, facts, length) for length in lengths])
    return DeepMemory(codes, r, (h,) * full + (last,), float(np.abs(codes).max()) * (1 + BIAS_SLACK), embeddings)
