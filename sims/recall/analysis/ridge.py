"""Ridge regression from rows to rows, its penalty chosen on rows that were left out.

With centred inputs X (n, p) and outputs Y (n, m) the map W minimises |Y - X W|^2 + penalty |W|^2, where penalty =
``ridge`` times the mean eigenvalue of the smaller of X^T X and X X^T; the means are not penalised. One decomposition
of that smaller matrix serves every ridge, so n < p costs no more than n > p. float64 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RIDGES = tuple(float(ridge) for ridge in np.geomspace(1e-4, 10, 11))  # a half of a decade apart
FOLDS = 5
FOLD_SEED = 0  # the folds are the same for every seed and model of one size


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """y = ``output_mean`` (m,) + (x - ``input_mean`` (p,)) ``weights`` (p, m)."""

    input_mean: Floats
    output_mean: Floats
    weights: Floats

    def predict(self, inputs: Floats) -> Floats:
        """(n, m) from (n, p)."""
        return self.output_mean + (inputs - self.input_mean) @ self.weights


def make_folds(rows: int) -> Ints:
    """(n,): the fold of every row, of FOLDS folds of equal size (one each where there are fewer rows). Raises
    ValueError for fewer than two rows."""
    if rows < 2:
        raise ValueError(f"to leave rows out takes at least two of them; got {rows}")
    return np.random.default_rng(FOLD_SEED).permutation(rows) % FOLDS


def fit_ridge(inputs: Floats, outputs: Floats, ridge: float) -> RidgeFit:
    """The fit to all rows. Inputs that are all alike give the mean of the outputs."""
    prepared = _Prepared(inputs, outputs)
    return prepared.fit(ridge)


def fit_without_fold(inputs: Floats, outputs: Floats, ridge: float) -> list[tuple[NDArray[np.bool_], RidgeFit]]:
    """For every fold: which rows are in it, and the fit to all the others."""
    fold = make_folds(len(inputs))
    found = []
    for k in np.unique(fold):
        left_out = fold == k
        found.append((left_out, fit_ridge(inputs[~left_out], outputs[~left_out], ridge)))
    return found


def predict_held_out(inputs: Floats, outputs: Floats, ridges: Sequence[float] = RIDGES) -> Floats:
    """(number of ridges, n, m): every row predicted by the fit to the folds it is not in."""
    fold = make_folds(len(inputs))
    predicted = np.empty((len(ridges), *outputs.shape))
    for k in np.unique(fold):
        left_out = fold == k
        prepared = _Prepared(inputs[~left_out], outputs[~left_out])
        for found, ridge in zip(predicted, ridges, strict=True):
            found[left_out] = prepared.predict(inputs[left_out], ridge)
    return predicted


def variance_explained(outputs: Floats, predicted: Floats) -> float:
    """R^2 = 1 - |Y - prediction|^2 / |Y - its mean|^2; 0 where Y does not vary."""
    total = float(((outputs - outputs.mean(axis=0)) ** 2).sum())
    return 1 - float(((outputs - predicted) ** 2).sum()) / total if total > 0 else 0.0


@dataclass(frozen=True)
class Calibration:
    """How held-out predictions p_s compare with what they predict, y_s, both less their means, <.,.> summed over rows.

    ``slope`` <y, p> / <p, p>: of the truth on its prediction. A ridge that has the least held-out error leaves no
    multiple of p that is nearer to y, so that it is about 1: a prediction is not biased.
    ``shrinkage`` <y, p> / <y, y>: how much of a true difference the predicted one makes up in its direction. With
    y = p + a rest that p tells nothing about it is R^2, below 1: a prediction is shorter than what it predicts, which
    does not matter to its error and does where it is put in the place of y. NaN where nothing varies.
    """

    slope: float
    shrinkage: float

    @property
    def correction(self) -> float:
        """1 / shrinkage: the multiple of p that makes up y in its direction, <y, p / shrinkage> = <y, y>. What of y no
        map of the inputs explains counts as shrinkage too, so that it is the largest that can be meant. NaN unless
        shrinkage > 0."""
        return 1 / self.shrinkage if self.shrinkage > 0 else float("nan")


def calibrate(outputs: Floats, predicted: Floats) -> Calibration:
    """Of ``predicted`` (n, m), each row by a fit without it, for ``outputs`` (n, m)."""
    true, guess = outputs - outputs.mean(axis=0), predicted - predicted.mean(axis=0)
    together, own, length = (float((a * b).sum()) for a, b in ((true, guess), (guess, guess), (true, true)))
    return Calibration(together / own if own > 0 else float("nan"), together / length if length > 0 else float("nan"))


class _Prepared:
    """The eigendecomposition of one regression."""

    def __init__(self, inputs: Floats, outputs: Floats) -> None:
        self.input_mean, self.output_mean = inputs.mean(axis=0), outputs.mean(axis=0)
        self.x, y = inputs - self.input_mean, outputs - self.output_mean
        self.dual = len(self.x) < self.x.shape[1]
        gram = self.x @ self.x.T if self.dual else self.x.T @ self.x
        values, self.vectors = np.linalg.eigh(gram)
        self.values = np.maximum(values, 0.0)
        self.outputs = self.vectors.T @ (y if self.dual else self.x.T @ y)
        self.left = self.x.T @ self.vectors if self.dual else self.vectors

    def _scaled(self, ridge: float) -> Floats:
        shrunk = self.values + ridge * max(float(self.values.mean()), np.finfo(np.float64).tiny)
        return self.outputs / shrunk[:, None]

    def fit(self, ridge: float) -> RidgeFit:
        """The map of ``ridge``."""
        return RidgeFit(self.input_mean, self.output_mean, self.left @ self._scaled(ridge))

    def predict(self, rows: Floats, ridge: float) -> Floats:
        """What ``fit(ridge)`` says of ``rows``, cheaper where few rows are asked for."""
        return self.output_mean + ((rows - self.input_mean) @ self.left) @ self._scaled(ridge)
