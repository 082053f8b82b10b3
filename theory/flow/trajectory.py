"""What an exact flow or descent returns: states at the requested times, with their loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..checks import Array


@dataclass(frozen=True, eq=False)
class TiedTrajectory:
    """Embeddings V(t) of tied Node2Vec. ``times`` (k,), ``embedding`` (k, n, m), ``loss`` (k,) without weight decay."""

    times: Array
    embedding: Array
    loss: Array

    @property
    def gram(self) -> Array:
        """K(t) = V(t) V(t)', shape (k, n, n)."""
        return self.embedding @ self.embedding.transpose(0, 2, 1)


@dataclass(frozen=True, eq=False)
class TiedGramTrajectory:
    """Gram matrices K(t) of tied Node2Vec. ``times`` (k,), ``gram`` (k, n, n), ``loss`` (k,) without weight decay."""

    times: Array
    gram: Array
    loss: Array


@dataclass(frozen=True, eq=False)
class UntiedTrajectory:
    """Input and output embeddings of untied Node2Vec: ``embedding`` V and ``context`` U (k, n, m), logits V U'."""

    times: Array
    embedding: Array
    context: Array
    loss: Array

    @property
    def logits(self) -> Array:
        """M(t) = V(t) U(t)', shape (k, n, n)."""
        return self.embedding @ self.context.transpose(0, 2, 1)


@dataclass(frozen=True, eq=False)
class UntiedGramTrajectory:
    """Gram matrices K_V = VV', K_U = UU' and logits M = VU' of untied Node2Vec, each (k, n, n); ``loss`` (k,)."""

    times: Array
    gram_embedding: Array
    gram_context: Array
    logits: Array
    loss: Array


def compress_columns(*factors: Array) -> tuple[tuple[Array, ...], Array | None]:
    """Write factors with many columns as L Q' with few: returns the L's and Q (m, r), or the factors and None.

    The updates of V and U only multiply from the left and mix the two, so the row space of the stacked factors never
    changes: V(t) = L(t) Q' for the Q of one QR factorisation at t = 0, exactly. The state shrinks from m to the number
    of stacked rows.
    """
    stacked = np.concatenate(factors, axis=0)
    if stacked.shape[1] <= stacked.shape[0]:
        return factors, None
    q, r = np.linalg.qr(stacked.T)
    return tuple(np.split(np.ascontiguousarray(r.T), len(factors), axis=0)), q
