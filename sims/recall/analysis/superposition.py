"""Are subject embeddings superpositions of the codes of their attributes?

The prediction of arXiv 2605.12426 (sec. 4): e_s = c + sum_r P_r u_{g_r(s)}, one linear map P_r for each relation and
one code u_a for each attribute. Here u_a is the code that the model learned, the output embedding of a, and the maps
are found by ridge regression.

Why the codes are given and not fitted too: with bijections every (relation, attribute) belongs to exactly one subject,
so that free vectors c_{r,a} in place of P_r u_a explain any embeddings at all (c_{r, g_r(s)} = e_s / R) and say
nothing about new facts. A map of the codes is a claim: it is fitted on some subjects and must predict the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ridge import RIDGES, RidgeFit, fit_ridge, fit_without_fold, predict_held_out, variance_explained

Floats = NDArray[np.float64]

SHUFFLES = 3  # the null is their mean
SHUFFLE_SEED = 0
SUBSPACE_SHARE = 0.9  # of the variance that the image of a relation's map accounts for


@dataclass(frozen=True, eq=False)
class Superposition:
    """e_s = ``intercept`` (d,) + sum_r u_{r, g_r(s)} ``maps[r]``, ``maps`` (R, k, d), ``codes`` R arrays (A, k).

    ``ridge``: the relative penalty chosen; ``r2``: variance of the embeddings explained by this fit; ``r2_held_out``:
    the same where every subject is predicted by a fit to others; ``r2_shuffled``: held out, with each subject given the
    facts of another, through the same choice of a ridge (mean of SHUFFLES). A fit for one fold has NaN for these three.
    """

    codes: tuple[Floats, ...]
    maps: Floats
    intercept: Floats
    ridge: float
    r2: float = float("nan")
    r2_held_out: float = float("nan")
    r2_shuffled: float = float("nan")

    def predict(self, table: NDArray[np.integer]) -> Floats:
        """(n, d): the embeddings of subjects with the facts ``table`` (R, n), attribute numbers."""
        parts = [code[facts] @ map_ for code, facts, map_ in zip(self.codes, table, self.maps, strict=True)]
        return self.intercept + np.sum(parts, axis=0)

    def swap(self, relation: int, old: NDArray[np.integer], new: NDArray[np.integer]) -> Floats:
        """(n, d): what to add where the answer to ``relation`` is to become ``new`` (n,) instead of ``old`` (n,)."""
        code = self.codes[relation]
        return (code[new] - code[old]) @ self.maps[relation]


def fit_superposition(
    embeddings: Floats,
    codes: Sequence[Floats],
    table: NDArray[np.integer],
    *,
    ridges: Sequence[float] = RIDGES,
) -> Superposition:
    """The superposition that explains ``embeddings`` (N, d) from ``codes``, R arrays (A, k), and the facts ``table``
    (R, N). Of ``ridges`` it takes the one with the largest held-out R^2.

    Raises ValueError for shapes that do not fit, values that are not finite, and fewer than two subjects.
    """
    _check(embeddings, codes, table)
    inputs = _design(codes, table)
    ridge, held_out = _choose(inputs, embeddings, ridges)
    fit = fit_ridge(inputs, embeddings, ridge)
    rng = np.random.default_rng(SHUFFLE_SEED)
    null = [_choose(inputs[rng.permutation(len(inputs))], embeddings, ridges)[1] for _ in range(SHUFFLES)]
    return _superposition(
        codes,
        fit,
        ridge,
        r2=variance_explained(embeddings, fit.predict(inputs)),
        r2_held_out=held_out,
        r2_shuffled=float(np.mean(null)),
    )


def cross_fit_superposition(
    embeddings: Floats, codes: Sequence[Floats], table: NDArray[np.integer], ridge: float
) -> list[tuple[NDArray[np.bool_], Superposition]]:
    """For every fold: which subjects (N,) are in it, and the superposition of all the others. Raises as
    ``fit_superposition``."""
    _check(embeddings, codes, table)
    fits = fit_without_fold(_design(codes, table), embeddings, ridge)
    return [(left_out, _superposition(codes, fit, ridge)) for left_out, fit in fits]


def predict_left_out(fits: Sequence[tuple[NDArray[np.bool_], Superposition]], table: NDArray[np.integer]) -> Floats:
    """(N, d): every subject's embedding as the fit that left it out predicts it; ``fits`` as
    ``cross_fit_superposition`` gives them."""
    found = np.empty((table.shape[1], fits[0][1].maps.shape[2]))
    for left_out, fit in fits:
        found[left_out] = fit.predict(table[:, left_out])
    return found


def subspace_overlap(fit: Superposition) -> tuple[float, float]:
    """How much the relations share directions of the embedding, and what random subspaces would share.

    The space of relation r is spanned by the leading principal directions of (u_a - mean) P_r over all a, as many as
    hold SUBSPACE_SHARE of the variance. The overlap of two is the mean cos^2 of their principal angles, |Q_r^T Q_q|_F^2
    / min(k_r, k_q): 0 for orthogonal ones, 1 where one holds the other; random ones have max(k_r, k_q) / d. Mean over
    pairs; NaN for one relation and where a map is zero.
    """
    bases = [_image(code, map_) for code, map_ in zip(fit.codes, fit.maps, strict=True)]
    pairs = [(a, b) for i, a in enumerate(bases) for b in bases[:i]]
    if not pairs or any(base.shape[1] == 0 for base in bases):
        return float("nan"), float("nan")
    found = [float(((a.T @ b) ** 2).sum()) / min(a.shape[1], b.shape[1]) for a, b in pairs]
    chance = [max(a.shape[1], b.shape[1]) / a.shape[0] for a, b in pairs]
    return float(np.mean(found)), float(np.mean(chance))


def _image(code: Floats, map_: Floats) -> Floats:
    """(d, k): an orthonormal basis."""
    _, s, vt = np.linalg.svd((code - code.mean(axis=0)) @ map_, full_matrices=False)
    share = np.cumsum(s**2) / max(float((s**2).sum()), np.finfo(np.float64).tiny)
    count = int(np.searchsorted(share, SUBSPACE_SHARE)) + 1 if s[0] > 0 else 0
    return np.asarray(vt[:count].T)


def _design(codes: Sequence[Floats], table: NDArray[np.integer]) -> Floats:
    """(N, R k): the codes of every subject's attributes, side by side."""
    return np.concatenate([code[facts] for code, facts in zip(codes, table, strict=True)], axis=1)


def _choose(inputs: Floats, outputs: Floats, ridges: Sequence[float]) -> tuple[float, float]:
    """The ridge with the largest held-out R^2, and that R^2."""
    scores = [variance_explained(outputs, predicted) for predicted in predict_held_out(inputs, outputs, ridges)]
    best = int(np.argmax(scores))
    return ridges[best], scores[best]


def _superposition(codes: Sequence[Floats], fit: RidgeFit, ridge: float, **scores: float) -> Superposition:
    maps = fit.weights.reshape(len(codes), -1, fit.weights.shape[1])
    return Superposition(tuple(codes), maps, fit.output_mean - fit.input_mean @ fit.weights, ridge, **scores)


def _check(embeddings: Floats, codes: Sequence[Floats], table: NDArray[np.integer]) -> None:
    shapes = {np.shape(code) for code in codes}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ValueError(f"codes must be arrays (A, k) of one shape; got {sorted(shapes)}")
    if np.ndim(table) != 2 or np.ndim(embeddings) != 2 or np.shape(table) != (len(codes), len(embeddings)):
        raise ValueError(
            f"table must be ({len(codes)} relations, {len(embeddings)} subjects), embeddings (subjects, width); got "
            f"{np.shape(table)} and {np.shape(embeddings)}"
        )
    attributes = next(iter(shapes))[0]
    if table.min() < 0 or table.max() >= attributes:
        raise ValueError(f"table must hold attributes 0 ... {attributes - 1}; got {table.min()} ... {table.max()}")
    if not (np.isfinite(embeddings).all() and all(np.isfinite(code).all() for code in codes)):
        raise ValueError("embeddings and codes must be finite; the model has diverged")
