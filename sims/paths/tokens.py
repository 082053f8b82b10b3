"""The tokens of the path tasks: one a node, and nine special ones.

Token ids 0 .. n-1 are the nodes in an order drawn from the seed, so that an id says nothing about where a node lies;
ids n .. n+8 are the special tokens. Source: arXiv 2510.26745, app. B.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.streams import Stream

Ints = NDArray[np.int64]

# "$" stands for a target that a teacherless model does not see, ">" ends the question of an in-context prompt.
SPECIALS = ("|", "[PAUSE]", "/", "$", ">", "<", "[PAD]", "[EDGE]", "[PATH]")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """``node_tokens`` (n,): the token of each node, a permutation of 0 .. n-1. Raises ValueError where it is none."""

    node_tokens: Ints

    def __post_init__(self) -> None:
        if not np.array_equal(np.sort(self.node_tokens), np.arange(len(self.node_tokens))):
            raise ValueError("node_tokens must be a permutation of 0 .. n-1; make them with make_vocabulary")

    @property
    def nodes(self) -> int:
        """n."""
        return len(self.node_tokens)

    @property
    def size(self) -> int:
        """n and the special tokens."""
        return self.nodes + len(SPECIALS)

    def special(self, name: str) -> int:
        """The id of a special token. Raises ValueError for a name that is none."""
        if name not in SPECIALS:
            raise ValueError(f"{name!r} is no special token; they are {', '.join(SPECIALS)}")
        return self.nodes + SPECIALS.index(name)

    def encode(self, nodes: NDArray[np.integer]) -> Ints:
        """The tokens of ``nodes``, in the same shape."""
        return self.node_tokens[nodes]

    def decode(self, tokens: Sequence[int] | NDArray[np.integer]) -> list[int | str]:
        """Node numbers, and special tokens by name. Raises ValueError for an id outside the vocabulary."""
        back = np.argsort(self.node_tokens)
        found: list[int | str] = []
        for token in np.asarray(tokens).tolist():
            if not 0 <= token < self.size:
                raise ValueError(f"token {token} is outside the vocabulary of {self.size}")
            found.append(int(back[token]) if token < self.nodes else SPECIALS[token - self.nodes])
        return found


def make_vocabulary(nodes: int, seed: int) -> Vocabulary:
    """The vocabulary of ``nodes`` nodes, in an order drawn from ``seed``."""
    return Vocabulary(np.random.default_rng((seed, Stream.PATH_TOKENS)).permutation(nodes).astype(np.int64))
