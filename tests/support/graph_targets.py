"""Targets of every kind that the graph losses meet, and the loss summed one number at a time."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp

from fiedler.theory import one_hop_target, parse


def ragged(rows: int, columns: int, seed: int = 5) -> np.ndarray:
    """Rows of one to four entries; row 2 is empty, row 4 sums to 2.5, row 1 has one entry."""
    rng = np.random.default_rng(seed)
    target = np.zeros((rows, columns))
    for row in range(rows):
        columns_of_row = rng.choice(columns, size=1 if row == 1 else rng.integers(1, 5), replace=False)
        target[row, columns_of_row] = rng.random(len(columns_of_row)) + 0.1
    target /= target.sum(axis=1, keepdims=True)
    target[2] = 0.0
    target[4] *= 2.5
    return target


SQUARE = {
    "ragged": ragged(9, 9),
    "smoothed": one_hop_target(parse("cycle:6"), self_edges=True, label_smoothing=0.3),
    "one hop": one_hop_target(parse("path-star:3x2")),
    "self": np.eye(7),
    "pairs": np.kron(np.eye(4), [[0.0, 1.0], [1.0, 0.0]]),  # each node is its pivot's pivot
    "nothing": np.zeros((5, 5)),
}
WIDE = {"ragged": ragged(6, 8), "widened": np.hstack([one_hop_target(parse("grid:2x3")), np.zeros((6, 2))])}
TARGETS = {**SQUARE, **{f"wide {name}": target for name, target in WIDE.items()}}


def random_target(n: int, degree: int, seed: int = 0) -> sp.csr_array:
    """A row-stochastic target of about ``degree`` entries a row."""
    matrix = sp.random_array((n, n), density=min(1.0, degree / n), format="csr", rng=np.random.default_rng(seed))
    sums = np.asarray(matrix.sum(axis=1)).reshape(-1)
    return sp.csr_array(sp.diags_array(1 / np.where(sums > 0, sums, 1)) @ matrix)


def loop(logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """sum_j T_ij (log sum_k exp(z_ik) - z_ij) of every row."""
    rows = []
    for z, row in zip(logits, target, strict=True):
        top = max(z)
        lse = top + math.log(math.fsum(math.exp(each - top) for each in z))
        rows.append(math.fsum(t * (lse - each) for t, each in zip(row, z, strict=True)))
    return np.array(rows)
