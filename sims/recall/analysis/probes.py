"""Linear probes: can the attribute of each relation be read off a subject's embedding?

For every relation a ridge regression maps e_s to the code u_{g_r(s)} of the answer; the attribute is the one whose code
is nearest to what it says. Every subject is decoded by a probe that was fitted to others, and with bijections no probe
has seen the attribute it has to name, so that only a linear relation between embeddings and codes can succeed.
Source: the probes of arXiv 2605.12426, sec. 5; that paper's details are not known, these are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ridge import RIDGES, predict_held_out, variance_explained

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHUFFLE_SEED = 1


@dataclass(frozen=True, eq=False)
class ProbeScores:
    """By relation, (R,): ``accuracy``, the share of held-out subjects whose attribute is found among all A;
    ``shuffled``, the same where each subject has the facts of another. ``chance``: 1/A."""

    accuracy: Floats
    shuffled: Floats
    chance: float


def probe_relations(embeddings: Floats, codes: Sequence[Floats], table: NDArray[np.integer]) -> ProbeScores:
    """Probes of ``embeddings`` (N, d) for ``codes``, R arrays (A, k), and the facts ``table`` (R, N). Each relation has
    the ridge with the largest held-out R^2, shuffled facts too. Raises ValueError for fewer than two subjects."""
    shuffled = table[:, np.random.default_rng(SHUFFLE_SEED).permutation(table.shape[1])]
    return ProbeScores(_accuracy(embeddings, codes, table), _accuracy(embeddings, codes, shuffled), 1 / len(codes[0]))


def _accuracy(embeddings: Floats, codes: Sequence[Floats], table: NDArray[np.integer]) -> Floats:
    width = codes[0].shape[1]
    wanted = np.concatenate([code[facts] for code, facts in zip(codes, table, strict=True)], axis=1)
    predicted = predict_held_out(embeddings, wanted, RIDGES)  # every relation has the same inputs: one decomposition
    found = []
    for r, (code, facts) in enumerate(zip(codes, table, strict=True)):
        block = slice(r * width, (r + 1) * width)
        scores = [variance_explained(wanted[:, block], each[:, block]) for each in predicted]
        found.append(float((nearest_code(predicted[int(np.argmax(scores)), :, block], code) == facts).mean()))
    return np.array(found)


def nearest_code(points: Floats, codes: Floats) -> Ints:
    """(n,): for each of the ``points`` (n, k) the row of ``codes`` (A, k) at the least Euclidean distance."""
    distances = (codes**2).sum(axis=1) - 2 * points @ codes.T  # less |point|^2, the same for all codes
    return np.asarray(distances.argmin(axis=1), dtype=np.int64)
